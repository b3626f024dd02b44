"""Wall time that does not jump: anchored to the monotonic clock, and moved towards the system's time slowly.

History forgets with time, so a clock that is set a year ahead for a minute must not make it forget a year.
"""

from collections.abc import Callable

SLEW = 0.001
"""Seconds of correction for each second that passes: an hour's error is mended in about six weeks."""


class AnchoredClock:
    """Wall time in seconds since 1970."""

    def __init__(self, wall: Callable[[], float], monotonic: Callable[[], float]) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._seen = monotonic()
        self._now = wall()

    def now(self) -> float:
        """The time, at most SLEW faster or slower than time really passes."""
        seen = self._monotonic()
        passed, self._seen = seen - self._seen, seen
        self._now += passed
        error = self._wall() - self._now
        reach = passed * SLEW
        self._now += min(max(error, -reach), reach)
        return self._now

    def latest(self) -> float:
        """The later of our time and the system's, by which feeds stamp what they tell."""
        return max(self.now(), self._wall())

    def error(self) -> float:
        """Seconds by which the system's clock is ahead of ours."""
        return self._wall() - self.now()
