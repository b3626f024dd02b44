"""The link to the asking program: it outlives what comes through it, and whoever is at its other end."""

import socket

import pytest
import trio
import trio.testing

from frontproxy.core.config_values import Dns
from tests.fakes import PATIENCE
from tests.lookup.desks import (
    CLIENT,
    LISTS,
    everything,
    stranger,
    voting_office,
)


def test_when_the_program_does_not_keep_up_nothing_is_asked() -> None:
    with voting_office(Dns(lookups_per_second=100_000)) as office:
        office.link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2048)
        asked = [number for number in range(50) if office.ask(stranger(number))]

        assert 0 < len(asked) < 50
        assert office.desk.status()["in_flight"] == len(asked) * 3
        assert office.desk.status()["no_room"] == 50 - len(asked)
        assert len(office.asked()) == len(asked)


def test_a_link_that_is_closed_at_the_other_end_is_no_link() -> None:
    with voting_office() as office:
        office.program.close()

        assert office.ask() is None


@pytest.mark.parametrize("packet", [b"{}\n", b"no JSON\n", b"\n", b'{"id": 1', b"x" * 40_000])
def test_packets_that_cannot_be_read_are_counted(packet: bytes) -> None:
    with voting_office() as office:
        office.program.send(packet)
        office.receive()

        assert office.desk.status()["malformed"] == 1
        assert not office.log.lines


def test_a_link_that_broke_off_with_questions_unread_is_no_link() -> None:
    with voting_office() as office:
        office.ask()
        office.program.close()

        assert not office.desk._link._receive(office.link)
        assert office.ask(stranger(1)) is None


def test_however_much_is_said_others_get_their_turn() -> None:
    with voting_office() as office:
        for _ in range(20):
            office.program.send(b"{}\n")
        office.receive()
        assert office.desk.status()["malformed"] == 16
        office.receive()
        assert office.desk.status()["malformed"] == 20


def test_a_bug_in_one_who_waits_harms_nobody_else() -> None:
    def fail() -> None:
        raise RuntimeError("oops")

    with voting_office() as office:
        office.ask(heard=fail)
        office.ask(stranger(1))
        first, second = office.asked()
        office.answer(*everything(first), *everything(second))

        assert office.heard == 1
        assert len(office.log.bugs) == 1


async def test_it_hears_for_ever_through_whatever_link_there_is() -> None:
    with voting_office() as office, trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(office.desk.run)
            for _ in range(3):
                heard = trio.Event()
                assert office.desk.ask_all(CLIENT, office.now, heard.set)
                office.program.send(b"{}\n")
                office.send(*everything(office.asked()[0]))
                await heard.wait()
                office.program.close()
                await trio.testing.wait_all_tasks_blocked()
                office.link, office.program = office.new_link()
                office.desk.configure(Dns(), LISTS, office.link)
            nursery.cancel_scope.cancel()
