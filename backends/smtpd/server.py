"""Accepting sessions and seeing them through: the guard around each, the drain, and the outcome at the end."""

import resource
import socket
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass

import trio

from backends.smtpd.arrival import Arrival, Client, from_tcp
from backends.smtpd.handover import Handover, HandoverError
from backends.smtpd.personality import Personality
from backends.smtpd.report import Reporter
from backends.smtpd.session import Session, Site
from backends.smtpd.wire import Wire
from frontproxy.wire.outcome_line import OutcomeLine

"""Seconds that sessions have to end when the server is told to."""

_SESSIONS = 1000
_BATCH = 16
"""Connections accepted before the sessions have their turn."""
_SLOW_HANDOVERS = 100
_HANDOVER_TIME = 5.0  # seconds that a handover may take
_ACCEPT_PAUSE = 0.2  # seconds, when the kernel has no descriptor or no memory for us
_FAREWELL_TIME = 5.0  # seconds to end a session that met a bug of ours
_TRACE_LIMIT = 900  # characters: the end of a traceback says most
_TRACES_A_MINUTE = 20


@dataclass(frozen=True, slots=True)
class Manners:
    """The personality for sessions in calm weather, and the one under stress."""

    calm: Personality
    stressed: Personality


class Server:
    """The sessions of one smtpd process."""

    def __init__(self, site: Site, manners: Manners, reporter: Reporter | None, drain_time: float) -> None:
        self.drain_time = drain_time
        """Seconds from `drain` to the end of the last session."""
        self._site = site
        self._manners = manners
        self._reporter = reporter
        self._sessions: set[Session] = set()
        self._slow_handovers = 0
        self._accepting = trio.CancelScope()
        self._draining = False
        self._places = _places()
        self._place_freed = trio.Event()
        self._traces: list[float] = []

    def drain(self) -> None:
        """Accept no more, and end sessions as soon as nothing is lost by it."""
        self._draining = True
        self._accepting.cancel()
        for session in self._sessions:
            session.drain()

    def finish(self) -> None:
        """Accept no more, and let the sessions take their normal course."""
        self._accepting.cancel()

    async def serve_handovers(self, listener: socket.socket, nursery: trio.Nursery) -> None:
        """Take sessions over until `drain` or `finish`; then, unless draining, what still lies in the backlog."""
        self._site.log.event("smtpd_ready")  # the parent waits for this line
        await self._accept_from(listener, lambda connection: self._take(Handover(connection), nursery))
        if not self._draining:
            for connection in _waiting(listener):
                self._take(Handover(connection), nursery)
        listener.close()

    async def serve_tcp(self, listener: socket.socket, nursery: trio.Nursery, *, stress: bool) -> None:
        """Accept clients directly until `drain` or `finish`."""

        def begin(connection: socket.socket) -> None:
            arrival = from_tcp(connection, stress=stress)
            if arrival is not None:
                self._begin(arrival, nursery)

        await self._accept_from(listener, begin)
        listener.close()

    # --- accepting ----------------------------------------------------------------------------------------------

    async def _accept_from(self, listener: socket.socket, begin: Callable[[socket.socket], None]) -> None:
        listener.setblocking(False)
        with self._accepting:
            while True:
                await self._vacancy()
                await trio.lowlevel.wait_readable(listener)
                try:
                    for _turn in range(_BATCH):
                        begin(listener.accept()[0])
                except (BlockingIOError, ConnectionAbortedError):
                    continue  # that were all, or another process was quicker, or the client left
                except OSError as error:
                    self._site.log.event("smtpd_error", what=f"cannot accept: {error.strerror}")
                    await trio.sleep(_ACCEPT_PAUSE)

    async def _vacancy(self) -> None:
        """Wait while all places are taken; clients wait in the backlog meanwhile."""
        while len(self._sessions) + self._slow_handovers >= self._places:
            self._place_freed = trio.Event()
            await self._place_freed.wait()

    def _take(self, handover: Handover, nursery: trio.Nursery) -> None:
        """Begin the session that arrives, at once if it is all there, as it is when the sender is well."""
        try:
            arrival = handover.read()
        except HandoverError as error:
            self._site.log.event("handover_failed", why=str(error))
            return
        if arrival is not None:
            self._begin(arrival, nursery)
        elif self._slow_handovers >= _SLOW_HANDOVERS:
            handover.close()
        else:
            self._slow_handovers += 1
            nursery.start_soon(self._take_slowly, handover, nursery)

    async def _take_slowly(self, handover: Handover, nursery: trio.Nursery) -> None:
        try:
            arrival = None
            with trio.move_on_after(_HANDOVER_TIME):
                while arrival is None:
                    await trio.lowlevel.wait_readable(handover)
                    arrival = handover.read()
            if arrival is not None:
                self._begin(arrival, nursery)
            else:
                self._site.log.event("handover_failed", why=f"incomplete after {_HANDOVER_TIME} s")
        except HandoverError as error:
            self._site.log.event("handover_failed", why=str(error))
        finally:
            self._slow_handovers -= 1
            self._place_freed.set()
            handover.close()

    # --- one session --------------------------------------------------------------------------------------------

    def _begin(self, arrival: Arrival, nursery: trio.Nursery) -> None:
        personality = self._manners.stressed if arrival.stress else self._manners.calm
        stream = Wire(arrival.connection)
        session = Session(self._site, arrival.client, stream, personality)
        self._sessions.add(session)
        if self._draining:
            session.drain()
        nursery.start_soon(self._see_through, session, arrival)

    async def _see_through(self, session: Session, arrival: Arrival) -> None:
        """The guard: whatever goes wrong in a session ends that session and nothing else."""
        try:
            await session.run()
        except Exception:  # noqa: BLE001  # the one place that catches everything
            self._log_bug(arrival.client)
            await self._end_after_bug(session)
        finally:
            self._sessions.discard(session)
            self._place_freed.set()
            self._report(session, arrival)
            await session.abandon()

    async def _end_after_bug(self, session: Session) -> None:
        try:
            with trio.move_on_after(_FAREWELL_TIME):
                await session.fail()
        except Exception:  # noqa: BLE001, S110  # it is in the log already, once is enough
            pass

    def _log_bug(self, client: Client) -> None:
        now = trio.current_time()
        self._traces = [then for then in self._traces if then > now - 60]
        if len(self._traces) < _TRACES_A_MINUTE:
            self._traces.append(now)
            text = traceback.format_exc()[-_TRACE_LIMIT:]
            self._site.log.event("smtpd_error", session=client.session or None, client=client.address, trace=text)

    def _report(self, session: Session, arrival: Arrival) -> None:
        if self._reporter is not None:
            self._reporter.add(_outcome(session, arrival, time.time()))


def _outcome(session: Session, arrival: Arrival, now: float) -> OutcomeLine:
    protocol, tally = session.protocol, session.protocol.tally
    return OutcomeLine(
        client=arrival.client.address,
        port=arrival.client.port,
        ended=round(now, 3),
        end=session.end.end if session.end else "refused",
        session=arrival.client.session,
        messages=tally.messages,
        unverified=tally.unverified,
        recipients=tally.recipients,
        refused=tally.refused,
        relay=tally.relay,
        null_sender=tally.null_sender,
        bad_commands=tally.bad_commands,
        http=tally.http,
        early=arrival.early,
        stage=protocol.stage,
        stress=arrival.stress,
    )


def _places() -> int:
    """How many sessions may run at once: each needs a connection and, for a moment, two files."""
    descriptors, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _SESSIONS if descriptors < 0 else max(1, min(_SESSIONS, (descriptors - 50) // 3))


def _waiting(listener: socket.socket) -> list[socket.socket]:
    """Every connection that lies in the backlog."""
    connections = []
    try:
        while True:
            connections.append(listener.accept()[0])
    except OSError:
        return connections
