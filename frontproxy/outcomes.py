"""What becomes of sessions given away: their outcomes free places and become history.

A session may be told by more than one feed. The first one ends it; what another knows besides is learned as it comes,
so that in all the session counts once, by what its feeds know together (see `core.retold`).
"""

import time
from dataclasses import replace
from functools import partial

from frontproxy.core import address
from frontproxy.core.brake import BAD
from frontproxy.core.outcome import Weight, weigh
from frontproxy.core.retold import Retold, Told
from frontproxy.core.verdict import Verdict
from frontproxy.handover.backends import Given
from frontproxy.knowledge import teach
from frontproxy.proxy import Proxy
from frontproxy.wire.outcome_line import OutcomeLine

FUTURE = 3600.0
"""Seconds an outcome may lie ahead of our clock."""
CRASHING = 1.0
"""A server that is started again only after so many seconds gets nothing in between."""
_LATE = 3600.0  # seconds by which an outcome may be told late, and what a log tells of that minute is not learned again


class Outcomes:
    """Hears of the ends of sessions, from feeds and from those who watch the servers."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self._foreign = Retold()

    def hear(self, line: OutcomeLine) -> None:
        """One outcome line; a bug in learning is logged and costs neither a place nor the proxy."""
        try:
            self._take(line)
        except Exception as error:  # noqa: BLE001  a bug in learning must not end the proxy
            self._proxy.log.bug("outcome", error, client=line.client)
            self._proxy.counters["bugs"] += 1

    def server_died(self, path: str, again_in: float) -> int:
        """A bundled smtpd has died: the sessions it had taken are lost. It is started again in so many seconds.

        Returns how many were lost.
        """
        now = time.monotonic()
        lost = [given for given in self._proxy.pools.server_died(path, now) if not given.has_ended]
        for given in lost:
            given.has_ended, given.over_at = True, now
            self._proxy.counters["lost"] += 1
            self._proxy.log(
                "lost", session=given.session.id, client=given.session.address, port=given.session.port, pool=given.pool
            )
        if again_in >= CRASHING:
            self._proxy.pools.rest(path, "its process dies again and again", now + again_in)
        return len(lost)

    def _take(self, line: OutcomeLine) -> None:
        now = time.monotonic()
        ended = now - (self._proxy.clock.now() - line.ended)
        given = self._proxy.pools.register.find(line, ended)
        is_new = given is not None and not given.has_ended
        if given is None:
            self._count("unmatched")
        elif is_new:
            given.over_at = min(max(given.given_at, ended), now)
            self._end(given, now)
        else:
            self._count("repeated")
        if line.ended > self._proxy.clock.latest() + FUTURE:
            self._count("from_the_future")
            self._proxy.log.often("outcome_refused", "future", client=line.client, ended=line.ended)
        elif given is None:
            if self._proxy.setup.config.learn.foreign:
                self._learn_foreign(line)
        elif is_new:
            self._learn(given, line)
        elif given.told:  # else its server died, or its end was told wrongly
            self._learn_more(given, given.told, line)

    def _end(self, given: Given, now: float) -> None:
        """A session is over for the first feed that tells of it."""
        given.has_ended, given.backend.heard_at = True, now
        self._count("")
        if not given.end_is_watched:
            self._proxy.pools.ended(given, now)

    def _count(self, kind: str) -> None:
        self._proxy.counters[f"outcomes_{kind}" if kind else "outcomes"] += 1

    def _learn_foreign(self, line: OutcomeLine) -> None:
        try:
            packed = address.pack(line.client)
        except address.AddressError:
            self._proxy.counters["outcome_lines_bad"] += 1
            return
        verdict = self._proxy.judge_guarded(packed, address.unpack(packed))
        if told := self._foreign.find(packed, line):
            self._count("repeated")
            told, weight = told.and_told(line, partial(_weigh, verdict=verdict))
        else:
            weight = _weigh(line, verdict)
            told = Told(line, weight)
            self._proxy.journal.foreign(verdict, line, weight, min(line.ended, self._proxy.clock.now()))
        self._foreign.keep(packed, told)
        wall = min(line.ended, self._proxy.clock.now())
        teach(self._proxy, packed, wall, weight)
        self._proxy.memory.note_live(wall)

    def _learn(self, given: Given, line: OutcomeLine) -> None:
        session = given.session
        if session.early:
            line = replace(line, early=True)
        weight = self._weigh_given(given, line)
        given.told = Told(line, weight)
        wall = self._teach(given, line, weight)
        self._proxy.journal.ended(session, given.pool, line, weight, wall)
        self._log(given, line, weight)

    def _learn_more(self, given: Given, told: Told, line: OutcomeLine) -> None:
        """Another feed tells of a session; the journal's row of it stays as the first one told it."""
        given.told, more = told.and_told(line, partial(self._weigh_given, given))
        # What a later verdict has taken back already cannot be taken again.
        more = replace(more, taken_back=min(more.taken_back, given.earned))
        if more.good or more.bad or more.taken_back:
            self._teach(given, line, more)
            self._log(given, given.told.line, more, is_addition=True)

    def _teach(self, given: Given, line: OutcomeLine, weight: Weight) -> float:
        """Learn what a session has counted, as if it had ended just now, whatever time the feed's clock shows.

        Returns that time. The minute in which the feed says that it ended was live as well: a log that is learned later
        tells the session there. A log that told it before we heard of it here counts it twice: what it was learned by
        there, nobody tells us.
        """
        wall = self._proxy.clock.now()
        if lesson := teach(self._proxy, given.session.packed, wall, weight):
            given.earned = max(0.0, given.earned + lesson.good)
        self._proxy.memory.note_live(wall)
        if 0.0 <= wall - line.ended <= _LATE:
            self._proxy.memory.note_live(line.ended)
        return wall

    def _log(self, given: Given, line: OutcomeLine, weight: Weight, *, is_addition: bool = False) -> None:
        """Tell how a session ended; an addition is what it counts besides, as another feed knows more of it."""
        self._proxy.log(
            "outcome",
            session=given.session.id,
            client=given.session.address,
            port=given.session.port,
            pool=given.pool,
            addition=is_addition or None,
            end=line.end,
            messages=line.messages,
            recipients=line.recipients,
            refused=line.refused,
            bad_commands=line.bad_commands or None,
            good=weight.good,
            bad=weight.bad,
            taken_back=weight.taken_back or None,
            tls=line.tls or None,
            because=weight.text or None,
            seconds=round(time.monotonic() - given.given_at, 1),
        )

    def _weigh_given(self, given: Given, line: OutcomeLine) -> Weight:
        """What an outcome is worth, less what its server refused in it if that has begun to refuse its friends."""
        verdict = given.session.verdict
        weight = _weigh(line, verdict)
        if not (line.refused or line.relay or line.policy):
            self._note_for_brake(given, bad=False)
            return weight
        others = _weigh(replace(line, refused=0, relay=0, policy=0), verdict)
        refusals = round(weight.bad - others.bad, 6)
        self._note_for_brake(given, bad=refusals >= BAD)
        given.is_braked = given.is_braked or given.backend.brake.on
        if not (given.is_braked and refusals > 0.0):
            return weight
        self._count("braked")
        return replace(weight, bad=others.bad, text=f"{weight.text}, refusals teach nothing bad while the brake is on")

    def _note_for_brake(self, given: Given, *, bad: bool) -> None:
        brake, session, now = given.backend.brake, given.session, time.monotonic()
        if session.verdict.standing == "friend":
            turned = brake.note(address.network_of(session.packed), bad=bad, now=now)
        else:
            turned = brake.let_go(now)
        if turned:
            state = "on" if brake.on else "off"
            self._proxy.log("brake", state=state, pool=given.pool, backend=given.backend.name, why=str(brake))


def _weigh(line: OutcomeLine, verdict: Verdict) -> Weight:
    """What an outcome is worth, of a client with this verdict."""
    if verdict.learning == "none":
        return Weight(0.0, 0.0, "")
    return weigh(line, forwarder=verdict.learning == "forwarder")
