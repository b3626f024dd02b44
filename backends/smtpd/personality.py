"""A personality: how patient the server is with one client, as one frozen value in Postfix's names.

It is put together from layers, the lowest first: Postfix's normal defaults; Postfix's defaults under stress (only under
stress, and never for the one called "nice": its clients shall not feel the stress unless the operator says so);
`[smtpd]`; `[smtpd.NAME]`; under stress `[smtpd.NAME.stress]`. Only the finished pile is read: `$timeout` in any layer
means the timeout that this very personality has, so a value under stress never quotes one of the calm.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

UNTOUCHED_BY_STRESS = "nice"
"""The personality that Postfix's stress defaults leave alone."""

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_DURATION = re.compile(r"(\d{1,9})\s*(ms|[smhdw])?\Z")
_REFERENCE = re.compile(r"\$(?:\$|(?:smtpd_)?([a-z][a-z0-9_]*)|\{(?:smtpd_)?([a-z][a-z0-9_]*)\})")
_BANNER_LIMIT = 400
_LARGEST = 2**40


@dataclass(frozen=True, slots=True, kw_only=True)
class Personality:
    """The parameters of one session. Times are seconds, sizes are bytes."""

    timeout: float = 300.0
    """For a whole command, for each read of a message, for each write."""
    per_request_deadline: bool = False
    """`timeout` is for a whole message too, which earns more time at `min_data_rate`."""
    min_data_rate: int = 500
    """Bytes a second that a message must come at."""
    soft_error_limit: int = 10
    """After so many errors without a message every reply is delayed."""
    error_sleep_time: float = 1.0
    """By so much."""
    hard_error_limit: int = 20
    """After so many errors without a message the session ends."""
    junk_command_limit: int = 100
    """After so many HELO, RSET, NOOP and VRFY without a message each further one is an error."""
    recipient_limit: int = 1000
    """Recipients of one message."""
    recipient_overshoot_limit: int = 1000
    """Recipients beyond that limit before each further one is an error."""
    session_message_limit: int = 1000
    """Messages of one session; not a parameter of Postfix."""
    message_size_limit: int = 10_240_000
    line_length_limit: int = 2048
    """Of a command line, CRLF not counted. Lines of a message may have any length."""
    banner: str = "$hostname ESMTP"
    disable_vrfy_command: bool = False
    helo_required: bool = False

    def shown(self) -> dict[str, object]:
        """The values as the configuration file spells them."""
        return {name: _shown(value) for name, value in asdict(self).items()}


NAMES = frozenset(field.name for field in fields(Personality))
_KINDS: dict[str, type] = {field.name: field.type for field in fields(Personality) if isinstance(field.type, type)}
_DEFAULTS: dict[str, object] = {field.name: field.default for field in fields(Personality)}
_STRESS_DEFAULTS: dict[str, object] = {
    "timeout": 10.0,
    "hard_error_limit": 1,
    "junk_command_limit": 1,
    "per_request_deadline": True,
}
# Where 0 would mean "at once" or "nothing at all" the operator surely meant something else.
_AT_LEAST: dict[str, float] = {
    "timeout": 0.001,
    "min_data_rate": 1,
    "hard_error_limit": 1,
    "recipient_limit": 1,
    "session_message_limit": 1,
    "message_size_limit": 1,
    "line_length_limit": 512,  # RFC 5321 section 4.5.3.1.4
}


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """Something in the `[smtpd]` table that cannot be used."""

    key: str
    """The full key, such as `smtpd.hostile.stress.timeout`."""
    what: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Layer:
    """Values as an operator wrote them, and the key of the table they stand in, such as `smtpd.hostile`."""

    key: str
    values: Mapping[str, object]


def defaults(name: str, *, stress: bool) -> Layer:
    """What a personality of that name is before the operator has said anything."""
    stressed = _STRESS_DEFAULTS if stress and name != UNTOUCHED_BY_STRESS else {}
    return Layer("smtpd", _DEFAULTS | stressed)


