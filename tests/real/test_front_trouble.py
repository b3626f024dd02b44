"""Trouble that is ours, before a real Postfix: killed, out of descriptors, told to end. What Postfix has goes on."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.real.house import House, wait_for
from tests.real.ports import Port
from tests.real.postfix import Postfix, passed
from tests.real.street import (
    FRIEND,
    MESSAGE,
    OTHER_FRIEND,
    STRANGER,
    Sender,
    assert_well,
    config,
    crowd,
    dialog,
    farewell,
    move_in,
    need_street,
    pool,
    send,
    wait_for_taken,
)


@pytest.fixture(autouse=True)
def _needs() -> None:
    need_street()


@pytest.fixture
def postfix() -> Iterator[Postfix]:
    with Postfix(passed("nice"), passed("hostile")) as postfix:
        yield postfix


def test_killed_in_mid_flood_it_loses_nothing_that_postfix_has(postfix: Postfix, build: Callable[..., House]) -> None:
    with Port() as port, ExitStack() as stack:
        house = move_in(build, config(postfix, address=str(port), pause="60s"))
        stack.enter_context(crowd(house, [f"127.64.1.{last}" for last in range(1, 101)]))
        session = stack.enter_context(dialog(house, "127.1.0.3"))
        assert session.docmd("DATA")[0] == 354
        session.send("Subject: slow\r\n\r\nbut ")
        with Sender(house, FRIEND) as one, Sender(house, OTHER_FRIEND) as other:
            one.sends()
            other.sends()
            house.kill()
            house.wait()
            session.send("sure\r\n.\r\n")
            assert session.getreply()[0] == 250

            began = time.monotonic()
            house.start()
            one.sends(1)
            assert time.monotonic() - began < 10
            one.sends()
            other.sends()
        accepted = one.accepted + other.accepted + 1
        wait_for(lambda: postfix.log().count(" status=sent ") >= accepted, "all that was accepted")
        assert_well(house)


def test_without_descriptors_friends_are_served_and_strangers_shed(
    postfix: Postfix, build: Callable[..., House]
) -> None:
    house = move_in(build, config(postfix, pause="60s"), descriptors=100)
    with ExitStack() as strangers:
        for last in range(1, 151):
            strangers.enter_context(house.connect(f"127.64.1.{last}"))
        for _ in range(10):
            send(house)
        counters = house.ask("status")["counters"]
        assert counters["short_of_descriptors"] > 0
        assert counters["refused_waiting_room"] > 0
    wait_for(lambda: house.ask("status")["waiting_room"]["waiting"] == 0, "an empty waiting room")
    wait_for_taken(house, 0)
    send(house)
    assert_well(house)


def test_friends_in_line_leave_the_last_descriptors_to_handovers(build: Callable[..., House]) -> None:
    with Postfix(passed("nice", 1), passed("hostile")) as postfix:
        house = move_in(build, config(postfix, 'sessions = 1\npatience = "30s"'), descriptors=64)
        with dialog(house) as holder, crowd(house, [f"127.1.1.{last}" for last in range(1, 81)]) as waiting:
            wait_for(lambda: len(house.events("short", why="descriptors")) >= 5, "a lasting shortage")
            assert holder.data(MESSAGE)[0] == 250
            holder.quit()

            assert all(farewell(client).startswith(b"220 ") for client in waiting)
        wait_for_taken(house, 0)
        send(house, STRANGER)
        assert len(house.log()) < 100_000
        assert_well(house)


def test_told_to_end_it_does_not_wait_for_what_postfix_has(postfix: Postfix, build: Callable[..., House]) -> None:
    house = move_in(build, config(postfix, "sessions = 1", pause="60s"))
    with (
        dialog(house) as session,
        house.connect(OTHER_FRIEND) as in_line,
        house.connect(STRANGER) as stranger,
    ):
        wait_for(lambda: pool(house)["waiting"] == 1, "a friend in line")
        wait_for(lambda: house.ask("status")["waiting_room"]["waiting"] == 1, "the stranger in the waiting room")
        began = time.monotonic()
        house.process.terminate()
        for client in (in_line, stranger):
            assert client.recv(4096).startswith(b"421 4.3.2 ")
            client.close()

        assert house.wait() == 0
        assert time.monotonic() - began < 10, "drain_time is 30 s"
        assert "live_on=1" in house.events("drain", state="done")[0]
        assert session.data(MESSAGE)[0] == 250
        session.quit()
    wait_for(lambda: postfix.log().count(" status=sent ") == 1, "the message delivered")
