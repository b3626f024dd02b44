"""What history says about a client: what its records and those around it are worth now.

Reading goes from the widest to the client: ASN, then one neighbourhood (the provider if that counts, else the network),
then the client. A level is read with the points of the wider one as its prior, which weighs as much as `PRIOR_WEIGHT`
sessions:

    p = (good + PRIOR_WEIGHT * p_prior) / (good + bad + PRIOR_WEIGHT),  points = 10 log10(p / (1 - p))

Neighbourhoods and ASNs are clipped to `network_limit`, and a client's own share is left out of them: nobody is his own
neighbour.
"""

from typing import NamedTuple

from frontproxy.core.amounts import others_text, own_text
from frontproxy.core.history import ClientRecord, Recalled, share_of_asn, share_of_provider
from frontproxy.core.level import NOTHING, Forgetting, Level, points_of, present, taught_by_others
from frontproxy.core.verdict import Reason

_LEAST_POINTS = 0.0005  # what is smaller is rounding, and no reason


class Recollection(NamedTuple):
    """What history says about a client. The points are the sum of the reasons."""

    points: float
    known: bool
    """Whether the client itself, and not only its neighbourhood, has history."""
    reasons: tuple[Reason, ...]
    own: float = 0.0
    """What its own record alone speaks for it, without any prior; never below 0."""


NOTHING_KNOWN = Recollection(0.0, known=False, reasons=())


class _Around(NamedTuple):
    """A level around the client."""

    name: str
    level: Level | None
    share: Level
    """The client's own."""
    whose: str
    """Of which other clients it speaks."""


def recollect(recalled: Recalled, *, now: float, forgetting: Forgetting) -> Recollection:
    """What is known now. Each reason has the points of its level less those of the wider one."""
    client = recalled.client
    if client is None and not (recalled.network or recalled.provider or recalled.asn):
        return NOTHING_KNOWN
    limit = forgetting.network_limit
    reasons = []  # the widest first
    prior = 0.0
    for around in (_asn(recalled), _neighbourhood(recalled, now, forgetting)):
        if around.level is None:
            continue
        others = taught_by_others(around.level, around.share, now, forgetting)
        points = max(-limit, min(limit, points_of(others, prior)))
        if abs(points - prior) >= _LEAST_POINTS:
            reasons.append(Reason(around.name, points - prior, others_text(others, around.whose)))
        prior = points
    own = 0.0
    if client:
        evidence = present(client.own, now, forgetting)
        points = points_of(evidence, prior)
        if abs(points - prior) >= _LEAST_POINTS:
            reasons.append(Reason("history", points - prior, own_text(client.own, now, forgetting)))
        own = max(0.0, points_of(evidence, 0.0))
    reasons.reverse()
    known = client is not None and client.own.n > 0.0
    return Recollection(sum(reason.points for reason in reasons), known, tuple(reasons), own)


def own_points(client: ClientRecord, *, now: float, forgetting: Forgetting) -> float:
    """What a client's own record is worth, on a prior of 0."""
    return points_of(present(client.own, now, forgetting), 0.0)


def _asn(recalled: Recalled) -> _Around:
    return _Around("asn", recalled.asn, share_of_asn(recalled), "in its ASN")


def _neighbourhood(recalled: Recalled, now: float, forgetting: Forgetting) -> _Around:
    """The provider if that counts, else the network."""
    keys, _name, client, network, provider, _asn = recalled
    if provider and provider.counts_for(keys.witness, now, forgetting):
        whose = f"of {recalled.domain}{f' (AS{keys.asn})' if keys.asn else ''}"
        return _Around("provider", provider.level, share_of_provider(recalled), whose)
    return _Around("network", network, client.network_share if client else NOTHING, "in its network")
