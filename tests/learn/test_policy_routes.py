"""Asking the running proxy for routes: never waited for, and whatever is odd is no route."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from frontproxy.learn import policy_routes
from frontproxy.learn.policy_routes import ANSWER_WITHIN, KEPT_FOR, NO_ROUTE, REST, Route, Routes
from frontproxy.lifeline import ChildLog
from tests.fakes import open_descriptors
from tests.learn.admin_socket import AdminSocket

A, B = "192.0.2.1", "2001:db8::1"
NICE = Route("nice")


class Asker:
    """Routes with a clock that a test turns, a loop of its own, and all that was heard."""

    def __init__(self, folder: Path) -> None:
        self.proxy = AdminSocket(folder / "admin")
        self.now = 1000.0
        self.heard: list[tuple[str, Route]] = []
        self._log_end, self._log = os.pipe()
        self._hear: dict[int, Callable[[float], None]] = {}
        self.routes = Routes(
            self.proxy.path, self, ChildLog("feed", "policy", self._log), lambda *told: self.heard.append(told)
        )

    def watch(self, number: int, hear: Callable[[float], None]) -> None:
        """As a loop does."""
        self._hear[number] = hear

    def unwatch(self, number: int) -> None:
        """As a loop does."""
        del self._hear[number]

    def ask(self, *clients: str) -> list[bool]:
        """Whether they can be asked about."""
        return [self.routes.ask(client, self.now) for client in clients]

    def turn(self) -> None:
        """Read what has come."""
        for hear in list(self._hear.values()):
            hear(self.now)

    def log(self) -> str:
        """What was logged."""
        return os.read(self._log_end, 65536).decode()

    def close(self) -> None:
        """All of it."""
        self.routes.close()
        assert self._hear == {}
        self.proxy.close()
        os.close(self._log_end)
        os.close(self._log)


@pytest.fixture
def asker(tmp_path: Path) -> Iterator[Asker]:
    before = open_descriptors()
    asker = Asker(tmp_path)
    yield asker
    asker.close()
    assert open_descriptors() <= before


def test_routes_come_in_the_order_of_the_questions(asker: Asker) -> None:
    assert asker.ask(A, B) == [True, True]
    assert [asker.proxy.hear(), asker.proxy.hear()] == [f"route {A}", f"route {B}"]
    asker.proxy.answer(A, "nice")
    asker.proxy.answer(B, reply="421 4.3.2 Later", stress=True)
    asker.turn()

    assert asker.heard == [(A, NICE), (B, Route("", "421 4.3.2 Later", stress=True))]


def test_a_client_is_asked_about_once_at_a_time(asker: Asker) -> None:
    asker.ask(A, A, B)

    assert [asker.proxy.hear(), asker.proxy.hear()] == [f"route {A}", f"route {B}"]


def test_an_answer_is_kept_for_a_moment(asker: Asker) -> None:
    assert asker.routes.known(A, asker.now) is None
    asker.ask(A)
    asker.proxy.answer(A, "nice")
    asker.turn()

    assert asker.routes.known(A, asker.now + KEPT_FOR - 0.1) == NICE
    assert asker.routes.known(A, asker.now + KEPT_FOR) is None


def test_the_eldest_answers_make_room(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy_routes, "KEPT", 2)
    for client in ("a", "b", "a", "c"):
        asker.ask(client)
        asker.proxy.answer(client, "nice")
        asker.turn()

    assert [asker.routes.known(client, asker.now) for client in "abc"] == [NICE, None, NICE]


def test_an_answer_may_come_in_pieces(asker: Asker) -> None:
    asker.ask(A)
    asker.proxy.connection.sendall(b'{"ok": true, "client": "192.0.2.1", "pool"')
    asker.turn()
    assert asker.heard == []
    asker.proxy.connection.sendall(b': "nice", "reply": null, "stress": false}\n')
    asker.turn()

    assert asker.heard == [(A, NICE)]


@pytest.mark.parametrize(
    "odd",
    [
        {"ok": False, "code": "unknown_command", "error": "route"},
        {"ok": True, "client": B, "pool": "nice", "reply": None, "stress": False},
        {"ok": True, "client": A, "pool": 5, "reply": None, "stress": False},
        {"ok": True, "client": A, "pool": "nice", "reply": None},
        ["ok"],
    ],
)
def test_an_odd_answer_is_no_route_and_is_told(asker: Asker, odd: object) -> None:
    asker.ask(A)
    asker.proxy.say(odd)
    asker.turn()

    assert asker.heard == [(A, NO_ROUTE)]
    assert asker.routes.known(A, asker.now) is None
    assert "state=odd_answer" in asker.log()


@pytest.mark.parametrize("octets", [b"\xff\n", b"[" * 9000 + b"\n", b"x" * 20_000])
def test_what_is_no_json_is_no_route(asker: Asker, octets: bytes) -> None:
    asker.ask(A)
    asker.proxy.connection.sendall(octets)
    asker.turn()

    assert asker.heard == [(A, NO_ROUTE)]


def test_a_proxy_that_says_more_than_it_was_asked_is_not_heard(asker: Asker) -> None:
    asker.ask(A)
    asker.proxy.answer(A, "nice")
    asker.proxy.answer(B, "nice")
    asker.turn()

    assert asker.heard == [(A, NICE)]


def test_nobody_waits_longer_than_a_second_and_then_the_proxy_rests(asker: Asker) -> None:
    asker.ask(A)
    assert asker.routes.tend(asker.now) == asker.now + ANSWER_WITHIN
    asker.now += ANSWER_WITHIN
    asker.routes.tend(asker.now)

    assert asker.heard == [(A, NO_ROUTE)]
    assert "state=no_answer" in asker.log()
    assert asker.ask(A) == [False]
    asker.proxy.hang_up()
    asker.now += REST
    assert asker.ask(A) == [True]


def test_a_proxy_that_goes_away_leaves_no_question_open_and_is_asked_again(asker: Asker) -> None:
    asker.ask(A, B)
    asker.proxy.hear()
    asker.proxy.hang_up()
    asker.turn()

    assert asker.heard == [(A, NO_ROUTE), (B, NO_ROUTE)]
    assert asker.ask(A) == [True]
    assert asker.proxy.hear() == f"route {A}"


def test_a_connection_closed_before_the_next_question_costs_one_answer(asker: Asker) -> None:
    asker.ask(A)
    asker.proxy.answer(A, "nice")
    asker.turn()
    asker.proxy.hang_up()

    assert asker.ask(B, B) == [False, True]


def test_a_proxy_that_is_not_there_is_left_alone_for_a_while(asker: Asker) -> None:
    path = asker.proxy.path
    asker.proxy.close()
    assert asker.ask(A) == [False]
    asker.proxy = AdminSocket(path)

    assert asker.ask(A) == [False]
    asker.now += REST
    assert asker.ask(A) == [True]
    assert "state=proxy_away" in asker.log()


def test_a_proxy_that_does_not_read_costs_no_wait(asker: Asker) -> None:
    clients = [f"{number:x}" * 500 for number in range(2000)]

    assert not all(asker.ask(*clients))
