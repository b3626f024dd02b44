"""The brake: when a backend suddenly refuses its friends, it is the backend that is broken, and nothing bad is learned.

A recipient table that got lost must not turn every friend into a foe. So the sessions of settled friends are watched:
if bad ones among the last WINDOW are FACTOR times their usual share, and at least LEAST_CLIENTS friends had one (a
single friend may well have turned bad), the brake is on until their share is below that again. What is usual is
learned from sessions that have left the window, so that trouble does not become usual by its own beginning.
"""

from collections import deque
from dataclasses import dataclass, field

WINDOW = 20
"""Sessions of friends that are looked at."""
FACTOR = 5.0
LEAST_CLIENTS = 3
USUAL = 0.1
"""Share of bad sessions that is thought usual at first, with the weight of PRIOR sessions."""
PRIOR = 50.0
_MEMORY = 1000.0
"""Sessions after which what is usual has been forgotten by two thirds."""


@dataclass(slots=True)
class Brake:
    """The brake of one backend; tell it of friends' sessions, and read `on`."""

    on: bool = False
    _bad: float = USUAL * PRIOR
    _all: float = PRIOR
    _recent: deque[bytes | None] = field(default_factory=lambda: deque(maxlen=WINDOW))
    """The client of each bad session, None for each other."""

    @property
    def usual(self) -> float:
        """The share of friends' sessions that are bad when all is well."""
        return self._bad / self._all

    @property
    def recent(self) -> float:
        """Their share among the last WINDOW."""
        return sum(client is not None for client in self._recent) / WINDOW

    def note(self, client: bytes, *, bad: bool) -> bool:
        """A friend's session has ended; true if the brake has turned on or off."""
        if len(self._recent) == WINDOW and not self.on:
            keep = 1 - 1 / _MEMORY
            self._bad = self._bad * keep + (self._recent[0] is not None)
            self._all = self._all * keep + 1
        self._recent.append(client if bad else None)
        if not bad and not self.on:
            return False  # it takes a bad session to pull it
        before, self.on = self.on, self._is_pulled()
        return self.on != before

    def _is_pulled(self) -> bool:
        if len(self._recent) < WINDOW or self.recent < FACTOR * self.usual:
            return False
        return self.on or len(set(self._recent) - {None}) >= LEAST_CLIENTS

    def __str__(self) -> str:
        bad = round(self.recent * WINDOW)
        return f"{bad} of the last {WINDOW} sessions of friends were bad, usually {self.usual:.0%}"
