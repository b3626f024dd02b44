"""Judging: from evidence to a verdict. The first of these that applies decides where the session goes:

a pin (its pool), a deciding list (a refusal, or the first pool), the first rule that holds. In observe mode everyone
goes to the first pool, and the verdict says where it would have gone.
"""

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple, Protocol

from frontproxy.core.config import Config, RouteSettings
from frontproxy.core.evidence import Evidence, Listed
from frontproxy.core.verdict import Reason, Route, Verdict

FOE_AT = -15.0
"""At or below: a foe."""
STRESS_PAUSE = 2.0
"""Seconds a stranger keeps silent when a pool is under stress, if `listen.pause` is not shorter."""
DENIED = "554 5.7.1 Access denied"


class Pin(Protocol):
    """An operator's override (`memory.pins` keeps them): the network as written, and the pool."""

    @property
    def network(self) -> str: ...
    @property
    def pool(self) -> str: ...


class Weather(NamedTuple):
    """What the pools look like at the moment of judging."""

    stress: tuple[str, ...]
    """Names of the pools under stress."""
    open_in: Callable[[str], int]
    """Places taken in a pool; of all pools together for the empty name."""


def judge(evidence: Evidence, config: Config, *, pin: Pin | None, weather: Weather) -> Verdict:
    """The verdict on one client; the same arguments give the same verdict."""
    score = round(evidence.score, 6)
    standing = _standing(score, config.listen.settled)
    listed = evidence.decided_by()
    route = _route(evidence, score, standing, config, pin=pin, listed=listed, weather=weather)
    observing = config.mode == "observe"
    return Verdict(
        client=evidence.address,
        score=score,
        reasons=evidence.reasons,
        route=Route(pool=config.pools[0].name) if observing else route,
        would=route if observing else None,
        settled=standing != "stranger" or pin is not None or listed is not None,
        pinned=pin.network if pin else "",
        standing=standing,
        learning=_learning(evidence),
        is_vouched_for=evidence.vouched >= config.listen.settled,
        stress=weather.stress,
        seen=evidence.seen,
    )


def stranger(address: str, config: Config) -> Verdict:
    """What a client gets when judging itself has failed: a stranger's verdict, and the last route."""
    reason = Reason("unjudged", 0.0, "judging failed; see the log")
    last = config.routes[-1]
    route = Route(pool=config.pools[0].name) if config.mode == "observe" else Route(pool=last.to, reply=last.reply)
    return Verdict(address, 0.0, (reason,), route, settled=False)


def health_check(address: str, config: Config) -> Verdict:
    """A proxy in front of us looks whether we serve: it is served where our best clients are, and never learned."""
    reason = Reason("health_check", 0.0, "a health check of the proxy in front")
    route = Route(pool=config.pools[0].name)
    return Verdict(address, 0.0, (reason,), route, settled=True, learning="none")


def pause(score: float, config: Config, *, stress: bool) -> float:
    """Seconds a client must keep silent: all of it at a score of 0 or less, none for a friend."""
    longest = min(config.listen.pause, STRESS_PAUSE) if stress else config.listen.pause
    settled = config.listen.settled
    return longest * min(max((settled - score) / settled, 0.0), 1.0) if settled > 0 else longest


def _standing(score: float, settled: float) -> Literal["friend", "stranger", "foe"]:
    if score >= settled:
        return "friend"
    return "foe" if score <= FOE_AT else "stranger"


def _learning(evidence: Evidence) -> Literal["full", "forwarder", "none"]:
    if not evidence.lists:
        return "full"
    kinds = {listed.settings.kind for listed in evidence.lists}
    if kinds & {"own", "relay", "probe"}:
        return "none"
    return "forwarder" if "forwarder" in kinds else "full"


def _route(
    evidence: Evidence,
    score: float,
    standing: str,
    config: Config,
    *,
    pin: Pin | None,
    listed: Listed | None,
    weather: Weather,
) -> Route:
    if pin is not None:
        return Route(pool=pin.pool)
    if listed is not None:
        return Route(reply=DENIED) if listed.settings.kind == "deny" else Route(pool=config.pools[0].name)
    facts = _facts(evidence, score, standing, weather)
    for route in config.routes:
        if _holds(route, facts, weather):
            return Route(route.to, route.reply)
    raise AssertionError("the last route has no `when`")  # pragma: no cover  (core.config sees to it)


def _holds(route: RouteSettings, facts: dict[str, object], weather: Weather) -> bool:
    if route.rule is None:
        return True
    if "pool_open" in route.rule.names:
        facts["pool_open"] = weather.open_in(route.to)
    return route.rule.holds(facts)


def _facts(evidence: Evidence, score: float, standing: str, weather: Weather) -> dict[str, object]:
    """The names a `when` may use; unknown values are "" or 0."""
    return {
        "score": score,
        "settled": standing != "stranger",
        "friend": standing == "friend",
        "foe": standing == "foe",
        "known": evidence.known,
        "stress": weather.stress,
        "early": evidence.early,
        "lists": tuple([listed.settings.name for listed in evidence.lists]),
        "listed": evidence.listed,
        "asn": evidence.asn,
        "country": evidence.country,
        "name": evidence.name,
        "domain": evidence.domain,
        "client": evidence.address,
        "open_sessions": evidence.open_sessions,
        "rate": evidence.rate,
    }


def score_answer(verdict: Verdict) -> Mapping[str, object]:
    """The verdict as the admin socket tells it (the fields are fixed); `would` is there in observe mode only."""
    would = {"would": verdict.would.pool or verdict.would.reply} if verdict.would else {}
    return {
        "client": verdict.client,
        "score": _shown(verdict.score),
        "route": verdict.route.pool or "reply",
        "pool": verdict.route.pool or None,
        "reply": verdict.route.reply or None,
        "settled": verdict.settled,
        "pinned": verdict.pinned or None,
        "reasons": [
            {"name": reason.name, "points": _shown(reason.points), "text": reason.text} for reason in verdict.reasons
        ],
        **would,
    }


def _shown(points: float) -> float:
    return round(points, 2) + 0.0  # never -0.0
