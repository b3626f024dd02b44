"""What earlier sessions taught about a client and its neighbourhood, and what that is worth now.

A level (a client, its network, its ASN) is what is known about one thing: good and bad evidence, in units of one
session. It forgets with time (`good_half_life`, `bad_half_life`) and with evidence: a unit of new evidence shrinks all
the old by 1 + 1/evidence_cap, so that what is known never exceeds about `evidence_cap` units, and a thousand good
sessions cannot buy a hundred bad ones. What is kept are present values at the last touch; ageing multiplies them by
numbers from 0 to 1, so nothing can overflow.

Reading goes from the widest level to the client. A level is read with the points of the wider one as its prior, which
weighs as much as `PRIOR_WEIGHT` sessions:

    p = (good + PRIOR_WEIGHT * p_prior) / (good + bad + PRIOR_WEIGHT),  points = 10 log10(p / (1 - p))

A network and an ASN are clipped to `network_limit`, and a client's own share is left out of them: nobody is his own
neighbour. To make that exact, a client's record keeps its share of both, aged as the level itself ages. A share whose
level was lost and began anew is 0; one whose level has since grown past it goes unnoticed, and is nearly forgotten.
"""

from dataclasses import dataclass
from math import log10
from typing import NamedTuple

from frontproxy.core.verdict import Reason

PRIOR_WEIGHT = 2.0
"""How many sessions of a client's own it takes to weigh as much as its neighbourhood."""

GOOD_A_DAY = 10.0
"""Units of good evidence that a client can earn in a day."""

_DAY = 86400.0
_LEAST_POINTS = 0.0005  # what is smaller is rounding, and no reason
_UNITS = ((_DAY, "day"), (3600.0, "hour"), (60.0, "minute"))


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


@dataclass(frozen=True, slots=True)
class Level:
    """What is known about one client, network or ASN (or a client's share in that), as it was at its last touch."""

    t: float
    """When it was last touched, in seconds since 1970."""
    n: float
    """Units of evidence it has seen in all; this never fades."""
    good: float
    bad: float


NOTHING = Level(0.0, 0.0, 0.0, 0.0)
"""A level that has seen nothing."""


@dataclass(frozen=True, slots=True)
class ClientRecord:
    """All that is kept about a client."""

    own: Level
    network_share: Level
    """Its own part of its network's evidence; `t` and `n` are the network's at that moment."""
    asn_share: Level
    spent: float
    """Units of good evidence lately earned; drains by `GOOD_A_DAY` a day."""


class Recollection(NamedTuple):
    """What history says about a client. The points are the sum of the reasons."""

    points: float
    known: bool
    """Whether the client itself, and not only its neighbourhood, has history."""
    reasons: tuple[Reason, ...]


NOTHING_KNOWN = Recollection(0.0, known=False, reasons=())


def recollect(
    client: ClientRecord | None, network: Level | None, asn: Level | None, *, now: float, forgetting: Forgetting
) -> Recollection:
    """What is known now. Each reason has the points of its level less those of the wider one."""
    if client is None and network is None and asn is None:
        return NOTHING_KNOWN
    limit = forgetting.network_limit
    asn_others = _without(asn, client.asn_share if client else None, now, forgetting)
    asn_points = max(-limit, min(limit, _points(asn_others, 0.0)))
    others = _without(network, client.network_share if client else None, now, forgetting)
    network_points = max(-limit, min(limit, _points(others, asn_points)))
    known = client is not None and client.own.n > 0.0
    own = _present(client.own, now, forgetting) if client else (0.0, 0.0)
    own_points = _points(own, network_points)
    reasons = []
    if client and abs(own_points - network_points) >= _LEAST_POINTS:
        text = f"{_amount(own)}, the last {_ago(now - client.own.t)}"
        reasons.append(Reason("history", own_points - network_points, text))
    if abs(network_points - asn_points) >= _LEAST_POINTS:
        text = f"{_amount(others)} of other clients in its network"
        reasons.append(Reason("network", network_points - asn_points, text))
    if abs(asn_points) >= _LEAST_POINTS:
        reasons.append(Reason("asn", asn_points, f"{_amount(asn_others)} of other clients in its ASN"))
    return Recollection(sum(reason.points for reason in reasons), known, tuple(reasons))


