"""The loop of a feed, with the milter as its service: its turns are taken by hand, so nothing waits for a clock."""

import contextlib
import os
import select
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from frontproxy.learn import loop
from frontproxy.learn.loop import Loop
from frontproxy.learn.milter_service import MilterService
from frontproxy.learn.milter_session import MilterSession
from frontproxy.learn.milter_wire import GO_ON, agree
from frontproxy.learn.reporter import Reporter
from frontproxy.lifeline import ChildLog
from frontproxy.wire.outcome_line import OutcomeLine, decode
from tests.fakes import PATIENCE, open_descriptors
from tests.learn.milter_packets import ABORT, END, accepted, connect, data, end_of_message, mail, offer

REPLY = agree(offer()[5:]).reply


class Post:
    """A milter with its desk, its log and its lifeline."""

    def __init__(self, folder: Path) -> None:
        self._report = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._report.bind(str(folder / "report"))
        self._report.listen()
        self._door = socket.create_server(("127.0.0.1", 0))
        self._door.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)  # the kernel's least, so that it is soon full
        self.address = self._door.getsockname()
        self._log_end, log = os.pipe()
        lifeline, self.lifeline = os.pipe()
        self._open = [self._log_end, log, lifeline]
        self._reporter = Reporter(folder / "report")
        self._clients: list[socket.socket] = []
        self.milter = Loop(
            self._door, MilterService(self._reporter), self._reporter, ChildLog("feed", "milter", log), lifeline
        )
        self.milter.begin()
        self.milter.turn()
        self._desk, _nobody = self._report.accept()
        self._desk.settimeout(PATIENCE)

    def session(self) -> socket.socket:
        """A mail server that has connected and been accepted."""
        client = socket.socket()
        client.settimeout(PATIENCE)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)  # the kernel's least, as at the other end
        client.connect(self.address)
        self._clients.append(client)
        self.milter.turn()
        return client

    def say(self, client: socket.socket, *words: bytes) -> None:
        """One turn of the milter after these octets."""
        client.sendall(b"".join(words))
        self.milter.turn()

    def hear(self) -> OutcomeLine:
        """The next outcome that was told."""
        line = b""
        while not line.endswith(b"\n"):
            line += self._desk.recv(1)
        return decode(line)

    def has_told(self) -> bool:
        """An outcome waits to be heard."""
        return bool(select.select([self._desk], [], [], 0)[0])

    def is_wanted(self) -> bool:
        """The milter would go on."""
        return self.milter.is_wanted

    def leave(self) -> None:
        """Close the desk."""
        self._desk.close()

    def log(self) -> str:
        """All it has logged since the last time."""
        return os.read(self._log_end, 65536).decode()

    def hang_up(self) -> None:
        """Close the lifeline."""
        os.close(self.lifeline)
        self.lifeline = -1

    def close(self) -> None:
        """All of it."""
        for sock in (*self._clients, self._desk, self._report, self._door):
            sock.close()
        self.milter.close()
        self._reporter.close()
        for descriptor in [*self._open, *([self.lifeline] if self.lifeline >= 0 else [])]:
            os.close(descriptor)


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Post]:
    before = open_descriptors()
    post = Post(tmp_path)
    yield post
    post.close()
    assert open_descriptors() <= before


def is_closed(client: socket.socket) -> bool:
    """The milter has closed the connection."""
    with contextlib.suppress(ConnectionResetError):
        return client.recv(1) == b""
    return True


def test_a_session_is_answered_twice_and_told_once(post: Post) -> None:
    client = post.session()
    post.say(client, offer())
    assert client.recv(1000) == REPLY
    post.say(client, connect(port=99), mail(), accepted(), data())
    post.say(client, end_of_message())
    assert client.recv(1000) == GO_ON
    assert not post.has_told()
    post.say(client, END)

    outcome = post.hear()
    assert (outcome.client, outcome.port, outcome.messages) == ("192.0.2.1", 99, 1)
    assert is_closed(client)


def test_an_offer_that_is_there_already_is_answered_in_the_same_turn(post: Post) -> None:
    client = socket.create_connection(post.address, PATIENCE)
    with client:
        post.say(client, offer())
        assert client.recv(1000) == REPLY


