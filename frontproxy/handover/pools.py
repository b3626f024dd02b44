"""The pools together: who gets a place where, who waits in line, who must come back later.

A session is offered to the pool of its route and then down the fallbacks, never up. If there is no place in any,
it stands in line at the first that serves it; a pool with a free place calls the best of all lines that lead to it.
"""

import time
from collections.abc import Iterator, Mapping
from socket import socket
from typing import Protocol

from frontproxy.core.capacity import Ticket
from frontproxy.core.config_values import Config
from frontproxy.core.session import Session
from frontproxy.handover.backends import Given
from frontproxy.handover.held import HeldSockets
from frontproxy.handover.kernel_notices import SocketName
from frontproxy.handover.pool import Endpoint, Pool
from frontproxy.handover.register import Register
from frontproxy.handover.relay import Relay
from frontproxy.handover.ways import Ways

HELD_FOR = 4 * 3600.0
"""Seconds a place is held when neither the kernel nor an outcome tells the end; hardly any session lasts as long."""
TRIES = 3
"""Servers that a session is relayed to, one after the other, until one greets it."""
BUSY = "421 4.3.2 All servers are busy, please try again later"


class Proceedings(Protocol):
    """What the pools tell: who was given away, who must leave and why, and what an operator should know."""

    def session_given(self, given: Given) -> None: ...
    def session_ended(self, given: Given) -> None: ...
    def session_relayed(self, given: Given, to_server: int, to_client: int, why: str) -> None: ...
    def session_refused(self, session: Session, reply: str, why: str) -> None: ...
    def log(self, event: str, /, **values: object) -> None: ...
    def bug(self, error: Exception) -> None: ...