def learn(  # noqa: PLR0913  three levels, what happened, when: nothing here has a life of its own
    client: ClientRecord | None,
    network: Level | None,
    asn: Level | None,
    *,
    good: float,
    bad: float,
    now: float,
    forgetting: Forgetting,
    asn_known: bool = True,
) -> tuple[ClientRecord, Level, Level | None]:
    """The three levels after one more session of `good` and `bad` units (0 or more, see `core.outcome`).

    With `asn_known` false there is no ASN to learn about: None comes back in its place. Good units beyond `GOOD_A_DAY`
    are not counted. A session that counts nothing should not be learned, or strangers fill the history with nothing.
    """
    record = client or ClientRecord(NOTHING, NOTHING, NOTHING, 0.0)
    spent = max(0.0, record.spent - GOOD_A_DAY * max(0.0, now - record.own.t) / _DAY)
    good = min(good, max(0.0, GOOD_A_DAY - spent))
    weight = 1.0 / (1.0 + sum(_present(record.own, now, forgetting)))
    own = _grown(record.own, good, bad, now, forgetting)
    network, network_share = _shared(network, record.network_share, good * weight, bad * weight, now, forgetting)
    if asn_known:
        asn, asn_share = _shared(asn, record.asn_share, good * weight, bad * weight, now, forgetting)
    else:
        asn, asn_share = None, NOTHING
    return ClientRecord(own, network_share, asn_share, spent + good), network, asn


def aged(level: Level, now: float, forgetting: Forgetting, evidence: float = 0.0) -> Level:
    """The level as it is now, after so many units of evidence more; a step back in time is a step of 0."""
    return Level(max(level.t, now), level.n + evidence, *_present(level, now, forgetting, evidence))


def _present(level: Level, now: float, forgetting: Forgetting, evidence: float = 0.0) -> tuple[float, float]:
    """The good and the bad that are left."""
    step = max(0.0, now - level.t)
    kept = (1.0 + 1.0 / forgetting.evidence_cap) ** -evidence
    return (
        level.good * kept * 2.0 ** -(step / forgetting.good_half_life),
        level.bad * kept * 2.0 ** -(step / forgetting.bad_half_life),
    )


def _grown(level: Level, good: float, bad: float, now: float, forgetting: Forgetting) -> Level:
    old = aged(level, now, forgetting, good + bad)
    return Level(old.t, old.n, old.good + good, old.bad + bad)


def _shared(
    level: Level | None, share: Level, good: float, bad: float, now: float, forgetting: Forgetting
) -> tuple[Level, Level]:
    """A neighbourhood after a session, and the client's share in it at the same moment."""
    level = level or NOTHING
    if _outlived(share, level):
        share = NOTHING
    grown = _grown(level, good, bad, now, forgetting)
    old = aged(share, grown.t, forgetting, grown.n - share.n)
    return grown, Level(grown.t, grown.n, old.good + good, old.bad + bad)


def _without(level: Level | None, share: Level | None, now: float, forgetting: Forgetting) -> tuple[float, float]:
    """The good and the bad that others taught about a neighbourhood."""
    if level is None:
        return 0.0, 0.0
    good, bad = _present(level, now, forgetting)
    if share is None or _outlived(share, level):
        return good, bad
    own_good, own_bad = _present(share, max(level.t, now), forgetting, level.n - share.n)
    return max(0.0, good - own_good), max(0.0, bad - own_bad)


def _outlived(share: Level, level: Level) -> bool:
    """Whether the level was lost and began anew, so that nothing of this share is in it."""
    return level.n < share.n


def _points(present: tuple[float, float], prior_points: float) -> float:
    good, bad = present
    if not good and not bad:
        return prior_points
    odds = 10.0 ** (prior_points / 10.0)
    return 10.0 * log10((good + PRIOR_WEIGHT * odds / (1.0 + odds)) / (bad + PRIOR_WEIGHT / (1.0 + odds)))


def _amount(present: tuple[float, float]) -> str:
    parts = [f"{units:.1f} {kind}" for units, kind in zip(present, ("good", "bad"), strict=True) if units >= 0.05]
    return f"still worth {' and '.join(parts) or 'less than 0.1'} sessions"


def _ago(seconds: float) -> str:
    for length, name in _UNITS:
        if seconds >= length:
            count = int(seconds / length)
            return f"{count} {name}{'s' if count > 1 else ''} ago"
    return "just now"
