"""Durations as operators write them: an integer and a unit, `250ms` or `30d`; inside they are seconds."""

import re
from typing import Final

_UNITS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
"""Milliseconds, the smallest unit first."""
_SPANS: Final = ((86400.0, "day"), (3600.0, "hour"), (60.0, "minute"))
_FORM: Final = re.compile(r"([0-9]{1,9})(ms|[smhdw])")


def parse_duration(text: str) -> float:
    """The seconds of a duration; raises ValueError for anything else, also for more than nine digits."""
    form = _FORM.fullmatch(text)
    if not form:
        raise ValueError(f"{text[:40]!r} is not a duration")
    return int(form[1]) * _UNITS[form[2]] / 1000


def duration_text(seconds: float) -> str:
    """The shortest way to write a duration, to the millisecond: 60.0 is `1m`."""
    milliseconds = round(seconds * 1000)
    if not milliseconds:
        return "0s"
    unit = max((unit for unit, size in _UNITS.items() if milliseconds % size == 0), key=_UNITS.__getitem__)
    return f"{milliseconds // _UNITS[unit]}{unit}"


def ago(seconds: float) -> str:
    """How long ago something was, for people, in its largest unit: `2 days ago`, `just now`."""
    for length, name in _SPANS:
        if seconds >= length:
            count = int(seconds / length)
            return f"{count} {name}{'s' if count > 1 else ''} ago"
    return "just now"
