"""The resolver: every question has one reply, soon, whatever the servers do.

No task and no timer for each question: a table of who waits, and three queues in the order in which they are due. A
question without reply is sent again, each time to the next server; one that a server cannot answer is put to one more.
Servers are asked in turn only when they fail: the one that answers stays the first.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from frontproxy.lookup import dns_wire
from frontproxy.lookup.dns_wire import Malformed, Reply
from frontproxy.lookup.events import Events
from frontproxy.lookup.line import Line
from frontproxy.lookup.servers import Place, Port, Server
from frontproxy.lookup.streams import Streams

PATIENCE: Final = 1.0, 1.0, 2.0
"""Seconds until a question is sent again, once more, and given up."""
PLACES: Final = 256
"""Questions asked at a time."""
SHARE: Final = PLACES // 2
"""Of them for one DNS list, or for names."""
WAITING: Final = 1000
"""Questions that wait for a place."""
BUSY: Final = Reply(error="busy")
NO_RESOLVER: Final = Reply(error="no resolver")

Heard = Callable[[Reply], None]


@dataclass(slots=True, eq=False)
class _Lookup:
    """One question under way."""

    asked: bytes
    subject: str
    heard: Heard
    server: int = 0
    """Which one was asked last."""
    failures: int = 0
    """Replies that were none."""
    away: int = 0
    """Servers that did not listen."""
    error: str = "timeout"
    """What it comes to if nothing comes."""
    phase: int = 0
    sent_at: float = 0.0
    sent: "list[tuple[Port[_Lookup], int]]" = field(default_factory=list)


class Resolver:
    """Asks servers, at most so many questions at a time."""

    def __init__(self, events: Events, clock: Callable[[], float]) -> None:
        """`clock`: monotonic seconds."""
        self.strays = 0
        """Datagrams that answered nothing we asked."""
        self._events = events
        self._clock = clock
        self._servers: list[Server[_Lookup]] = []
        self._first = 0
        self._line: Line[_Lookup] = Line(places=PLACES, share=SHARE, waiting=WAITING)
        self._due: tuple[dict[_Lookup, float], ...] = tuple({} for _ in PATIENCE)
        self._streams: Streams[_Lookup] = Streams(events, self._streamed)

    @property
    def due(self) -> float:
        """When `tick` has something to do next."""
        firsts = [next(iter(waiting.values())) for waiting in self._due if waiting]
        return min([self._streams.due, *firsts])

    @property
    def in_flight(self) -> int:
        """Questions asked now."""
        return len(self._line)

    def use(self, places: Sequence[Place]) -> None:
        """From now on ask these servers; replies that are under way are still heard."""
        for server in self._servers:
            server.retire()
        self._servers = [Server(place, self._events, self) for place in places]
        self._first = 0

    def ask(self, asked: bytes, subject: str, heard: Heard) -> None:
        """Ask a question (`dns_wire.question`) about a subject; `heard` is called once, perhaps at once."""
        if not self._servers:
            heard(NO_RESOLVER)
            return
        lookup = _Lookup(asked, subject, heard)
        if self._line.take(subject):
            self._begin(lookup)
        elif not self._line.wait(subject, lookup):
            heard(BUSY)

    def tick(self) -> None:
        """Send again, or give up, what is due."""
        now = self._clock()
        self._streams.tick(now)
        for waiting in self._due:
            while waiting:
                lookup, due = next(iter(waiting.items()))
                if due > now:
                    break
                del waiting[lookup]
                self._late(lookup, now)

    def close(self) -> None:
        """Let go of everything."""
        self.use(())
        self._streams.close()
        for waiting in self._due:
            for lookup in list(waiting):
                self._forget(lookup)

    def replied(self, port: Port[_Lookup], asker: _Lookup, message: bytes) -> None:
        """A reply came."""
        now = self._clock()
        port.server.heard_at = now
        if dns_wire.is_truncated(message):
            self._stream(asker, port.server, now)
        else:
            self._read(asker, message)

    def away(self, port: Port[_Lookup], askers: list[_Lookup]) -> None:
        """Nobody listens at a server: its questions go to the next one at once, or wait for the time to ask again."""
        self._prefer_other_than(port.server)
        for lookup in askers:
            self._was_away(lookup)

    def stray(self) -> None:
        """Something answered nothing we asked."""
        self.strays += 1

    def _begin(self, lookup: _Lookup) -> None:
        now = self._clock()
        self._due[0][lookup] = now + PATIENCE[0]
        lookup.server = self._first
        self._send(lookup, now)

    def _send(self, lookup: _Lookup, now: float) -> None:
        if not self._servers:
            return
        server = self._servers[lookup.server % len(self._servers)]
        lookup.sent_at = now
        try:
            port = server.port(now)
            lookup.sent.append((port, port.ask(lookup)))
        except OSError:
            self._prefer_other_than(server)
            self._was_away(lookup)

    def _was_away(self, lookup: _Lookup) -> None:
        lookup.away += 1
        lookup.error = "unreachable"
        if lookup.away < len(self._servers):
            lookup.server += 1
            self._send(lookup, self._clock())

    def _late(self, lookup: _Lookup, now: float) -> None:
        """A reply did not come in time."""
        lookup.phase += 1
        if lookup.phase == len(PATIENCE):
            self._finish(lookup, Reply(error=lookup.error))
            return
        self._due[lookup.phase][lookup] = now + PATIENCE[lookup.phase]
        silent = lookup.sent[-1][0].server if lookup.sent else None
        if silent and silent.heard_at < lookup.sent_at:  # not just this question
            self._prefer_other_than(silent)
        lookup.server += 1
        self._send(lookup, now)

    def _prefer_other_than(self, server: Server[_Lookup]) -> None:
        if self._servers and self._servers[self._first] is server:
            self._first = (self._first + 1) % len(self._servers)

    def _read(self, lookup: _Lookup, message: bytes) -> None:
        try:
            reply = dns_wire.read(message, lookup.asked)
        except Malformed:
            reply = Reply(error="malformed")
        if not reply.error or lookup.failures or len(self._servers) < 2:
            self._finish(lookup, reply)
            return
        lookup.failures = 1
        lookup.error = reply.error
        lookup.server += 1
        self._send(lookup, self._clock())

    def _stream(self, lookup: _Lookup, server: Server[_Lookup], now: float) -> None:
        """Ask the same over TCP; until that ends, nothing else is tried."""
        self._forget(lookup)
        if why := self._streams.ask(server, lookup, now):
            self._finish(lookup, Reply(error=why))

    def _streamed(self, lookup: _Lookup, message: bytes, error: str) -> None:
        """What came of TCP."""
        if error:
            self._finish(lookup, Reply(error=error))
        elif dns_wire.is_truncated(message):  # a server that never says all of it
            self._finish(lookup, Reply(error="malformed"))
        else:
            lookup.failures = 1  # enough was tried
            self._read(lookup, message)

    def _finish(self, lookup: _Lookup, reply: Reply) -> None:
        self._forget(lookup)
        if follower := self._line.leave(lookup.subject):
            self._begin(follower)
        lookup.heard(reply)

    def _forget(self, lookup: _Lookup) -> None:
        """Nothing is waited for any more."""
        for port, number in lookup.sent:
            port.forget(number, lookup)
        lookup.sent.clear()
        if lookup.phase < len(PATIENCE):
            self._due[lookup.phase].pop(lookup, None)
