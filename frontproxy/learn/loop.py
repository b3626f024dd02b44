"""The loop of the feeds that mail servers connect to, milter and policy service: many connections, one epoll, no Trio.

A milter's session needs four short turns, and Postfix waits for us in two of them, its start and the end of a message;
it waits for every answer of the policy service. A task for each session costs 1.6 times as much (Trio, the same
sessions of a milter, taking turns on two busy cores: 450 us of CPU a session beside 280 us).
"""

import contextlib
import os
import resource
import select
import socket
import time
import traceback
from collections.abc import Callable
from math import inf
from typing import Final, Protocol

from frontproxy.learn.garbage import Garbage
from frontproxy.learn.reporter import Reporter
from frontproxy.lifeline import BEAT, ChildLog

CONNECTIONS_LIMIT: Final = 5_000
"""Connections at once, if descriptors suffice; Postfix goes on without us for those beyond."""
BEGUN_WITHIN: Final = 10.0
"""Seconds; Postfix begins at once."""
_DESCRIPTORS_KEPT: Final = 32
_EVENTS_AT_ONCE: Final = 256
_CHUNK: Final = 64 * 1024


class Conversation(Protocol):
    """What is said on one connection."""

    has_ended: bool
    """Nothing more will be said."""

    @property
    def has_begun(self) -> bool:
        """The mail server has said something that we understand."""

    def receive(self, data: bytes) -> bytes:
        """Take what came, in any pieces; returns what to answer now. Raises Garbage: then the connection is closed."""


class Service(Protocol):
    """What a program does for the mail servers that connect to it."""

    finishes: bool
    """Conversations go on to their ends when nobody new comes in any more."""

    def begin(self, loop: "Loop") -> None:
        """The door is open; this is the loop that serves."""

    def open(self, number: int) -> Conversation:
        """Somebody has connected; `number` is the descriptor."""

    def close(self, number: int) -> None:
        """That connection is gone."""

    def tend(self, now: float) -> float:
        """What has to be done after each turn, and when it has to be done again (monotonic seconds; inf: never)."""

    def end(self) -> None:
        """Every connection is closed, and the loop ends."""


