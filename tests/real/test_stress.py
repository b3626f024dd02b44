"""A pool under stress: when it turns, who feels it, and what an operator can do about it."""

import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.real.house import House, wait_for
from tests.real.receivers import FRIEND, FRIENDS, Receiver, take_mail

CONFIG = """
[listen]
addresses = ["127.0.0.1:0"]
pause = "{pause}"
{friends}
[[list]]
name = "suspects"
kind = "points"
networks = ["127.80.0.0/16"]
points = -8
[pool.nice]
backends = ["{backend}"]
sessions = 20
per_client = 20
reserved = true
handover_wait = "20s"
[pool.hostile]
backends = ["{backend}"]
sessions = {sessions}
patience = "60s"
handover_wait = "20s"
"""
ROUTES = """
[[route]]
when = "friend"
to = "nice"
[[route]]
when = '"hostile" in stress'
reply = "421 4.7.0 Not now"
[[route]]
to = "hostile"
"""
CALM_FOR_A_SECOND = "from frontproxy.core import stress; stress.CALM_FOR = 1"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver(take_mail) as receiver:
        yield receiver


@pytest.fixture
def clients() -> Iterator[ExitStack]:
    """All connections that are still open at the end."""
    with ExitStack() as clients:
        yield clients


@pytest.fixture
def settle(build: Callable[..., House], receiver: Receiver) -> Callable[..., House]:
    """Starts a house with as many places for strangers, and their pause."""

    def start(sessions: int = 10, pause: str = "0s", more: str = "") -> House:
        config = CONFIG.format(friends=FRIENDS, backend=receiver.backend, sessions=sessions, pause=pause)
        return build(config + more, first=CALM_FOR_A_SECOND).start()

    return start


def is_stressed(house: House, pool: str = "hostile") -> bool:
    return bool(house.pool(pool)["stress"])


def let_pass(house: House, seconds: float) -> None:
    """Time goes by for it, and nothing else happens."""
    then = house.ask("status")["uptime"]
    wait_for(lambda: house.ask("status")["uptime"] > then + seconds, "the time")


def fill(house: House, clients: ExitStack, count: int) -> list[socket.socket]:
    """So many more strangers are served."""
    fresh = [clients.enter_context(house.connect(f"127.64.0.{number + 1}")) for number in range(count)]
    for client in fresh:
        assert client.recv(4096).startswith(b"220 ")
    return fresh


def line_up(house: House, clients: ExitStack, network: str, count: int) -> list[socket.socket]:
    """So many more clients wait in line, each later than the one before."""
    waiting = []
    for number in range(count):
        accepted = house.ask("status")["counters"]["accepted"]
        waiting.append(clients.enter_context(house.connect(f"{network}.{number + 1}")))
        wait_for(lambda goal=accepted + 1: house.ask("status")["counters"]["accepted"] >= goal, "the arrival")
    return waiting


def test_stress_comes_at_nine_tenths_and_goes_below_seven_after_a_calm_time(
    settle: Callable[..., House], clients: ExitStack
) -> None:
    house = settle(sessions=10)
    sessions = fill(house, clients, 8)
    let_pass(house, 0.3)
    assert not is_stressed(house)

    sessions += fill(house, clients, 1)
    wait_for(lambda: is_stressed(house), "stress")
    (line,) = wait_for(lambda: house.events("stress", pool="hostile", state="on"), "its line in the log")
    assert " taken=9 waiting=0" in line

    for session in sessions[:2]:
        session.close()
    wait_for(lambda: house.pool("hostile")["taken"] == 7, "two places free")
    let_pass(house, 1.5)  # more than the calm time
    assert is_stressed(house)

    sessions[2].close()
    began = time.monotonic()
    (line,) = wait_for(lambda: house.events("stress", pool="hostile", state="off"), "the end of stress")
    assert time.monotonic() - began > 0.9
    assert " taken=6 " in line
    assert not is_stressed(house)
    assert not house.events("stress", pool="nice")


def test_an_operator_holds_stress_on_for_a_while(settle: Callable[..., House]) -> None:
    house = settle()

    answer = json.loads(house.command("stress", "hostile", "on", "--for", "1s", "--json"))

    assert answer["pools"] == [{"name": "hostile", "stress": True, "held": "on"}]
    assert (is_stressed(house), is_stressed(house, "nice")) == (True, False)
    wait_for(lambda: house.events("stress", pool="hostile", state="off"), "the end of the while")
    assert not is_stressed(house)


def test_an_operator_holds_stress_off_until_it_may_follow_the_pool_again(
    settle: Callable[..., House], clients: ExitStack
) -> None:
    house = settle(sessions=2)
    house.command("stress", "hostile", "off")
    fill(house, clients, 2)
    let_pass(house, 0.3)
    assert not is_stressed(house)
    assert house.ask("stress hostile")["pools"] == [{"name": "hostile", "stress": False, "held": "off"}]

    house.command("stress", "hostile", "auto")

    assert is_stressed(house)
    with pytest.raises(subprocess.CalledProcessError):
        house.command("stress", "nobody", "on")


def test_under_stress_strangers_wait_two_seconds_at_most(settle: Callable[..., House], clients: ExitStack) -> None:
    house = settle(pause="30s")
    patient = clients.enter_context(house.connect("127.64.0.1"))
    wait_for(lambda: house.ask("status")["waiting_room"]["waiting"] == 1, "the first stranger")
    house.ask("stress nice on")

    began = time.monotonic()
    fill(house, clients, 1)

    assert 1.9 < time.monotonic() - began < 15
    assert house.ask("status")["waiting_room"]["waiting"] == 1
    patient.setblocking(False)
    with pytest.raises(BlockingIOError):
        patient.recv(1)


def test_under_stress_the_worst_of_the_line_leave_first_and_a_friend_notices_nothing(
    settle: Callable[..., House], clients: ExitStack
) -> None:
    house = settle(sessions=3)
    house.ask("stress hostile off")
    served = fill(house, clients, 3)
    strangers = line_up(house, clients, "127.64.1", 2)
    suspects = line_up(house, clients, "127.80.0", 3)
    assert house.pool("hostile")["waiting"] == 5

    house.ask("stress hostile auto")

    for suspect in suspects[1:]:
        assert suspect.recv(4096).startswith(b"421 4.3.2 ")
    assert house.pool("hostile")["waiting"] == 3
    for _ in range(10):
        house.deliver(FRIEND)
    wait_for(lambda: len(house.events("handover", client=FRIEND, pool="nice", settled="yes")) == 10, "his lines")
    for place in served:
        place.close()
    for client in (*strangers, suspects[0]):
        assert client.recv(4096).startswith(b"220 ")
    refused = wait_for(lambda: house.events("refused"), "their lines")
    assert [line.split(" client=")[1].split()[0] for line in refused] == ["127.80.0.3", "127.80.0.2"]
    assert all(" why=stress " in line for line in refused)


def test_a_rule_can_ask_which_pool_is_stressed(settle: Callable[..., House], clients: ExitStack) -> None:
    house = settle(more=ROUTES)
    house.ask("stress nice on")
    fill(house, clients, 1)
    house.ask("stress hostile on")

    with house.connect("127.64.0.9") as stranger:
        assert stranger.recv(4096) == b"421 4.7.0 Not now\r\n"
    house.deliver(FRIEND)
