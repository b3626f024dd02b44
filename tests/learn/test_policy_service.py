"""The policy service at its door: what it answers, what it tells, whom it keeps waiting for how long."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from frontproxy.learn import policy_routes
from frontproxy.learn.loop import Loop
from frontproxy.learn.policy_routes import NO_ROUTE, Route
from frontproxy.learn.policy_service import Policy, action_for
from frontproxy.learn.reporter import Reporter
from frontproxy.lifeline import ChildLog
from frontproxy.wire.outcome_line import OutcomeLine, decode
from tests.fakes import PATIENCE, open_descriptors
from tests.learn.admin_socket import AdminSocket
from tests.learn.policy_requests import CLIENT, OTHER, request

CLASSES = {"nice": "friends", "hostile": "strangers", "hostile.stress": "strangers_stress", "reply": "reply"}
DUNNO = b"action=DUNNO\n\n"


@pytest.mark.parametrize(
    ("route", "stress", "action"),
    [
        (Route("nice"), False, "friends"),
        (Route("nice"), True, "friends"),
        (Route("nice", stress=True), False, "friends"),
        (Route("hostile"), False, "strangers"),
        (Route("hostile"), True, "strangers_stress"),
        (Route("hostile", stress=True), False, "strangers_stress"),
        (Route("third"), True, "DUNNO"),
        (Route(reply="421 4.3.2 Later"), False, "421 4.3.2 Later"),
        (Route(reply="421 4.3.2 Later\n\naction=OK"), False, "DUNNO"),
        (Route(reply="421 4.3.2 " + "x" * 600), False, "DUNNO"),
        (NO_ROUTE, True, "DUNNO"),
    ],
)
def test_the_action_is_that_of_the_route(route: Route, stress: bool, action: str) -> None:
    assert action_for(route, CLASSES, stress=stress) == action


def test_a_route_that_is_a_reply_is_given_only_where_the_classes_say_so() -> None:
    route = Route(reply="554 5.7.1 Access denied")

    assert action_for(route, {"nice": "friends"}, stress=False) == "DUNNO"
    assert action_for(route, {"reply": "strangers"}, stress=False) == "strangers"


class Post:
    """A policy service with its desk, its proxy, its log and its lifeline."""

    def __init__(self, folder: Path, classes: dict[str, str]) -> None:
        self.proxy = AdminSocket(folder / "admin")
        self._report = socket.socket(socket.AF_UNIX)
        self._report.bind(str(folder / "report"))
        self._report.listen()
        self._door = socket.create_server(("127.0.0.1", 0))
        self._address = self._door.getsockname()
        self._log_end, log_pipe = os.pipe()
        lifeline, self._lifeline = os.pipe()
        self._pipes = [self._log_end, log_pipe, lifeline, self._lifeline]
        self._servers: list[socket.socket] = []
        self._reporter = Reporter(folder / "report")
        log = ChildLog("feed", "policy", log_pipe)
        self.loop = Loop(
            self._door, Policy(self._reporter, log, self.proxy.path, classes), self._reporter, log, lifeline
        )
        self.loop.begin()
        self.loop.turn()
        self._desk = self._report.accept()[0]
        self._desk.settimeout(PATIENCE)

    def server(self) -> socket.socket:
        """A process of the mail server that has connected and been accepted."""
        server = socket.create_connection(self._address, PATIENCE)
        self._servers.append(server)
        self.loop.turn()
        return server

    def ask(self, server: socket.socket, *requests: bytes) -> None:
        """One turn after these octets."""
        server.sendall(b"".join(requests))
        self.loop.turn()

    def hear(self) -> OutcomeLine:
        """The next outcome that was told."""
        line = b""
        while not line.endswith(b"\n"):
            line += self._desk.recv(1)
        return decode(line)

    def log(self) -> str:
        """All that was logged."""
        return os.read(self._log_end, 65536).decode()

    def hang_up(self) -> None:
        """The parent has gone."""
        os.close(self._lifeline)
        self._pipes.remove(self._lifeline)
        self.loop.turn()

    def close(self) -> None:
        """All of it."""
        for sock in (*self._servers, self._desk, self._report, self._door):
            sock.close()
        self.loop.close()
        self._reporter.close()
        self.proxy.close()
        for pipe in self._pipes:
            os.close(pipe)


@pytest.fixture
def classes() -> dict[str, str]:
    return CLASSES


@pytest.fixture
def post(tmp_path: Path, classes: dict[str, str]) -> Iterator[Post]:
    before = open_descriptors()
    post = Post(tmp_path, classes)
    yield post
    post.close()
    assert open_descriptors() <= before


def test_a_request_is_answered_by_the_clients_route(post: Post) -> None:
    server = post.server()
    post.ask(server, request())
    assert post.proxy.hear() == f"route {CLIENT[0]}"
    post.proxy.answer(CLIENT[0], "hostile")
    post.loop.turn()
    assert server.recv(100) == b"action=strangers\n\n"

    post.ask(server, request(stress="yes"))
    assert server.recv(100) == b"action=strangers_stress\n\n"


def test_each_request_that_waits_gets_its_own_answer(post: Post) -> None:
    servers = [post.server() for _ in range(3)]
    asked = [request(), request(stress="yes"), request(client=OTHER)]
    for server, octets in zip(servers, asked, strict=True):
        post.ask(server, octets)
    post.proxy.answer(CLIENT[0], "hostile")
    post.proxy.answer(OTHER[0], "nice")
    post.loop.turn()

    told = [b"action=strangers\n\n", b"action=strangers_stress\n\n", b"action=friends\n\n"]
    assert [server.recv(100) for server in servers] == told


@pytest.mark.parametrize(
    "asked",
    [
        request(context="pre"),
        request(context="post"),
        request("DATA"),
        request("END-OF-MESSAGE"),
        request("VRFY"),
        request(client=("unknown", 25)),
    ],
)
def test_where_a_class_makes_no_sense_the_answer_is_dunno_at_once(post: Post, asked: bytes) -> None:
    server = post.server()
    post.ask(server, asked)

    assert server.recv(100) == DUNNO


@pytest.mark.parametrize("classes", [{}])
def test_without_classes_nobody_is_asked(post: Post) -> None:
    server = post.server()
    post.ask(server, request(), request("DATA", recipient_count=1))

    assert server.recv(100) == DUNNO * 2


def test_a_proxy_that_is_away_costs_no_wait(post: Post) -> None:
    path = post.proxy.path
    post.proxy.close()
    server = post.server()
    post.ask(server, request())

    assert server.recv(100) == DUNNO
    post.proxy = AdminSocket(path)


def test_a_proxy_that_does_not_answer_costs_a_moment(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy_routes, "ANSWER_WITHIN", 0.05)
    server = post.server()
    post.ask(server, request())
    post.loop.turn()

    assert server.recv(100) == DUNNO
    assert "state=no_answer" in post.log()


def test_a_connection_that_went_away_does_not_get_anothers_answer(post: Post) -> None:
    first = post.server()
    number = post.loop.connections
    post.ask(first, request())
    first.close()
    post.loop.turn()
    assert post.loop.connections == number - 1
    second = post.server()  # with the descriptor of the first
    post.ask(second, request(client=OTHER))
    post.proxy.answer(CLIENT[0], "nice")
    post.loop.turn()
    post.proxy.answer(OTHER[0], "hostile")
    post.loop.turn()

    assert second.recv(100) == b"action=strangers\n\n"


def test_who_does_not_wait_for_its_answer_is_no_mail_server(post: Post) -> None:
    server = post.server()
    post.ask(server, request(), request())

    assert server.recv(100) == b""
    assert "state=garbage" in post.log()


def test_what_it_learns_is_told(post: Post) -> None:
    server = post.server()
    post.ask(server, request("END-OF-MESSAGE", recipient_count=2))
    server.close()
    post.loop.turn()

    told = post.hear()
    assert (told.client, told.port, told.messages, told.recipients) == (*CLIENT, 1, 2)


def test_without_its_lifeline_it_tells_what_it_has_seen_and_ends(post: Post) -> None:
    post.ask(post.server(), request("END-OF-MESSAGE", recipient_count=2))
    post.hang_up()

    assert not post.loop.is_wanted
    post.loop.close()
    assert post.hear().messages == 1