def test_sessions_do_not_mix(post: Post) -> None:
    clients = [post.session() for _ in range(20)]
    for number, client in enumerate(clients):
        post.say(client, offer(), connect(port=number + 1), mail(), *[accepted()] * number)
    for client in clients:
        post.say(client, ABORT, END)

    assert [(post.hear().port, number + 1) for number in range(20)] == [
        (number + 1, number + 1) for number in range(20)
    ]


def test_garbage_ends_its_session_alone_and_is_logged(post: Post) -> None:
    good, bad = post.session(), post.session()
    post.say(good, offer(), connect())
    post.say(bad, b"EHLO \x1b[2J\r\n")
    assert is_closed(bad)
    post.say(good, END)

    assert post.hear().client == "192.0.2.1"
    assert "event=feed name=milter state=garbage times=1 why=" in post.log()


def test_a_bug_in_one_session_ends_it_alone(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    bad, good = post.session(), post.session()

    def break_down(_self: object, _data: bytes) -> bytes:
        raise RuntimeError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr(MilterSession, "receive", break_down)
        post.say(bad, offer())
    assert is_closed(bad)
    post.say(good, offer(), connect(), END)

    assert post.hear().client == "192.0.2.1"
    assert "a bug" in post.log()


def test_a_connection_that_breaks_is_closed_and_not_told(post: Post) -> None:
    client = post.session()
    post.say(client, offer(), connect(), mail(), accepted())
    client.close()
    post.milter.turn()

    assert not post.has_told()
    assert post.milter.connections == 0


def test_who_does_not_read_our_answers_is_closed(post: Post) -> None:
    client = post.session()
    post.say(client, offer(), connect())
    for _ in range(200):
        if post.milter.connections:
            post.say(client, end_of_message() * 200)

    assert post.milter.connections == 0
    assert not post.has_told()


def test_one_connection_too_many_is_closed_at_once(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(post.milter, "_limit", 1)
    first, second = post.session(), post.session()

    assert is_closed(second)
    assert "state=full times=1 connections=1" in post.log()
    post.say(first, offer(), connect(), END)
    assert post.hear().client == "192.0.2.1"
    post.say(post.session(), offer())
    assert post.milter.connections == 1


def test_who_does_not_negotiate_in_time_is_closed(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    negotiated, silent = post.session(), post.session()
    post.say(negotiated, offer())
    monkeypatch.setattr(loop, "BEGUN_WITHIN", 0.0)
    monkeypatch.setattr(post.milter, "_beat_due", 0.0)
    post.milter.turn()

    assert is_closed(silent)
    assert post.milter.connections == 1


def test_no_descriptors_pause_the_door_until_the_next_beat(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        asked = 0

        def accept(self) -> None:
            self.asked += 1
            raise OSError(24, "Too many open files")

    full = Full()
    with monkeypatch.context() as patch:
        patch.setattr(post.milter, "_door", full)
        client = post.session()
        patch.setattr(post.milter, "_beat_due", time.monotonic() + 0.01)
        post.milter.turn()
    assert full.asked == 1
    assert 'state=accept_failed times=1 error="Too many open files"' in post.log()
    post.milter.turn()
    post.say(client, offer())

    assert client.recv(1000) == REPLY


def test_it_says_that_it_is_ready_and_that_it_lives(post: Post) -> None:
    assert post.log().splitlines() == ["event=feed_ready name=milter", "event=alive name=milter"]


def test_without_its_lifeline_nobody_new_comes_in_and_who_is_there_is_finished(post: Post) -> None:
    client = post.session()
    post.say(client, offer(), connect())
    post.hang_up()
    post.milter.turn()

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(post.address, PATIENCE)
    assert post.is_wanted()
    post.say(client, END)
    assert post.hear().client == "192.0.2.1"
    assert not post.is_wanted()


def test_without_lifeline_and_desk_it_ends_whoever_is_there(post: Post) -> None:
    first, second = post.session(), post.session()
    post.say(first, offer(), connect())
    post.say(second, offer(), connect())
    post.hang_up()
    post.milter.turn()
    post.leave()
    assert post.is_wanted()
    post.say(first, END)

    assert not post.is_wanted()
    assert post.milter.connections == 1
