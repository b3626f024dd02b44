"""The loop of the passive milter: many mail servers' connections, one epoll.

A session needs four short turns, and Postfix waits for us in two of them, its start and the end of a message. A task
for each session costs 1.6 times as much (Trio, the same sessions, taking turns on two busy cores: 450 us of CPU a
session beside 280 us).
"""

import contextlib
import os
import resource
import select
import socket
import time
import traceback
from typing import Final

from frontproxy.learn.milter_session import MilterSession
from frontproxy.learn.milter_wire import MilterError
from frontproxy.learn.reporter import Reporter
from frontproxy.lifeline import BEAT, ChildLog

SESSIONS_LIMIT: Final = 5_000
"""Sessions at once, if descriptors suffice; Postfix goes on without us for those beyond."""
NEGOTIATED_WITHIN: Final = 10.0
"""Seconds; Postfix begins at once."""
_DESCRIPTORS_KEPT: Final = 32
_EVENTS_AT_ONCE: Final = 256
_CHUNK: Final = 64 * 1024


class Milter:
    """Serves the sessions that come in at one door."""

    def __init__(self, door: socket.socket, reporter: Reporter, log: ChildLog, lifeline: int | None = None) -> None:
        """`lifeline` is a descriptor whose end-of-file means that we finish and end; None for a life without end."""
        self._door = door
        self._door_number = door.fileno()
        self._is_tcp = door.family != socket.AF_UNIX
        self._reporter = reporter
        self._log = log
        self._lifeline = lifeline
        self._poll = select.epoll()
        self._sessions: dict[int, tuple[socket.socket, MilterSession]] = {}
        self._silent: dict[int, float] = {}  # those that have not negotiated yet, the eldest first, and since when
        self._limit = min(SESSIONS_LIMIT, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _DESCRIPTORS_KEPT)
        self._is_open = True
        self._beat_due = 0.0

    @property
    def sessions(self) -> int:
        """How many are open."""
        return len(self._sessions)

    @property
    def is_wanted(self) -> bool:
        """Somebody new may come, or somebody is there and frontproxy still listens."""
        return self._is_open or (bool(self._sessions) and self._reporter.is_connected)

    def run(self) -> None:
        """Serve until the lifeline ends, and then until the last session ends or frontproxy is gone."""
        self.begin()
        while self.is_wanted:
            self.turn()
        self.close()

    def begin(self) -> None:
        """Open the door."""
        self._door.setblocking(False)
        if self._door.family != socket.AF_UNIX:  # accepted sockets inherit it: Postfix may be on another machine
            self._door.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._poll.register(self._door_number, select.EPOLLIN)
        if self._lifeline is not None:
            os.set_blocking(self._lifeline, False)
            self._poll.register(self._lifeline, select.EPOLLIN)
        self._log.say("feed_ready")

    def close(self) -> None:
        """Let go of every session; what ended is told, what did not is not."""
        for number in list(self._sessions):
            self._close(number)
        self._reporter.flush(time.monotonic())
        self._poll.close()

    def turn(self) -> None:
        """Wait for something to do, and do it."""
        now = time.monotonic()
        due = self._beat_due if self._reporter.due is None else min(self._beat_due, self._reporter.due)
        for number, _events in self._poll.poll(max(0.0, due - now), _EVENTS_AT_ONCE):
            if number in self._sessions:
                self._serve(number)
            elif number == self._door_number and self._is_open:
                self._accept()
            elif number == self._lifeline:
                self._hear_parent(number)
        now = time.monotonic()
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
            if now - since < NEGOTIATED_WITHIN:
                break
            self._close(number)

    def _accept(self) -> None:
        """Take one: if more are waiting, epoll says so with the next turn, and sessions get their turn between them."""
        try:
            connection, _address = self._door.accept()
        except BlockingIOError:
            return
        except OSError as error:  # no descriptors: wait for the next beat instead of spinning
            self._poll.modify(self._door_number, 0)
            self._log.often(time.monotonic(), "accept_failed", error=error.strerror)
            return
        if len(self._sessions) >= self._limit:
            connection.close()
            self._log.often(time.monotonic(), "full", sessions=self._limit)
            return
        number = connection.fileno()
        self._sessions[number] = connection, MilterSession()
        self._silent[number] = time.monotonic()
        self._poll.register(number, select.EPOLLIN)
        self._serve(number)

    def _serve(self, number: int) -> None:
        """Read once, and answer; a session that breaks the protocol, or shows a bug of ours, ends alone."""
        connection, session = self._sessions[number]
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
        if not data or not self._answer(connection, session, data) or session.has_ended:
            self._close(number)
        elif session.has_begun:
            self._silent.pop(number, None)

    def _answer(self, connection: socket.socket, session: MilterSession, data: bytes) -> bool:
        """Let a session take what came; false if it cannot go on."""
        try:
            answer = session.receive(data)
            # One that does not read our few octets is not Postfix.
            return not answer or connection.send(answer, socket.MSG_DONTWAIT) == len(answer)
        except OSError:
            return False
        except MilterError as error:
            self._log.often(time.monotonic(), "garbage", why=error)
        except Exception as error:  # noqa: BLE001  a bug in one session must not end the others
            self._log.often(time.monotonic(), "bug", error=repr(error), traceback=traceback.format_exc(-3))
        return False

    def _close(self, number: int) -> None:
        connection, session = self._sessions.pop(number)
        self._silent.pop(number, None)
        connection.close()
        if outcome := session.outcome(time.time()):
            self._reporter.add(outcome)

    def _hear_parent(self, lifeline: int) -> None:
        """End-of-file is all that it has to say: nobody new comes in."""
        with contextlib.suppress(BlockingIOError):
            if not os.read(lifeline, _CHUNK):
                self._is_open = False
                self._poll.unregister(lifeline)
                self._poll.unregister(self._door_number)
                self._door.close()