def build(layers: list[Layer], hostname: str) -> tuple[Personality, list[Mistake]]:
    """The personality that a pile of layers makes, the lowest first, and every value in it that cannot be used.

    A value that cannot be used is replaced by its default, so that one look finds all of them.
    """
    pile = _Pile(hostname)
    for layer in layers:
        pile.put(layer)
    values: dict[str, object] = {}
    mistakes = []
    for name in _KINDS:
        try:
            values[name] = pile.value(name)
        except ValueError as error:
            what, _, remedy = str(error).partition("; ")
            mistakes.append(Mistake(pile.keys[name], what, remedy or "correct it"))
    return Personality(**values), mistakes  # type: ignore[arg-type]  # each value was read as the type of its field


class _Pile:
    """Values by name, the uppermost of each, with the key they came from."""

    def __init__(self, hostname: str) -> None:
        self._values: dict[str, object] = {"hostname": hostname}
        self.keys: dict[str, str] = {}

    def put(self, layer: Layer) -> None:
        for name, value in layer.values.items():
            if name in NAMES:
                self._values[name] = value
                self.keys[name] = f"{layer.key}.{name}"

    def value(self, name: str) -> object:
        """The finished value. Raises ValueError with what and remedy."""
        value = self._values[name]
        if isinstance(value, str):
            value = self._expanded(value, (name,))
        value = _read(value, _KINDS[name])
        _check_bounds(name, value)
        return value

    def _expanded(self, text: str, path: tuple[str, ...]) -> str:
        """The text with its references replaced; `path` is the way of references that led here."""

        def replaced(match: re.Match[str]) -> str:
            name = match[1] or match[2]
            if name is None:
                return "$"
            if name not in self._values:
                raise ValueError(f"${name} is no parameter; refer to one of {', '.join(sorted(self._values))}")
            if name in path:
                raise ValueError(f"${name} refers to itself ({' -> '.join((*path, name))}); give one of them a value")
            value = self._values[name]
            return self._expanded(value, (*path, name)) if isinstance(value, str) else str(_shown(value))

        expanded = _REFERENCE.sub(replaced, text)
        if len(expanded) > _BANNER_LIMIT:
            raise ValueError(f"it has {len(expanded)} characters; use at most {_BANNER_LIMIT}")
        return expanded


def _read(value: object, kind: type) -> object:
    if kind is bool:
        return _read_bool(value)
    if kind is float:
        return read_duration(value)
    if kind is int:
        return _read_int(value)
    if not isinstance(value, str) or not value.isascii() or not value.isprintable():
        raise ValueError(f"{value!a:.60} is not a line of ASCII text; write it in quotes")
    return value


def read_duration(value: object) -> float:
    """Seconds: `"250ms"`, `"5m"`, or a bare number of seconds. Raises ValueError with what and remedy."""
    match = _DURATION.match(value) if isinstance(value, str) else None
    if match:
        return int(match[1]) * _UNITS[match[2] or "s"]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
        raise ValueError(f'{value!a:.60} is not a duration; write an integer and ms, s, m, h, d or w, like "300s"')
    return round(float(value), 3)


def _read_int(value: object) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 15:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _LARGEST:
        raise ValueError(f"{value!a:.60} is not a whole number; write one from 0 to {_LARGEST}")
    return value


def _read_bool(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value in {"yes", "no"}:
        return value == "yes"
    raise ValueError(f"{value!a:.60} is neither yes nor no; write true or false")


def _check_bounds(name: str, value: object) -> None:
    least = _AT_LEAST.get(name)
    if least is not None and isinstance(value, int | float) and value < least:
        shown = _shown(value)
        raise ValueError(f"{shown} is too small; write at least {_shown(least)}")


def _shown(value: object) -> object:
    if not isinstance(value, float) or not math.isfinite(value):
        return value if not isinstance(value, bool) else ("yes" if value else "no")
    return f"{int(value)}s" if value.is_integer() else f"{round(value * 1000)}ms"
