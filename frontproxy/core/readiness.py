"""Whether history suffices to enforce: whether those who send good mail are friends by now.

Strangers are half of all connections at many sites and always will be, so their share says little. What an enforcing
proxy must not do is to treat good senders as strangers: so it is the share of good sessions that came from friends
which must be large. Where many senders write once in a while it never is; so after a month, when waiting longer teaches
as much as is forgotten meanwhile, any share will do. And all of this is known only where outcomes arrive.
"""

from dataclasses import dataclass

DAYS_NEEDED = 7.0
DAYS_AT_MOST = 30.0
"""Days after which the share of friends is what it will be (the default of `good_half_life`)."""
FRIENDS_NEEDED = 0.5
"""Share of good sessions; the others are first-timers, and those who have come once or twice."""
OUTCOMES_NEEDED = 0.5
"""Share of sessions handed over; a feed that works tells more, whatever gets lost."""
GOOD_NEEDED = 50
"""Good sessions; a share of fewer says nothing."""


@dataclass(frozen=True, slots=True)
class Learned:
    """What has been learned so far; shares are of the last seven days, and None if there was nothing to share."""

    days: float
    """Since the first outcome was told."""
    sessions: int
    """In the last seven days, as are the next."""
    good: int
    known_share: float | None
    """Of all sessions: from clients with history of their own."""
    friend_share: float | None
    """Of good sessions: from friends."""
    outcome_share: float | None
    """Of sessions handed over: with an outcome that was told."""
    feeds_alive: bool


def missing(learned: Learned) -> list[str]:
    """What history lacks, in words; nothing if it suffices to enforce."""
    lacks = []
    if not learned.feeds_alive:
        lacks.append("no feed tells outcomes")
    if learned.outcome_share is not None and learned.outcome_share < OUTCOMES_NEEDED:
        share = learned.outcome_share
        lacks.append(f"only {share:.0%} of the sessions had an outcome that was told, of {OUTCOMES_NEEDED:.0%}")
    if learned.days < DAYS_NEEDED:
        lacks.append(f"it has been learned for {learned.days:.1f} days, of {DAYS_NEEDED:g}")
    elif learned.good < GOOD_NEEDED:
        lacks.append(f"there were {learned.good} good sessions in a week, of {GOOD_NEEDED}")
    elif learned.days < DAYS_AT_MOST and (learned.friend_share or 0.0) < FRIENDS_NEEDED:
        share = learned.friend_share or 0.0
        lacks.append(
            f"friends had {share:.0%} of the good sessions, of {FRIENDS_NEEDED:.0%}"
            f" (after {DAYS_AT_MOST:g} days that is enough)"
        )
    return lacks


def advice(learned: Learned, *, observing: bool) -> str:
    """One line for the operator."""
    if lacks := missing(learned):
        return f"history does not suffice to enforce yet: {'; '.join(lacks)}"
    if observing:
        return "history suffices to enforce: see `frontproxy preview`, then set mode"
    return "history suffices to enforce"
