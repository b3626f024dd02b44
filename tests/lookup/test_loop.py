"""The loop of the asking program, from questions to answers; its turns are taken by hand."""

import json
import os
import select
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from frontproxy.lifeline import ChildLog
from frontproxy.lookup.loop import Loop
from frontproxy.lookup.messages import (
    PACKET_LIMIT,
    Answer,
    ListSaid,
    NameSaid,
    Question,
    decode_answers,
    encode_question,
)
from frontproxy.lookup.orders import Orders
from frontproxy.lookup.resolv_conf import ResolvConf
from tests.fakes import PATIENCE, open_descriptors
from tests.lookup.fake_dns import FakeServer


class Post:
    """A loop, and the desk, the log and the lifeline at their other ends."""

    def __init__(self, orders: Orders, conf: Path) -> None:
        self.desk, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.desk.settimeout(PATIENCE)
        self._log_end, log = os.pipe()
        lifeline, self.lifeline = os.pipe()
        self._open = [self._log_end, log, lifeline]
        self.now = 1000.0
        self._theirs = theirs
        self.loop = Loop(
            theirs,
            orders,
            ChildLog("lookup", "lookup", log),
            lifeline=lifeline,
            conf=ResolvConf(conf),
            clock=lambda: self.now,
        )
        self.loop.begin()
        self.turn()

    def turn(self, later: float = 4.0) -> None:
        """A turn that does not wait, since something is due."""
        self.now += later
        self.loop.turn()

    def ask(self, number: int, *zones: str, name: bool = False) -> None:
        """Ask about an address."""
        self.desk.send(encode_question(Question(number, "192.0.2.1", zones, name)))
        self.turn(0)

    def answers(self) -> list[Answer]:
        """Those of one packet."""
        return decode_answers(self.desk.recv(PACKET_LIMIT))

    def log(self) -> list[str]:
        """All it has logged since the last time."""
        return os.read(self._log_end, 65536).decode().splitlines()

    def hang_up(self) -> None:
        """Close the lifeline."""
        os.close(self.lifeline)
        self.lifeline = -1

    def close(self) -> None:
        """All of it."""
        self.loop.close()
        self.desk.close()
        self._theirs.close()
        for descriptor in [*self._open, *([self.lifeline] if self.lifeline >= 0 else [])]:
            os.close(descriptor)


@pytest.fixture(autouse=True)
def descriptors() -> Iterator[None]:
    before = open_descriptors()
    yield
    assert open_descriptors() <= before


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as server:
        yield server


@pytest.fixture
def post(server: FakeServer, tmp_path: Path) -> Iterator[Post]:
    post = Post(Orders((server.place,), ("generic.example",)), tmp_path / "none")
    yield post
    post.close()


@pytest.fixture
def poor(tmp_path: Path) -> Iterator[Post]:
    post = Post(Orders(), tmp_path / "resolv.conf")
    yield post
    post.close()


def test_a_question_is_answered_list_by_list_and_by_name(server: FakeServer, post: Post) -> None:
    post.ask(17, "bl.example", "wl.example", name=True)
    for _ in range(3):
        query = server.query()
        if "bl.example" in query.name:
            query.listed("127.0.0.4", "127.0.0.2")
        elif "wl.example" in query.name:
            query.answer(rcode="NXDOMAIN")
        else:
            query.answer("1.2.0.192.in-addr.arpa. 3600 IN PTR mail.generic.example.")
    post.turn(0)
    server.query().answer("mail.generic.example. 60 IN A 192.0.2.1")
    post.turn(0)

    assert sorted(post.answers(), key=str) == [
        ListSaid(17, "bl.example", ("127.0.0.2", "127.0.0.4"), 300),
        ListSaid(17, "wl.example", (), 0),
    ]
    assert post.answers() == [NameSaid(17, "confirmed", "mail.generic.example", "", access=False, ttl=60)]


def test_questions_that_waited_for_the_program_are_answered(poor: Post) -> None:
    for number in range(5):
        poor.desk.send(encode_question(Question(number, "192.0.2.1", ("bl.example",), name=False)))
    poor.turn(0)

    assert [answer.id for answer in poor.answers()] == [0, 1, 2, 3, 4]


def test_signs_of_life_are_given(post: Post) -> None:
    assert post.log() == ["event=lookup_ready name=lookup", "event=alive name=lookup"]
    post.turn(4.0)
    assert post.log() == ["event=alive name=lookup"]


def test_garbage_is_told_and_the_next_question_answered(server: FakeServer, post: Post) -> None:
    post.desk.send(b"garbage")
    post.ask(1, "bl.example")
    server.query().answer(rcode="REFUSED")
    post.turn(0)

    assert post.answers() == [ListSaid(1, "bl.example", (), 0, "REFUSED")]
    assert any("state=garbage" in line for line in post.log())


def test_without_a_resolver_every_question_is_answered_and_the_log_says_why(poor: Post) -> None:
    poor.ask(1, "bl.example", name=True)

    assert {answer.error for answer in poor.answers()} == {"no resolver"}
    assert any("state=no_resolver" in line for line in poor.log())


def test_resolv_conf_is_read_again_when_it_changes(poor: Post, tmp_path: Path) -> None:
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    poor.turn(4.0)
    poor.ask(1, "bl.example")

    assert not select.select([poor.desk], [], [], 0)[0], "somebody was asked, or will be"


def test_strays_are_counted(server: FakeServer, post: Post) -> None:
    post.ask(1, "bl.example")
    query = server.query()
    query.back(b"garbage")
    post.turn(0)
    post.log()
    post.turn(4.0)

    assert "event=lookup name=lookup state=strays datagrams=1" in post.log()


def test_a_bug_ends_one_question_and_is_told(server: FakeServer, post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise KeyError("a bug")

    with monkeypatch.context() as context:
        context.setattr("frontproxy.lookup.asking.listing", fail)
        post.ask(1, "bl.example")
        server.query().listed("127.0.0.2")
        post.turn(0)
    post.ask(2, "bl.example")
    server.query().listed("127.0.0.2")
    post.turn(0)

    assert [answer.id for answer in post.answers()] == [2]
    assert any("state=bug" in line and "a bug" in line for line in post.log())


def test_a_desk_that_does_not_listen_gets_its_answers_later(poor: Post) -> None:
    zones = tuple(f"list{number}.example" for number in range(50))
    asked = answered = 0
    while select.select([], [poor.desk], [], 0)[1]:
        poor.desk.send(encode_question(Question(asked, "192.0.2.1", zones, name=False)))
        asked += 1
        poor.turn()
    while answered < asked * len(zones):
        answered += len(poor.answers())
        poor.turn()

    assert asked > 10
    assert answered == asked * len(zones)


@pytest.mark.parametrize("ending", ["lifeline", "desk"])
def test_when_nobody_wants_it_it_ends(post: Post, ending: str) -> None:
    post.turn(4.0)
    assert post.loop.is_wanted
    if ending == "lifeline":
        post.hang_up()
    else:
        post.desk.close()
    post.turn(0)

    assert not post.loop.is_wanted


def test_the_agreed_form_of_a_question_is_understood(server: FakeServer, post: Post) -> None:
    post.desk.send(json.dumps({"id": 1, "address": "2001:db8::1", "zones": ["bl.example"], "name": False}).encode())
    post.turn(0)

    assert server.query().name == "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.bl.example A"
