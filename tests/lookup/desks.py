"""A desk for tests: with a clock that is moved by hand, and an asking program whose part the test plays."""

import json
import socket
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from frontproxy.core.config_values import Dns, DnsListSettings, ReplyPoints
from frontproxy.core.hearsay import Hearsay
from frontproxy.core.list_watch import LISTED_POINT, UNLISTED_POINT
from frontproxy.core.reply_pattern import parse_pattern
from frontproxy.lookup.desk import Desk
from frontproxy.lookup.flights import Inquiry
from frontproxy.wire.logfmt import format_line

CLIENT = bytes([192, 0, 2, 1])
TEXT = "192.0.2.1"
Answer = dict[str, object]


def dns_list(zone: str, points: float = -5.0) -> DnsListSettings:
    """A list all of whose replies are worth this."""
    return DnsListSettings(zone, (ReplyPoints(parse_pattern("127.*.*.*"), points),))


LISTS = (dns_list("bl.example"), dns_list("wl.example", 5.0))
ZONES = ["bl.example", "wl.example"]


def stranger(number: int) -> bytes:
    """One of many, each in a network of its own."""
    return bytes([198, number // 256, number % 256, 51])


class Lines:
    """A log that remembers."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.bugs: list[Exception] = []

    def __call__(self, event: str, /, **values: object) -> None:
        self.lines.append(format_line(event, values))

    def bug(self, where: str, error: Exception, /) -> None:
        """Not expected, unless the test looks."""
        self.lines.append(f"bug in {where}: {error!r}")
        self.bugs.append(error)


class Office:
    """The desk, and the other end of its link."""

    def __init__(self, dns: Dns | None = None, lists: tuple[DnsListSettings, ...] = LISTS) -> None:
        self.now = 1000.0
        self.log = Lines()
        self.desk = Desk(self.log, lambda: self.now)
        self.dns = dns or Dns()
        self.heard = 0
        self._sockets = ExitStack()
        self.link, self.program = self.new_link()
        self.desk.configure(self.dns, lists, self.link)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sockets.close()

    def new_link(self) -> tuple[socket.socket, socket.socket]:
        """Both ends of a socket pair that is closed at the end."""
        ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        for end in ends:
            self._sockets.enter_context(end)
        return ends

    def asked(self) -> list[dict[str, Any]]:
        """The questions that have come to the program since we looked last."""
        questions = []
        while True:
            try:
                questions.append(json.loads(self.program.recv(65536)))
            except BlockingIOError:
                return questions

    def answer(self, *answers: Answer) -> None:
        """The program answers, in one packet, which the desk reads."""
        self.send(*answers)
        self.receive()

    def send(self, *answers: Answer) -> None:
        """The program answers."""
        self.program.send(b"".join([json.dumps(answer).encode() + b"\n" for answer in answers]))

    def receive(self) -> None:
        """The desk reads what has come, as it does when it runs."""
        assert self.desk._link._receive(self.link)

    def ask(
        self, packed: bytes = CLIENT, *, name: bool = True, heard: Callable[[], None] | None = None
    ) -> Inquiry | None:
        """Ask about a client; who hears of it is counted."""
        return self.desk.ask(packed, self.now, name=name, heard=heard or self.hear)

    def hear(self) -> None:
        """All was answered."""
        self.heard += 1

    def hearsay(self, packed: bytes = CLIENT) -> Hearsay:
        """What is known of a client now."""
        return self.desk.hearsay(packed, self.now)

    def later(self, seconds: float) -> None:
        """Time passes; the desk looks after what it has to do."""
        self.now += seconds
        self.desk.tick(self.now)

    def test_lists(self, *, pass_: Iterable[str] | None = None, **said: object) -> None:
        """Answer tests that have been asked for; all lists pass, or those of `pass_`."""
        for question in self.asked():
            (zone,) = question["zones"]
            good = pass_ is None or zone in pass_
            listed = question["address"] == (LISTED_POINT if good else UNLISTED_POINT)
            codes = ["127.0.0.2"] if listed else []
            self.answer({"id": question["id"], "zone": zone, **(said or {"codes": codes, "ttl": 60})})


def voting_office(dns: Dns | None = None, lists: tuple[DnsListSettings, ...] = LISTS) -> Office:
    """An office in which all lists have passed their test."""
    office = Office(dns, lists)
    office.later(0)
    office.test_lists()
    assert office.desk.voting == {settings.zone for settings in lists}
    office.log.lines.clear()
    return office


def list_said(question: dict[str, Any], zone: str, *codes: str, ttl: int = 300) -> Answer:
    """What a list answers; no codes: not listed."""
    return {"id": question["id"], "zone": zone, "codes": list(codes), "ttl": ttl}


def list_silent(question: dict[str, Any], zone: str, error: str = "timeout") -> Answer:
    """A list that gives no answer."""
    return {"id": question["id"], "zone": zone, "error": error}


def name_said(question: dict[str, Any], name: str = "mail.example.com", ttl: int = 3600) -> Answer:
    """A confirmed name."""
    said = {"name": name, "state": "confirmed", "domain": "example.com", "access": False, "ttl": ttl}
    return {"id": question["id"], **said}


def name_silent(question: dict[str, Any], error: str = "timeout") -> Answer:
    """A reverse zone that gives no answer."""
    return {"id": question["id"], "name": None, "error": error}


def everything(question: dict[str, Any]) -> list[Answer]:
    """Answers to all that is asked: not listed anywhere, and a confirmed name."""
    answers = [list_said(question, zone) for zone in question["zones"]]
    return [*answers, name_said(question)] if question["name"] else answers
