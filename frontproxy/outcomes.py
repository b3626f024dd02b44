"""What becomes of sessions given away: their outcomes free places and become history."""

import time
from dataclasses import replace

from frontproxy.core import address
from frontproxy.core.outcome import Weight, weigh
from frontproxy.core.retold import Retold
from frontproxy.core.verdict import Verdict
from frontproxy.handover.backends import Given
from frontproxy.knowledge import teach
from frontproxy.proxy import Proxy
from frontproxy.wire.outcome_line import OutcomeLine

FUTURE = 3600.0
"""Seconds an outcome may lie ahead of our clock."""
CRASHING = 1.0
"""A server that is started again only after so many seconds gets nothing in between."""


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
            given.has_ended = True
            self._proxy.counters["lost"] += 1
            self._proxy.log(
                "lost", session=given.session.id, client=given.session.address, port=given.session.port, pool=given.pool
            )
        if again_in >= CRASHING:
            self._proxy.pools.rest(path, "its process dies again and again", now + again_in)
        return len(lost)

    def _take(self, line: OutcomeLine) -> None:
        given = self._proxy.pools.register.find(line, time.monotonic() - (self._proxy.clock.now() - line.ended))
        if given is None:
            self._count("unmatched")
        elif given.has_ended:
            self._count("repeated")
            return
        else:
            now = time.monotonic()
            given.has_ended, given.backend.heard_at = True, now
            self._count("")
            if not given.end_is_watched:
                self._proxy.pools.ended(given, now)
        if line.ended > self._proxy.clock.latest() + FUTURE:
            self._count("from_the_future")
            self._proxy.log.often("outcome_refused", "future", client=line.client, ended=line.ended)
        elif given is not None:
            self._learn(given, line)
        elif self._proxy.setup.config.learn.foreign:
            self._learn_foreign(line)

    def _count(self, kind: str) -> None:
        self._proxy.counters[f"outcomes_{kind}" if kind else "outcomes"] += 1

    def _learn_foreign(self, line: OutcomeLine) -> None:
        try:
            packed = address.pack(line.client)
        except address.AddressError:
            self._proxy.counters["outcome_lines_bad"] += 1
            return
        if self._foreign.note(packed, line.port, line.ended):
            self._count("repeated")
            return
        verdict = self._proxy.judge_guarded(packed, address.unpack(packed))
        weight = _weigh(line, verdict)
        wall = min(line.ended, self._proxy.clock.now())
        teach(self._proxy, packed, wall, weight)
        self._proxy.memory.note_live(wall)

    def _learn(self, given: Given, line: OutcomeLine) -> None:
        session = given.session
        if session.early:
            line = replace(line, early=True)
        weight = self._braked(given, _weigh(line, session.verdict))
        # It has ended just now, whatever time the feed's clock shows.
        wall = self._proxy.clock.now()
        lesson = teach(self._proxy, session.packed, wall, weight)
        given.earned = max(0.0, lesson.good) if lesson else 0.0
        self._proxy.memory.note_live(wall)
        self._proxy.journal.ended(session, given.pool, line, weight, wall)
        self._proxy.log(
            "outcome",
            session=session.id,
            client=session.address,
            port=session.port,
            pool=given.pool,
            end=line.end,
            messages=line.messages,
            recipients=line.recipients,
            refused=line.refused,
            bad_commands=line.bad_commands or None,
            good=weight.good,
            bad=weight.bad,
            tls=line.tls or None,
            because=weight.text or None,
            seconds=round(time.monotonic() - given.given_at, 1),
        )

    def _braked(self, given: Given, weight: Weight) -> Weight:
        """What the outcome is worth, less the bad in it if its backend has begun to refuse its friends."""
        brake = given.backend.brake
        if given.session.verdict.standing == "friend" and brake.note(given.session.client, bad=weight.bad > 0):
            state = "on" if brake.on else "off"
            self._proxy.log("brake", state=state, pool=given.pool, backend=given.backend.name, why=str(brake))
        if not (brake.on and weight.bad):
            return weight
        self._count("braked")
        return replace(weight, bad=0.0, text=f"{weight.text}, nothing bad is learned while the brake is on")


def _weigh(line: OutcomeLine, verdict: Verdict) -> Weight:
    """What an outcome is worth, of a client with this verdict."""
    if verdict.learning == "none":
        return Weight(0.0, 0.0, "")
    return weigh(line, forwarder=verdict.learning == "forwarder")
