"""Seconds since 1970 from the dates of logs: `Nov  2 14:03:01`, `2026-11-02T14:03:01.25+01:00`, `2026-11-02 14:03:01`.

A date without a year is of the year that puts it next to the line before; the first one, and any that is months away
from it, is of the latest year that does not put it after `now`, and at most of the year after that line's. A date
without a zone is of `zone`. Where that is ambiguous, in the hour that summer time gives back, the time goes on from the
line before. A stream without years that spans more than one is only read right if `year` is that of its first line.
"""

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Final

_MONTHS: Final = {
    month: number for number, month in enumerate(b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1)
}
_OFFSET: Final = re.compile(rb"([+-])([0-9]{2}):?([0-9]{2})")
_AHEAD: Final = 3600.0
"""Seconds that a line can be ahead of `now`: clocks differ."""
_NEAR: Final = 60 * 86400.0
"""Seconds between two lines of one stream that need no other reason for a year."""
_DISORDER: Final = 300.0
"""Seconds that a line can be older than the one before it."""
STEP_BACK: Final = 3600.0
"""Seconds by which a line is so much older that the clock was set, or that older lines follow newer ones."""
_LEAP_YEARS_APART: Final = 8


class Dates:
    """Reads the dates of one stream of lines. What a minute is, is worked out once a minute."""

    def __init__(self, *, year: int, now: float, zone: tzinfo | None) -> None:
        self._year, self._now, self._zone = year, now, zone
        self._minute = b""
        self._start: float | None = None  # of that minute
        self.last = 0.0
        """The time of the last date that was read."""

    def read(self, date: bytes) -> float | None:
        """The time that a date of one of the three forms says; None for one that no calendar has."""
        if date[3:4] == b" ":
            minute, seconds = date[:12], float(date[13:15])
        else:
            end = len(date) - len(date[19:].lstrip(b".0123456789"))
            minute, seconds = date[:16] + date[end:], float(date[17:end])
        if minute != self._minute:
            self._start, self._minute = self._start_of(minute), minute
        if self._start is None:
            return None
        self.last = self._start + seconds
        return self.last

    def _start_of(self, minute: bytes) -> float | None:
        try:
            if minute[3:4] == b" ":
                return self._without_year(minute)
            return self._with_zone(datetime.fromisoformat(minute[:16].decode("ascii")), minute[16:])
        except (ValueError, KeyError, OverflowError, OSError):
            return None

    def _with_zone(self, naive: datetime, zone: bytes) -> float:
        if not zone.strip():
            return self._local(naive)
        offset = _OFFSET.fullmatch(zone.strip())
        if offset is None:
            return naive.replace(tzinfo=UTC).timestamp()
        east = timedelta(hours=int(offset[2]), minutes=int(offset[3]))
        return naive.replace(tzinfo=timezone(east if offset[1] == b"+" else -east)).timestamp()

    def _without_year(self, minute: bytes) -> float | None:
        when = _MONTHS[minute[:3]], int(minute[4:6]), int(minute[7:9]), int(minute[10:12])
        found = None
        for year in self._years():
            try:
                time = self._local(datetime(year, *when))  # noqa: DTZ001  local time is what is meant
            except ValueError:  # 29 February
                continue
            if self.last and abs(time - self.last) < _NEAR:
                return time
            if found is None and time <= self._now + _AHEAD:
                found = time
        return found

    def _years(self) -> range:
        latest = datetime.fromtimestamp(self.last, UTC).year + 1 if self.last else self._year
        return range(latest, latest - _LEAP_YEARS_APART - 1, -1)

    def _local(self, naive: datetime) -> float:
        first, second = (naive.replace(tzinfo=self._zone, fold=fold).timestamp() for fold in (0, 1))
        return second if first < second and first < self.last - _DISORDER else first
