"""Evidence that is forgotten: what is known about one client, network, provider or ASN, and what it is worth.

A level is good and bad evidence, in units of one session. It forgets with time (`good_half_life`, `bad_half_life`) and
with evidence: a unit of new evidence shrinks all the old by 1 + 1/evidence_cap, so that what is known never exceeds
about `evidence_cap` units, and a thousand good sessions cannot buy a hundred bad ones. What is kept are present values
at the last touch; ageing multiplies them by numbers from 0 to 1, so nothing can overflow.

A client's share in a level is the part of it that the client itself has taught, aged as the level ages, so that it can
be left out exactly. It has at most `SHARE_LIMIT` units of each kind: a client whose share is full teaches no more, or
one that never stops would in the end be all that is known of its neighbours. A share whose level was lost and began
anew is 0; one whose level has since grown past it goes unnoticed, and is nearly forgotten.
"""

from dataclasses import dataclass
from math import log10
from typing import NamedTuple

PRIOR_WEIGHT = 2.0
"""How many sessions of a client's own it takes to weigh as much as its neighbourhood."""

SHARE_LIMIT = 3.0
"""Units of good evidence, and of bad, that one client can have in its neighbourhood."""

_LEAST_EVIDENCE = 1e-6  # units; less is rounding
_ROUNDING = 1e-6  # what a share may have gained on its way to the disk and back


@dataclass(frozen=True, slots=True)
class Forgetting:
    """How fast evidence fades, and how much a neighbourhood may say. All values are above 0."""

    good_half_life: float
    """Seconds."""
    bad_half_life: float
    """Seconds."""
    evidence_cap: float
    """Units of evidence after which the next one only replaces old ones."""
    network_limit: float
    """Points."""


class Level(NamedTuple):
    """What is known about one thing (or a client's share in that), as it was at its last touch."""

    t: float
    """When it was last touched, in seconds since 1970."""
    n: float
    """Units of evidence it has seen in all; this never fades."""
    good: float
    bad: float


NOTHING = Level(0.0, 0.0, 0.0, 0.0)
"""A level that has seen nothing."""

Present = tuple[float, float]
"""The good and the bad that are left now."""


def present(level: Level, now: float, forgetting: Forgetting, evidence: float = 0.0) -> Present:
    """What is left at `now`, after so many units of evidence more; a step back in time is a step of 0."""
    step = now - level.t if now > level.t else 0.0
    kept = (1.0 + 1.0 / forgetting.evidence_cap) ** -evidence if evidence else 1.0
    return (
        level.good * kept * 2.0 ** -(step / forgetting.good_half_life),
        level.bad * kept * 2.0 ** -(step / forgetting.bad_half_life),
    )


def aged(level: Level, now: float, forgetting: Forgetting, evidence: float = 0.0) -> Level:
    """The level as it is at `now`, after so many units of evidence more."""
    return Level(max(level.t, now), level.n + evidence, *present(level, now, forgetting, evidence))


def left_of(good: float, bad: float, then: float, now: float, forgetting: Forgetting) -> Present:
    """What time has left at `now` of units that were new `then`; all of them if that is later."""
    return present(Level(then, 0.0, good, bad), now, forgetting) if now > then else (good, bad)


def grown(
    level: Level, good: float, bad: float, now: float, forgetting: Forgetting, evidence: float | None = None
) -> Level:
    """The level after a session of so many units; good ones below 0 are taken back, as far as there are any.

    It displaces as much as it adds, if `evidence` does not say how much.

    Of a session from before the last touch (learned from old logs) counts what time would have left of it by then, and
    that counts as new: it displaces as much as it adds. So old logs can be read in any order, and cannot wash away what
    is known since.
    """
    good, bad = left_of(good, bad, now, level.t, forgetting)
    old = aged(level, now, forgetting, max(0.0, good) + bad if evidence is None else evidence)
    return Level(old.t, old.n, max(0.0, old.good + good), old.bad + bad)


