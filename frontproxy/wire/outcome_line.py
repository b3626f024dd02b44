"""Outcome lines: how one session ended, as one line of JSON.

Feeds write them to the report socket; `docs/design.md` says what each event is worth. Only `client`, `port`, `ended`
and `end` are required, unknown keys are ignored, and what is not said is 0.
"""

import json
from dataclasses import MISSING, dataclass, fields
from typing import Any, Literal, get_args

LINE_LIMIT = 4096
"""Bytes of one line, its line feed not counted."""

COUNT_LIMIT = 1_000_000
"""The largest count one session can claim."""

End = Literal["quit", "lost", "timeout", "errors", "refused"]
Stage = Literal["connect", "command", "data"]
_ENDS: tuple[str, ...] = get_args(End)
_STAGES: tuple[str, ...] = get_args(Stage)


class OutcomeLineError(ValueError):
    """The line is no outcome; the text says which key and why, with the value escaped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeLine:
    """What one feed saw of one session. Counts are for the whole session."""

    client: str
    """The client's address, without scope: `192.0.2.1`, `2001:db8::1`."""
    port: int
    ended: float
    """Seconds since 1970, UTC."""
    end: End
    session: str = ""
    """The id that came with the handover; what it is joined by when it is there."""
    messages: int = 0
    """Messages accepted."""
    unverified: int = 0
    """Those of them without one recipient that is known to exist (a catch-all domain)."""
    recipients: int = 0
    """Recipients accepted."""
    refused: int = 0
    """Recipients refused for good (5xx), for whatever reason."""
    relay: int = 0
    """Those of them that asked us to relay."""
    policy: int = 0
    """Those of them refused by policy: SPF, DMARC, a list."""
    null_sender: bool = False
    """The refused recipients came with `MAIL FROM:<>`: bounces to forged senders."""
    bad_commands: int = 0
    http: bool = False
    """It spoke HTTP."""
    early: bool = False
    """It talked before the greeting."""
    content_refused: int = 0
    """Messages refused for their content after DATA."""
    malware: int = 0
    """Those of them that carried malware."""
    probable: int = 0
    """Messages that are probably spam and were not refused for it: tagged, or put aside."""
    trap: int = 0
    """Recipients that nobody has but who traps spammers, accepted or refused."""
    auth_good: int = 0
    auth_failed: int = 0
    stage: Stage = "command"
    """How far it had come when it ended: before a command, between commands, within DATA."""
    stress: bool = False
    """It was served by a personality under stress."""
    tls: bool = False
    """It was encrypted; counts nothing, and stands in the log."""


_TYPES: dict[str, type] = {
    field.name: field.type if isinstance(field.type, type) else str for field in fields(OutcomeLine)
}
_REQUIRED = tuple(field.name for field in fields(OutcomeLine) if field.default is MISSING)


def encode(outcome: OutcomeLine) -> bytes:
    """One line with its line feed; what is at its default is left out."""
    values: dict[str, Any] = {"v": 1}
    for field in fields(outcome):
        value = getattr(outcome, field.name)
        if _TYPES[field.name] is int:
            value = min(value, COUNT_LIMIT)  # more cannot be told, and a line that is refused would tell nothing
        if field.default is MISSING or value != field.default:
            values[field.name] = value
    return json.dumps(values, separators=(",", ":")).encode() + b"\n"


def decode(line: bytes) -> OutcomeLine:
    """The outcome that a line (with or without its line feed) tells. Raises OutcomeLineError and nothing else."""
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        raise OutcomeLineError("not a line of JSON") from None
    if not isinstance(values, dict):
        raise OutcomeLineError("not a JSON object")
    if values.get("v", 1) != 1:
        raise OutcomeLineError(f"v is {_shown(values['v'])}, and this version knows 1")
    for name in _REQUIRED:
        if name not in values:
            raise OutcomeLineError(f"{name} is missing")
    return OutcomeLine(**{name: _checked(name, values[name]) for name in _TYPES if name in values})


def _checked(name: str, value: Any) -> Any:
    wanted = _TYPES[name]
    if wanted is bool:
        if not isinstance(value, bool):
            raise OutcomeLineError(f"{name} is {_shown(value)}, not true or false")
    elif wanted is str:
        _check_text(name, value)
    elif isinstance(value, bool) or not isinstance(value, int | float):
        raise OutcomeLineError(f"{name} is {_shown(value)}, not a number")
    elif wanted is int:
        limit = 65535 if name == "port" else COUNT_LIMIT
        if not isinstance(value, int) or not 0 <= value <= limit:
            raise OutcomeLineError(f"{name} is {_shown(value)}, not a whole number from 0 to {limit}")
    elif not 0 <= value < 1e11:
        raise OutcomeLineError(f"{name} is {_shown(value)}, not a time in seconds since 1970")
    return value


def _check_text(name: str, value: object) -> None:
    if not isinstance(value, str) or len(value) > 100:
        raise OutcomeLineError(f"{name} is {_shown(value)}, not a short text")
    allowed = {"end": _ENDS, "stage": _STAGES}.get(name)
    if allowed and value not in allowed:
        raise OutcomeLineError(f"{name} is {_shown(value)}, not one of {', '.join(allowed)}")


def _shown(value: object) -> str:
    if isinstance(value, list | dict):  # not written out: it may be nested as deeply as Python can bear
        return "an array" if isinstance(value, list) else "an object"
    text = ascii(value)
    return text if len(text) <= 40 else text[:37] + "..."