class Loop:
    """Serves the connections that come in at one door."""

    def __init__(
        self, door: socket.socket, service: Service, reporter: Reporter, log: ChildLog, lifeline: int | None = None
    ) -> None:
        """`lifeline` is a descriptor whose end-of-file means that we finish and end; None for a life without end."""
        self._door = door
        self._door_number = door.fileno()
        self._is_tcp = door.family != socket.AF_UNIX
        self._service = service
        self._reporter = reporter
        self._log = log
        self._lifeline = lifeline
        self._poll = select.epoll()
        self._open: dict[int, tuple[socket.socket, Conversation]] = {}
        self._silent: dict[int, float] = {}  # those that have not begun yet, the eldest first, and since when
        self._watched: dict[int, Callable[[float], None]] = {}
        self._limit = min(CONNECTIONS_LIMIT, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _DESCRIPTORS_KEPT)
        self._is_open = True
        self._beat_due = 0.0
        self._service_due = inf

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._open)

    @property
    def is_wanted(self) -> bool:
        """Somebody new may come, or somebody is there to be finished with and frontproxy still listens."""
        return self._is_open or (self._service.finishes and bool(self._open) and self._reporter.is_connected)

    def run(self) -> None:
        """Serve until the lifeline ends, and then until the last conversation ends or frontproxy is gone."""
        self.begin()
        while self.is_wanted:
            self.turn()
        self.close()

    def begin(self) -> None:
        """Open the door."""
        self._door.setblocking(False)
        if self._is_tcp:  # accepted sockets inherit it: Postfix may be on another machine
            self._door.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._poll.register(self._door_number, select.EPOLLIN)
        if self._lifeline is not None:
            os.set_blocking(self._lifeline, False)
            self._poll.register(self._lifeline, select.EPOLLIN)
        self._service.begin(self)
        self._log.say("feed_ready")

    def close(self) -> None:
        """Let go of every connection; what has ended is told."""
        for number in list(self._open):
            self._close(number)
        self._service.end()
        self._reporter.flush(time.monotonic())
        self._poll.close()

    def watch(self, number: int, hear: Callable[[float], None]) -> None:
        """Call `hear` with the monotonic time whenever a descriptor of the service's own can be read."""
        self._watched[number] = hear
        self._poll.register(number, select.EPOLLIN)

    def unwatch(self, number: int) -> None:
        """That descriptor is about to be closed."""
        del self._watched[number]
        self._poll.unregister(number)

    def say(self, number: int, answer: bytes) -> None:
        """An answer that a conversation had to wait for."""
        if number in self._open and not _sent(self._open[number][0], answer):
            self._close(number)

    def turn(self) -> None:
        """Wait for something to do, and do it."""
        due = min(self._beat_due, self._service_due)
        if self._reporter.due is not None:
            due = min(due, self._reporter.due)
        for number, _events in self._poll.poll(max(0.0, due - time.monotonic()), _EVENTS_AT_ONCE):
            if number in self._open:
                self._serve(number)
            elif number == self._door_number and self._is_open:
                self._accept()
            elif number in self._watched:
                self._watched[number](time.monotonic())
            elif number == self._lifeline:
                self._hear_parent(number)
        now = time.monotonic()
        self._service_due = self._service.tend(now)
        self._reporter.flush(now)
        if now >= self._beat_due:
            self._beat(now)

    def _beat(self, now: float) -> None:
        """A sign of life, and what is done now and then."""
        self._beat_due = now + BEAT
        if self._lifeline is not None:
            self._log.say("alive")
        if self._reporter.dropped and self._reporter.is_connected:
            self._log.say("feed", state="dropped", lines=self._reporter.dropped)
            self._reporter.dropped = 0
        if self._is_open:
            self._poll.modify(self._door_number, select.EPOLLIN)
        for number, since in list(self._silent.items()):
            if now - since < BEGUN_WITHIN:
                break
            self._close(number)

    def _accept(self) -> None:
        """Take one: if more are waiting, epoll says so with the next turn, and others get their turn between them."""
        try:
            connection, _address = self._door.accept()
        except BlockingIOError:
            return
        except OSError as error:  # no descriptors: wait for the next beat instead of spinning
            self._poll.modify(self._door_number, 0)
            self._log.often(time.monotonic(), "accept_failed", error=error.strerror)
            return
        if len(self._open) >= self._limit:
            connection.close()
            self._log.often(time.monotonic(), "full", connections=self._limit)
            return
        number = connection.fileno()
        self._open[number] = connection, self._service.open(number)
        self._silent[number] = time.monotonic()
        self._poll.register(number, select.EPOLLIN)
        self._serve(number)

    def _serve(self, number: int) -> None:
        """Read once, and answer; a conversation that is garbage, or shows a bug of ours, ends alone."""
        connection, conversation = self._open[number]
        try:
            data = connection.recv(_CHUNK, socket.MSG_DONTWAIT)
            if self._is_tcp:
                # Postfix sends small packets and waits for no answer: each would wait for our delayed acknowledgement,
                # which makes 40 ms a message. The kernel forgets this wish, so it is said again.
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data or not self._answer(connection, conversation, data) or conversation.has_ended:
            self._close(number)
        elif conversation.has_begun:
            self._silent.pop(number, None)

    def _answer(self, connection: socket.socket, conversation: Conversation, data: bytes) -> bool:
        """Let a conversation take what came; false if it cannot go on."""
        try:
            answer = conversation.receive(data)
        except Garbage as error:
            self._log.often(time.monotonic(), "garbage", why=error)
            return False
        except Exception as error:  # noqa: BLE001  a bug in one conversation must not end the others
            self._log.often(time.monotonic(), "bug", error=repr(error), traceback=traceback.format_exc(-3))
            return False
        return not answer or _sent(connection, answer)

    def _close(self, number: int) -> None:
        connection, _conversation = self._open.pop(number)
        self._silent.pop(number, None)
        connection.close()
        self._service.close(number)

    def _hear_parent(self, lifeline: int) -> None:
        """End-of-file is all that it has to say: nobody new comes in."""
        with contextlib.suppress(BlockingIOError):
            if not os.read(lifeline, _CHUNK):
                self._is_open = False
                self._poll.unregister(lifeline)
                self._poll.unregister(self._door_number)
                self._door.close()


def _sent(connection: socket.socket, answer: bytes) -> bool:
    """One that does not read our few octets is not a mail server."""
    try:
        return connection.send(answer, socket.MSG_DONTWAIT) == len(answer)
    except OSError:
        return False