def shrunk(level: Level, good: float, bad: float, evidence: float, forgetting: Forgetting) -> Level:
    """The level without its latest units, of which so many are left; `evidence` says how many displaced old ones.

    What they displaced comes back, which turns `grown` round.
    """
    n = level.n - evidence
    if n < _LEAST_EVIDENCE:
        return Level(level.t, 0.0, 0.0, 0.0)
    back = (1.0 + 1.0 / forgetting.evidence_cap) ** evidence
    # Nobody has more than it has seen: rounding, which grows on the way back, ends there.
    return Level(level.t, n, min(n, _less(level.good, good) * back), min(n, _less(level.bad, bad) * back))


def taught(
    level: Level, share: Level, good: float, bad: float, now: float, forgetting: Forgetting
) -> tuple[Level, Level]:
    """A neighbourhood after a client's session, and the client's share in it at the same moment.

    The units count as far as there is room for them in the share; good ones below 0 as far as the share has any.
    """
    if _outlived(share, level):
        share = NOTHING
    good, bad = left_of(good, bad, now, level.t, forgetting)
    now = max(level.t, now)
    share = aged(share, now, forgetting, level.n - share.n)
    bad = min(bad, max(0.0, SHARE_LIMIT - share.bad))
    good = min(good, max(0.0, SHARE_LIMIT - share.good))
    if good < 0.0:
        good = max(good, -present(share, now, forgetting, bad)[0])
    level = grown(level, good, bad, now, forgetting)
    share = grown(share, good, bad, now, forgetting)
    return level, Level(level.t, level.n, share.good, share.bad)


def untaught(
    level: Level, share: Level, good: float, bad: float, then: float, forgetting: Forgetting
) -> tuple[Level, Level]:
    """A neighbourhood and a client's share in it without a session that taught it so many units `then`.

    Never more goes than the share has. What the units had displaced does not come back, nor do they leave `n`: by that
    the shares of all others are aged, who would have to be found to be told of it.
    """
    share = NOTHING if _outlived(share, level) else aged(share, level.t, forgetting, level.n - share.n)
    left_good, left_bad = left_of(good, bad, then, level.t, forgetting)
    gone_good, gone_bad = min(left_good, share.good), min(left_bad, share.bad)
    return _lessened(level, gone_good, gone_bad), _lessened(share._replace(n=level.n), gone_good, gone_bad)


def without(level: Level, share: Level, forgetting: Forgetting) -> Level:
    """A neighbourhood without a client's share in it; what that had displaced does not come back."""
    return Level(level.t, level.n, *taught_by_others(level, share, level.t, forgetting))


def part_taken(before: Level, after: Level, offered: float, then: float, forgetting: Forgetting) -> float:
    """The part of so many units of evidence, new `then`, that a neighbourhood has taken between these two moments."""
    offered, _ = left_of(offered, 0.0, then, after.t, forgetting)
    return (after.n - before.n) / offered if offered else 0.0


def taught_by_others(level: Level, share: Level, now: float, forgetting: Forgetting) -> Present:
    """What is left in a neighbourhood of what others than the client taught."""
    good, bad = present(level, now, forgetting)
    if _outlived(share, level):
        return good, bad
    own_good, own_bad = present(share, max(level.t, now), forgetting, level.n - share.n)
    return max(0.0, good - own_good), max(0.0, bad - own_bad)


def points_of(evidence: Present, prior_points: float) -> float:
    """What evidence is worth over a prior; see `core.history`."""
    good, bad = evidence
    if not good and not bad:
        return prior_points
    odds = 10.0 ** (prior_points / 10.0)
    return 10.0 * log10((good + PRIOR_WEIGHT * odds / (1.0 + odds)) / (bad + PRIOR_WEIGHT / (1.0 + odds)))


def _lessened(level: Level, good: float, bad: float) -> Level:
    return Level(level.t, level.n, _less(level.good, good), _less(level.bad, bad))


def _less(units: float, gone: float) -> float:
    """The units without those; what only rounding leaves of them is nothing."""
    left = units - gone
    return left if left > 1e-12 * units else 0.0


def _outlived(share: Level, level: Level) -> bool:
    """Whether the level was lost and began anew, so that nothing of this share is in it."""
    return level.n < share.n * (1.0 - _ROUNDING)
