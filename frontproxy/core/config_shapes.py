"""What one value of config.toml may look like: a shape takes what TOML gave, and returns our value or raises Wrong."""

import re
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from frontproxy.core.durations import duration_text, parse_duration

Shape = Callable[[Any], Any]
Complaint = tuple[str, str]
"""What is wrong, and the remedy."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")


class Wrong(Exception):
    """A value that cannot be used: one complaint, or one for each bad member of an array."""

    def __init__(self, *complaints: Complaint) -> None:
        super().__init__(complaints)
        self.complaints = complaints


def shown(value: Any) -> str:
    """A value for people: short, on one line, and in TOML's spelling."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "an array"
    if isinstance(value, int) and abs(value) >= 10**40:
        return "a number of more than 40 digits"  # Python refuses to print thousands of digits
    quoted = f'"{ascii(value)[1:-1]}"' if isinstance(value, str) else str(value)
    return quoted if len(quoted) <= 60 else f"{quoted[:50]}..."


def meant(word: str, known: Sequence[str], otherwise: str) -> str:
    """The remedy for a word that is not known: the nearest one that is."""
    near = get_close_matches(word, known, n=1)
    return f"did you mean {near[0]}?" if near else otherwise


def flag(value: Any) -> bool:
    """True or false."""
    if isinstance(value, bool):
        return value
    raise Wrong((f"{shown(value)} is not a yes or no", "write true or false, without quotes"))


def text(value: Any) -> str:
    """Text that can stand on one line."""
    if isinstance(value, str) and all(character.isprintable() for character in value):
        return value
    raise Wrong((f"{shown(value)} is not a line of text", "write it in quotes, without control characters"))


def name(value: Any) -> str:
    """A name for a list or a pool; it will stand in log lines and rules."""
    if _NAME.fullmatch(text(value)):
        return str(value)
    raise Wrong((f"{shown(value)} cannot be a name", "use at most 32 letters, digits, - and _"))


def path(value: Any) -> Path:
    """The path of a file or a socket, not yet resolved."""
    if text(value):
        return Path(value)
    raise Wrong(("the path is empty", "write the path of a file or a socket"))


def one_of(*words: str) -> Shape:
    """One word of a few."""

    def shape(value: Any) -> str:
        if value in words:
            return str(value)
        allowed = ", ".join(f'"{word}"' for word in words)
        raise Wrong((f"{shown(value)} is not possible here", meant(str(value), words, f"write one of {allowed}")))

    return shape


def whole(low: int, high: int) -> Shape:
    """A whole number from `low` to `high`."""

    def shape(value: Any) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return value
        raise Wrong((f"{shown(value)} is not possible here", f"write a whole number from {low} to {high}"))

    return shape


def number(low: float, high: float) -> Shape:
    """A number from `low` to `high`; TOML's inf and nan are none."""

    def shape(value: Any) -> float:
        if isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high:
            return float(value)
        raise Wrong((f"{shown(value)} is not possible here", f"write a number from {low:g} to {high:g}"))

    return shape


def duration(low: float, high: float) -> Shape:
    """A duration from `low` to `high` seconds."""

    def shape(value: Any) -> float:
        try:
            seconds = parse_duration(value if isinstance(value, str) else "")
        except ValueError:
            example = f'"{value}s"' if isinstance(value, int) and 0 < value < 10**9 else '"30s"'
            remedy = f"write a whole number and a unit (ms, s, m, h, d, w) in quotes, such as {example}"
            raise Wrong((f"{shown(value)} is not a duration", remedy)) from None
        if low <= seconds <= high:
            return seconds
        limits = f"from {duration_text(low)} to {duration_text(high)}"
        raise Wrong((f"{shown(value)} is not possible here", f"write a duration {limits}"))

    return shape


def array_of(member: Shape, *, at_least: int = 0, at_most: int = 1_000_000) -> Shape:
    """An array whose members all have one shape, none of them twice."""

    def shape(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise Wrong((f"{shown(value)} is not an array", "put it in brackets: [ ... ]"))
        members: dict[Any, None] = {}
        complaints: list[Complaint] = []
        for element in value:
            try:
                item = member(element)
            except Wrong as wrong:
                complaints.extend(wrong.complaints)
                continue
            if item in members:
                complaints.append((f"{shown(element)} is there twice", "remove one of the two"))
            members[item] = None
        if len(value) > at_most:
            complaints.append((f"the array has {len(value)} members", f"write at most {at_most}"))
        if len(value) < at_least:
            complaints.append(("the array is empty", "write at least one member, or remove the line for the default"))
        if complaints:
            raise Wrong(*complaints)
        return tuple(members)

    return shape
