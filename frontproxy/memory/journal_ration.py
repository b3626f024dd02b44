"""Who is recorded in the journal when more come than it may hold: every so many-th, which then stands for the others.

The clients that we know are recorded as long as they come at a rate that a disk does not notice, strangers only now and
then: a flood of a million of them writes as many rows as a calm day does.
"""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Ration:
    """Rows that may be written: `rate` a second, and what was saved, up to `burst`."""

    rate: float
    burst: float
    _left: float = field(init=False)
    _at: float = 0.0
    _passed_over: int = 0

    def __post_init__(self) -> None:
        self._left = self.burst

    def stands_for(self, now: float) -> int:
        """How many sessions the row of one that comes now stands for; 0 if it gets none. `now` is in seconds."""
        self._left = min(self.burst, self._left + max(0.0, now - self._at) * self.rate)
        self._at = now
        if self._left < 1.0:
            self._passed_over += 1
            return 0
        self._left -= 1.0
        sessions, self._passed_over = 1 + self._passed_over, 0
        return sessions
