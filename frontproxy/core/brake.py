"""The brake: when a backend suddenly refuses its friends, it is the backend that is broken, and refusals teach nothing.

A recipient table that got lost must not turn every friend into a foe. So the last session of each of the friends that
were seen lately is watched, at most WINDOW of them. It is a bad one if what the server refused in it (recipients, for
whatever reason) counts at least BAD units. What a broken server has no part in, as content, traps or manners, is none
of the brake's business, and is learned while it is on, too.

The brake is on while the bad ones are FACTOR times their usual share, and at least SHARE of all, and of LEAST friends.
The friends of one network count once, however many they are and sessions they have, so a few that turned hostile cannot
pull the brake, where next to nothing is usual either: it takes a third of the friends of a small site, and twelve of a
large one. A site that saw fewer than LEAST friends in a day has no brake. What is usual is the mean of that share over
some MEMORY sessions, in which again a network counts once; it is not learned while the brake is on, so that trouble
does not become usual.

It ends when enough friends were welcome again, and after STALE without a bad session of a friend.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from math import inf

WINDOW = 36
"""Friends whose last sessions are looked at."""
LATELY = 86400.0
"""Seconds for which they are."""
BAD = 0.2
"""Units: one unknown recipient. A bounce to a forged sender counts less."""
FACTOR = 5.0
SHARE = 1 / 3
LEAST = 4
LEAST_SESSIONS = 20
"""Sessions of friends before anything is concluded."""
STALE = 3600.0
"""Seconds."""
USUAL = 0.05
"""Share of bad sessions that is thought usual at first."""
MEMORY = 1000.0
_ENOUGH = 0.8  # share that is always enough, however bad the usual one is


@dataclass(slots=True)
class Brake:
    """The brake of one backend; tell it of friends' sessions, and read `on`. Times are monotonic seconds."""

    on: bool = False
    usual: float = USUAL
    """The share of friends whose sessions are bad when all is well."""
    _sessions: int = 0
    _bad_at: float = -inf
    _last: OrderedDict[bytes, tuple[float, bool]] = field(default_factory=OrderedDict)
    """When the last session of each friend was, and whether it was bad; the eldest first."""

    def note(self, network: bytes, *, bad: bool, now: float) -> bool:
        """A session of a friend in this network has ended; true if the brake has turned on or off."""
        self._sessions += 1
        self._last[network] = now, bad
        self._last.move_to_end(network)
        while len(self._last) > WINDOW or next(iter(self._last.values()))[0] < now - LATELY:
            self._last.popitem(last=False)
        if bad:
            self._bad_at = now
        if not (bad or self.on):  # it takes a bad session to pull it
            self._learn_usual()
            return False
        before, self.on = self.on, self._is_pulled(now)
        if not self.on:
            self._learn_usual()
        return self.on != before

    def let_go(self, now: float) -> bool:
        """Somebody else's session has ended; true if the brake has turned off, as no friend had a bad one for long."""
        before, self.on = self.on, self.on and now - self._bad_at <= STALE
        return self.on != before

    def _bad(self) -> int:
        return sum(bad for _at, bad in self._last.values())

    def _learn_usual(self) -> None:
        self.usual += (self._bad() / len(self._last) - self.usual) / MEMORY

    def _is_pulled(self, now: float) -> bool:
        if self._sessions < LEAST_SESSIONS or now - self._bad_at > STALE:
            return False
        share = min(_ENOUGH, max(SHARE, FACTOR * self.usual))
        return self._bad() >= max(LEAST, share * len(self._last))

    def __str__(self) -> str:
        return f"{self._bad()} of the last {len(self._last)} sessions of friends were bad, usually {self.usual:.0%}"
