"""The loop of the asking program: questions come in from the desk, replies from servers, answers go back; one epoll."""

import contextlib
import os
import socket
import time
import traceback
from collections.abc import Callable
from typing import Final

from frontproxy.lifeline import BEAT, ChildLog
from frontproxy.lookup.asking import Asking
from frontproxy.lookup.events import READ, WRITE, Events
from frontproxy.lookup.messages import PACKET_LIMIT, Answer, MessageError, decode_question, encode_answer, packets
from frontproxy.lookup.orders import Orders
from frontproxy.lookup.registrable import Domains
from frontproxy.lookup.resolv_conf import ResolvConf
from frontproxy.lookup.resolver import Resolver

_QUESTIONS_AT_ONCE: Final = 64


class Loop:
    """Answers the questions of one desk."""

    def __init__(
        self,
        desk: socket.socket,
        orders: Orders,
        log: ChildLog,
        *,
        lifeline: int,
        conf: ResolvConf | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`lifeline` is a descriptor whose end-of-file means that nobody has questions any more."""
        self._desk = desk
        self._log = log
        self._lifeline = lifeline
        self._clock = clock
        self._events = Events()
        self._resolver = Resolver(self._events, clock)
        self._conf = None if orders.servers else conf or ResolvConf()
        self._asking = Asking(self._resolver, Domains(orders.generic), self._tell)
        self._answers: list[bytes] = []
        self._packets: list[bytes] = []
        self._beat_due = 0.0
        self.is_wanted = True
        """There may be more questions."""
        self._resolver.use(orders.servers)

    def run(self) -> None:
        """Serve until the lifeline ends."""
        self.begin()
        while self.is_wanted:
            self.turn()
        self.close()

    def begin(self) -> None:
        """Be ready for questions."""
        if self._conf and self._conf.has_changed():  # before the first one: some may wait already
            self._use(self._conf)
        os.set_blocking(self._lifeline, False)
        self._desk.setblocking(False)
        self._events.watch(self._lifeline, self._hear_parent)
        self._events.watch(self._desk.fileno(), self._hear_desk)
        self._log.say("lookup_ready")

    def turn(self) -> None:
        """Wait for something to do, and do it."""
        due = min(self._beat_due, self._resolver.due)
        for ready in self._events.wait(due - self._clock()):
            self._guarded(ready)
        self._guarded(self._resolver.tick)
        if self._clock() >= self._beat_due:
            self._beat()
        self._flush()

    def close(self) -> None:
        """Let go of everything; what is not answered is not."""
        self._resolver.close()
        self._events.close()

    def _guarded(self, step: Callable[[], None]) -> None:
        """A bug that shows with one question must not end the others."""
        try:
            step()
        except Exception as error:  # noqa: BLE001  the guard
            self._log.often(self._clock(), "bug", error=repr(error), traceback=traceback.format_exc(-3))

    def _beat(self) -> None:
        """A sign of life, and what is done now and then."""
        now = self._clock()
        self._beat_due = now + BEAT
        self._log.say("alive")
        if self._conf and self._conf.has_changed():
            self._use(self._conf)
        if self._resolver.strays:
            self._log.say("lookup", state="strays", datagrams=self._resolver.strays)
            self._resolver.strays = 0

    def _use(self, conf: ResolvConf) -> None:
        servers = conf.servers()
        self._resolver.use(servers)
        if not servers:
            self._log.say("lookup", state="no_resolver", text="resolv.conf names no server; set dns.servers")

    def _hear_parent(self) -> None:
        """End-of-file is all that it has to say."""
        with contextlib.suppress(BlockingIOError):
            self.is_wanted = bool(os.read(self._lifeline, 4096))

    def _hear_desk(self) -> None:
        for _ in range(_QUESTIONS_AT_ONCE):
            try:
                packet = self._desk.recv(PACKET_LIMIT + 1)
            except BlockingIOError:
                return
            except OSError:
                packet = b""
            if not packet:
                self.is_wanted = False
                return
            try:
                question = decode_question(packet)
            except MessageError as error:
                self._log.often(self._clock(), "garbage", why=error)
            else:
                self._asking.ask(question)

    def _tell(self, answer: Answer) -> None:
        self._answers.append(encode_answer(answer))

    def _flush(self) -> None:
        """Deliver the answers of this turn. While the desk does not take them, no questions are taken from it."""
        if self._answers:
            self._packets += packets(self._answers)
            self._answers.clear()
        waited = bool(self._packets)
        while self._packets:
            try:
                self._desk.send(self._packets[0])
            except BlockingIOError:
                self._events.watch(self._desk.fileno(), _another_turn, WRITE)
                return
            except OSError:
                self.is_wanted = False
                return
            del self._packets[0]
        if waited:
            self._events.watch(self._desk.fileno(), self._hear_desk, READ)


def _another_turn() -> None:
    """Nothing is to be done before its end, when answers are delivered."""
