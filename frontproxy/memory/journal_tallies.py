"""How many sessions came, and how many of them told us something, hour by hour: whether history suffices."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

HOURS_KEPT = 60 * 24
_HOUR = 3600.0


@dataclass(slots=True)
class Tally:
    """What happened in one hour, or in many."""

    sessions: int = 0
    """Given away or refused by us, or let in by others who told us."""
    known: int = 0
    """Those of clients with history of their own."""
    handed: int = 0
    """Given away, or let in by others."""
    told: int = 0
    """Those whose outcome was told."""
    good: int = 0
    """Those whose outcome was good."""
    friends: int = 0
    """Those of them that were friends when they came."""

    def add(self, other: "Tally") -> None:
        """Count what another has counted."""
        for name in Tally.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Tallies:
    """The tallies of the last hours. Times are in seconds since 1970."""

    def __init__(self) -> None:
        self._hours: dict[int, Tally] = {}
        self._changed: set[int] = set()
        self._is_restored = False
        self._hour = -1
        self._now = Tally()

    def at(self, wall: float) -> Tally:
        """The tally of an hour, which is about to change."""
        hour = int(wall // _HOUR)
        self._changed.add(hour)
        if hour != self._hour:
            self._hour, self._now = hour, self._hours.setdefault(hour, Tally())
            for old in [one for one in self._hours if one < hour - HOURS_KEPT]:
                del self._hours[old]
        return self._now

    def total(self, since: float) -> Tally:
        """All that was counted since then, to the hour."""
        total = Tally()
        for hour, tally in self._hours.items():
            if hour >= since // _HOUR:
                total.add(tally)
        return total

    def first_told(self) -> float | None:
        """When the first outcome was told that is still counted, to the hour."""
        hours = [hour for hour, tally in self._hours.items() if tally.told]
        return min(hours) * _HOUR if hours else None

    def restore(self, hours: Mapping[int, Tally]) -> None:
        """Go on from what was written earlier, by the hour since 1970; only once, or it would count twice."""
        if self._is_restored or not hours:
            return
        self._is_restored = True
        for hour, tally in hours.items():
            self._hours.setdefault(hour, Tally()).add(tally)

    def take_changed(self) -> dict[int, Tally]:
        """Those that have changed, as they are now, by the hour."""
        hours, self._changed = self._changed, set()
        return {hour: replace(self._hours[hour]) for hour in hours if hour in self._hours}

    def give_back(self, hours: Iterable[int]) -> None:
        """These could not be written."""
        self._changed.update(hours)
