"""How soon a system changes its mind: a friend that turns bad, and a good client that was thought bad.

Each client lives alone, with a bare past around it; what is measured is how many sessions it takes until the system
thinks no better of it (or no worse) than of a stranger from another network with the same kind of name.
"""

from collections.abc import Callable
from random import Random
from typing import Final, NamedTuple

from tests.bench.simulate_assumptions import DAY, HOUR, Assumptions
from tests.bench.simulate_outcomes import line_of
from tests.bench.simulate_people import Fate, Land, Visit, answer
from tests.bench.simulate_system import Session, System

GOOD_BEFORE: Final = 1000
"""Good sessions of a friend before it turns, a month long."""
BAD_BEFORE: Final = 60
"""Bad ones, in two days, of a client that did nothing."""
LIMIT: Final = 5000
"""Sessions after which nobody waits any longer."""


class Turn(NamedTuple):
    """Sessions it took; LIMIT if that was not enough."""

    friend_until: int
    """Bad sessions until its sessions went to the reserved places no more."""
    better_until: int
    """Bad ones until it was thought no better of than of a stranger."""
    worse_until: int
    """Good ones until it was thought no worse of than of a stranger."""


Opened = Callable[[Land], System]


def turn(opened: Opened, assumptions: Assumptions, chance: Random) -> Turn:
    """One client of each kind."""
    better = _Life(opened, assumptions, chance)
    better.sends(GOOD_BEFORE, 30 * DAY / GOOD_BEFORE, is_ham=True)
    friend_until = better_until = LIMIT
    for number in range(LIMIT):
        if friend_until == LIMIT and not better.is_friend:
            friend_until = number
        if better.lead <= 0.0:
            better_until = number
            break
        better.sends(1, 60.0, is_ham=False)
    worse = _Life(opened, assumptions, chance)
    worse.sends(BAD_BEFORE, 2 * DAY / BAD_BEFORE, is_ham=False)
    for number in range(LIMIT):
        if worse.lead >= 0.0:
            return Turn(friend_until, better_until, number)
        worse.sends(1, HOUR, is_ham=True)
    return Turn(friend_until, better_until, LIMIT)


class _Life:
    """One client, and a stranger to compare it with."""

    def __init__(self, opened: Opened, assumptions: Assumptions, chance: Random) -> None:
        land = Land({})
        self._system = opened(land)
        self._fate = Fate(chance, assumptions.wrong, assumptions.missing, 0.0)
        name = answer("confirmed", "mx.client.example")
        self._client = land.sender(land.network(1), 1, "server", name)
        self._stranger = land.sender(land.network(2), 1, "server", answer("confirmed", "mx.other.example"))
        self._now = 0.0

    @property
    def is_friend(self) -> bool:
        """It gets a reserved place, or may, where there are none."""
        return self._system.standing(self._client, self._now).where == "reserved"

    @property
    def lead(self) -> float:
        """How much better its rank is than the stranger's; 0 if the difference is rounding."""
        ranks = [self._system.standing(sender, self._now).rank for sender in (self._client, self._stranger)]
        return round(ranks[0] - ranks[1], 6)

    def sends(self, sessions: int, apart: float, *, is_ham: bool) -> None:
        """So many sessions, so many seconds apart, each told at once if at all."""
        for _ in range(sessions):
            visit = self._fate.visit(self._now, self._client, is_ham=is_ham, length=3.0)
            self._serve(visit)
            self._now += apart

    def _serve(self, visit: Visit) -> None:
        session = Session(visit, self._now)
        session.judgement = self._system.judge(session, self._now, stress=False)
        self._system.left(session, self._now, served=True)
        if visit.is_told:
            line = line_of(visit, self._now, stress=False, early=False)
            self._system.learn(session, line, self._now)