class Pools:
    """All pools, the lines between them, and the register of the sessions given away. Times are monotonic seconds."""

    def __init__(self, proceedings: Proceedings, held: HeldSockets) -> None:
        self._proceedings = proceedings
        self.held = held
        self.relay: Relay[Given] = Relay(self, proceedings.bug)
        self._ways = Ways(self.relay, held)
        self._pools: dict[str, Pool] = {}
        self._chains: dict[str, list[Pool]] = {}
        """For each pool, itself and its fallbacks; and the pools whose lines lead to it."""
        self._leading_to: dict[str, list[Pool]] = {}
        self._leaving: list[Pool] = []
        self._is_closing = False
        self.register = Register()

    def __iter__(self) -> Iterator[Pool]:
        return iter(self._pools.values())

    def __getitem__(self, name: str) -> Pool:
        return self._pools[name]

    def __contains__(self, name: str) -> bool:
        return name in self._pools

    def configure(self, config: Config, paths: Mapping[Endpoint, str], now: float) -> None:
        """Take over a configuration; `paths` tells where bundled backends listen.

        Pools that stay keep their sessions and their line. A pool that is gone serves its sessions to their end, and
        who stands in its line gets a 421.
        """
        before, self._pools = self._pools, {}
        for settings in config.pools:
            pool = before.pop(settings.name, None)
            if pool is None:
                pool = Pool.open(settings, self._ways, paths, config)
            else:
                pool.configure(settings, paths, config)
            self._pools[settings.name] = pool
        self._chains = {name: self._chain(name) for name in self._pools}
        self._leading_to = {pool.name: [other for other in self if pool in self._chains[other.name]] for pool in self}
        for gone in before.values():
            self._dismiss(gone, BUSY, "pool_gone")
            self._leaving.append(gone)
        for pool in self:
            self._call_next(pool, now)

    @property
    def stressed(self) -> tuple[str, ...]:
        """Names of the pools under stress."""
        return tuple([pool.name for pool in self._pools.values() if pool.stress.on])

    def open_in(self, name: str) -> int:
        """Places taken in a pool, or in all of them for the empty name."""
        return self._pools[name].places.taken if name else sum(pool.places.taken for pool in self)

    @property
    def are_idle(self) -> bool:
        """No session is given away or stands in line, and nobody is under stress."""
        return not len(self.register) and all(pool.is_idle for pool in self._all())

    def ours(self) -> int:
        """Sessions that end with us: those that are relayed, and those of the bundled smtpds."""
        return sum(given.backend.settings.kind != "pass" for given in self.register)

    def waiting(self) -> int:
        """Sessions standing in line."""
        return sum(len(pool.line) for pool in self)

    def admit(self, session: Session, now: float) -> None:
        """Give the session a place, let it wait for one, or refuse it; from here on it is ours."""
        chain = self._chains[session.verdict.route.pool]
        for pool in chain:
            if pool.has_place_for(session) and not self._outranked(session, pool) and self._give(session, pool, now):
                return
        for pool in chain:
            if pool.serves(session):
                self._line_up(session, pool, now)
                return
        self._proceedings.session_refused(session, BUSY, "reserved")

    def adopt(self, session: Session, name: SocketName, now: float) -> str:
        """Find a place for a survivor: a server that sessions are passed to has had it since before our time.

        Where its client goes now it will have gone then; without a route any pool may have it. Returns the pool, whose
        place is taken until the kernel tells the end; empty if none has room. Bundled servers began anew with us.
        """
        anywhere = sorted(self, key=lambda pool: pool.settings.reserved)
        for pool in self._chains.get(session.verdict.route.pool, anywhere):
            servers = [backend for backend in pool.backends if backend.settings.kind == "pass"]
            if servers and pool.serves(session) and not pool.is_full:
                server = min(servers, key=lambda backend: backend.sessions)
                given = Given(session, pool.name, pool.places, server, now, name=name, taken_at=now, is_survivor=True)
                pool.places.take(session.client)
                server.sessions += 1
                self.held.keep(given)
                self.register.add(given)
                return pool.name
        return ""

    def ended(self, given: Given, now: float) -> None:
        """A session given away has ended: its place is free, and the next in line is called."""
        if not self.register.close(given):
            return
        self._release(given)
        self._proceedings.session_ended(given)
        pool = self._pools.get(given.pool)
        if pool is not None:
            self._call_next(pool, now)

    def relay_began(self, given: Given, now: float) -> None:
        """The server that a session is relayed to has greeted it."""
        for pool in self._all():
            if given in pool.untaken:
                pool.greeted(given, now, self._proceedings.log)

    def relay_failed(self, given: Given, client: socket, why: str, *, was_reached: bool) -> None:
        """Nobody greets the session there: its client, to whom nothing was said yet, gets another server."""
        now = time.monotonic()
        session, name = given.session, given.backend.name
        self.register.forget(given)
        self._release(given)
        for pool in self._all():
            if given in pool.untaken:
                del pool.untaken[given]
                if not self._is_closing and (not was_reached or given.backend.is_to_blame(session.client)):
                    pool.failed(given.backend, why, now, self._proceedings.log)
        self._proceedings.log("handover_failed", session=session.id, pool=given.pool, backend=name, why=why)
        session.socket = client
        session.ungreeted_by = (*session.ungreeted_by, name)
        if len(session.ungreeted_by) < TRIES and session.verdict.route.pool in self._pools and not self._is_closing:
            self.admit(session, now)
        else:
            self._proceedings.session_refused(session, BUSY, "backend")

    def relay_ended(self, given: Given, to_server: int, to_client: int, why: str) -> None:
        """A relayed session has ended; octets each way."""
        for pool in self._all():
            pool.untaken.pop(given, None)
        self._proceedings.session_relayed(given, to_server, to_client, why)
        self.ended(given, time.monotonic())

    def server_died(self, path: str, now: float) -> list[Given]:
        """The server process at `path` is gone: what it had taken is lost, what it had not waits for the next one."""
        self._sweep_taken(now)
        lost = self.register.taken_at(path)
        for given in lost:
            self.ended(given, now)
        return lost

    def rest(self, path: str, why: str, until: float) -> None:
        """Leave the server at a handover socket alone until then."""
        for pool in self:
            for backend in pool.backends:
                if backend.path == path:
                    backend.rest(why, until)

    def tick(self, now: float) -> None:
        """What no client waits for: taken notices, impatience, stress, backends that may be asked again."""
        self._sweep_taken(now)
        for given in list(self.held.ended(now, urgent=any(pool.is_full for pool in self))):
            self.ended(given, now)
        self._reclaim(now)
        for pool in self:
            pool.rest_the_wedged(now)
            for session in pool.line.expired(now):
                self._proceedings.session_refused(session, BUSY, "patience")
            while (surplus := pool.surplus()) is not None:
                self._proceedings.session_refused(surplus, BUSY, "stress")
            self._call_next(pool, now)
            if pool.feel(now):
                state = "on" if pool.stress.on else "off"
                taken, waiting = pool.places.taken, len(pool.line)
                self._proceedings.log("stress", pool=pool.name, state=state, taken=taken, waiting=waiting)
        self._leaving = [pool for pool in self._leaving if pool.places.taken or pool.untaken]

    def close(self) -> None:
        """Let go of everything; sessions that were passed live on in their servers."""
        self.relay.close()
        for pool in self._all():
            pool.connections.close_all()

    def dismiss_all(self, reply: str) -> None:
        """Everybody in line leaves with a reply: the house is closing."""
        self._is_closing = True
        for pool in self:
            self._dismiss(pool, reply, "drain")

    def _all(self) -> list[Pool]:
        return [*self, *self._leaving]

    def _release(self, given: Given) -> None:
        self.held.forget(given)
        given.backend.sessions -= 1
        given.places.release(given.session.client)

    def _reclaim(self, now: float) -> None:
        """Take back the places of sessions whose end nobody will tell any more."""
        for given in self.register.older_than(now - HELD_FOR):
            if not given.end_is_watched:
                session, name = given.session.id, given.backend.name
                self._proceedings.log("place_reclaimed", session=session, pool=given.pool, backend=name)
                self.ended(given, now)

    def _chain(self, name: str) -> list[Pool]:
        chain = [self._pools[name]]
        while fallback := chain[-1].settings.fallback:
            chain.append(self._pools[fallback])
        return chain

    def _give(self, session: Session, pool: Pool, now: float) -> bool:
        given = pool.give(session, now, self._proceedings.log)
        if given is None:
            return False
        self.register.add(given)
        self._proceedings.session_given(given)
        return True

    def _line_up(self, session: Session, pool: Pool, now: float) -> None:
        deadline, limit = now + pool.settings.patience, pool.settings.queue
        leaving = pool.line.join(session, score=session.verdict.score, deadline=deadline, limit=limit)
        if leaving is not None:
            self._proceedings.session_refused(leaving, BUSY, "queue_full")

    def _call_next(self, pool: Pool, now: float) -> None:
        """Give the pool's free places to the best of all lines that lead to it."""
        while pool.places.taken < pool.places.sessions and (firsts := self._firsts(pool)):
            ticket, source = max(firsts, key=_rank)
            if not self._give(ticket.item, pool, now):
                return
            source.line.leave(ticket)

    def _outranked(self, session: Session, pool: Pool) -> bool:
        """One as good waits for a place here already, because no server could take it so far."""
        firsts = self._firsts(pool)
        return bool(firsts) and max(firsts, key=_rank)[0].score >= session.verdict.score

    def _firsts(self, pool: Pool) -> list[tuple[Ticket[Session], Pool]]:
        """From each line that leads to a pool, the first who could come in there."""
        waiting = [other for other in self._leading_to[pool.name] if len(other.line)]
        return [(ticket, other) for other in waiting if (ticket := other.line.first(pool.has_place_for))]

    def _sweep_taken(self, now: float) -> None:
        for pool in self._all():
            taken, lost = pool.sweep_taken(now)
            for given in taken:
                if not given.backend.reports and given.name is None:  # nobody will tell when it ends
                    self.ended(given, now)
            for given in lost:
                session, name = given.session.id, given.backend.name
                self._proceedings.log("handover_lost", session=session, pool=pool.name, backend=name)
                self.ended(given, now)

    def _dismiss(self, pool: Pool, reply: str, why: str) -> None:
        while (session := pool.line.dismiss_last()) is not None:
            self._proceedings.session_refused(session, reply, why)


def _rank(first: tuple[Ticket[Session], Pool]) -> tuple[float, float]:
    """The best score comes first, among equals the one who has been here longest."""
    ticket, _source = first
    return ticket.score, -ticket.item.accepted
