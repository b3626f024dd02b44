"""One client's way through the house."""

import errno

import pytest
import trio

from frontproxy.core.verdict import Verdict
from frontproxy.memory.pins import Pin, Pins
from frontproxy.session import TROUBLE
from frontproxy.waiting_room import FULL
from tests.fakes import PATIENCE
from tests.houses import BANNED, FOE, FRIEND, MONITOR, QUICK, STRANGER, House, all_from, bug, house

__all__ = ["house"]

quick = pytest.mark.parametrize("house", [QUICK], indirect=True)
LATER = '[[route]]\nwhen = "foe"\nreply = "450 4.7.1 Not now"\n[[route]]\nto = "hostile"\n'


@pytest.mark.parametrize(("address", "pool"), [(FRIEND, "nice"), (FOE, "hostile"), (MONITOR, "nice")])
async def test_a_settled_client_costs_no_task(house: House, address: str, pool: str) -> None:
    async with trio.open_nursery() as strangers:
        house.knock(address, strangers)

        assert not strangers.child_tasks
    taken = house.smtpds[pool].take()
    assert taken.attributes["client_address"] == address
    assert len(house.proxy.room) == 0


async def test_a_pinned_stranger_goes_to_its_pool_at_once(house: House) -> None:
    house.proxy.pins = _pinned(house, STRANGER, "nice")
    async with trio.open_nursery() as strangers:
        house.knock(STRANGER, strangers)

        assert not strangers.child_tasks
    assert house.smtpds["nice"].take().attributes["client_address"] == STRANGER


async def test_a_pin_to_a_pool_that_is_gone_is_no_pin(house: House) -> None:
    house.proxy.pins = _pinned(house, STRANGER, "gone")

    verdict = _verdict(house, STRANGER)

    assert (verdict.pinned, verdict.settled, verdict.route.pool) == ("", False, "hostile")


@quick
async def test_a_stranger_waits_and_then_goes_to_the_hostile_smtpd(house: House) -> None:
    began = trio.current_time()
    async with trio.open_nursery() as strangers:
        house.knock(STRANGER, strangers)
        assert len(house.proxy.room) == 1
        assert house.proxy.pools.open_in("") == 0

    assert trio.current_time() - began >= 0.02
    assert house.smtpds["hostile"].take().attributes["client_address"] == STRANGER
    assert len(house.proxy.room) == 0


async def test_who_talks_early_is_not_waited_for_and_loses_no_byte(house: House) -> None:
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as strangers:
            client = house.knock(STRANGER, strangers)
            client.sendall(b"EHLO early\r\n")

    taken = house.smtpds["hostile"].take()
    assert taken.client.recv(100) == b"EHLO early\r\n"
    assert float(taken.attributes["score"]) <= -30
    (line,) = house.log.about("handover")
    assert "pregreet:-30.0" in line


async def test_who_hangs_up_is_given_to_nobody(house: House) -> None:
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as strangers:
            house.knock(STRANGER, strangers).close()

    assert house.proxy.counters["gone"] == 1
    assert house.proxy.counters["handed_over"] == 0
    assert house.proxy.census.of(bytes([192, 0, 2, 7]), 0).open_sessions == 0


@pytest.mark.parametrize("house", ["[listen]\nwaiting_room = 1\n"], indirect=True)
async def test_in_a_full_room_the_newcomer_leaves_if_nobody_is_worse(house: House) -> None:
    async with trio.open_nursery() as strangers:
        house.knock("198.51.100.1", strangers)
        newcomer = house.knock("198.51.100.2", strangers)

        assert all_from(newcomer) == FULL.encode() + b"\r\n"
        assert len(house.proxy.room) == 1
        strangers.cancel_scope.cancel()
    assert house.proxy.counters["refused_waiting_room"] == 1


WORSE = (
    '[listen]\nwaiting_room = 1\n[[list]]\nname = "worse"\nkind = "points"\nnetworks = ["198.51.100.1"]\npoints = -3\n'
)


@pytest.mark.parametrize("house", [WORSE], indirect=True)
async def test_in_a_full_room_the_worst_is_shed(house: House) -> None:
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as strangers:
            worst = house.knock("198.51.100.1", strangers)
            house.knock("198.51.100.2", strangers)

            assert await trio.to_thread.run_sync(all_from, worst) == FULL.encode() + b"\r\n"
            assert len(house.proxy.room) == 1
            strangers.cancel_scope.cancel()


@pytest.mark.parametrize("house", ["[listen]\nwaiting_room = 1\n"], indirect=True)
async def test_a_full_room_costs_a_friend_nothing(house: House) -> None:
    async with trio.open_nursery() as strangers:
        house.knock(STRANGER, strangers)
        house.knock(FRIEND, strangers)

        assert house.smtpds["nice"].take().attributes["client_address"] == FRIEND
        strangers.cancel_scope.cancel()


@pytest.mark.parametrize("house", ['mode = "observe"\n'], indirect=True)
@pytest.mark.parametrize("address", [STRANGER, FOE, BANNED])
async def test_in_observe_mode_everybody_goes_to_the_first_pool_at_once(house: House, address: str) -> None:
    async with trio.open_nursery() as strangers:
        house.knock(address, strangers)

        assert not strangers.child_tasks
    assert house.smtpds["nice"].take().attributes["client_address"] == address


async def test_who_is_on_a_deny_list_is_refused_for_good(house: House) -> None:
    async with trio.open_nursery() as strangers:
        client = house.knock(BANNED, strangers)

    assert all_from(client) == b"554 5.7.1 Access denied\r\n"
    assert house.proxy.counters["refused_route"] == 1
    assert house.proxy.census.of(bytes([192, 0, 2, 4]), 0).open_sessions == 0


@pytest.mark.parametrize("house", [LATER], indirect=True)
async def test_a_route_may_answer_in_place_of_a_pool(house: House) -> None:
    async with trio.open_nursery() as strangers:
        client = house.knock(FOE, strangers)

    assert all_from(client) == b"450 4.7.1 Not now\r\n"


@quick
async def test_a_bug_in_judging_gives_a_strangers_verdict(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(house.proxy.memory, "recall", bug)

    async with trio.open_nursery() as strangers:
        house.knock(FRIEND, strangers)
        assert len(strangers.child_tasks) == 1

    assert house.smtpds["hostile"].take().attributes["score"] == "0.0"
    first, *more = house.log.about("bug")
    assert " traceback=" in first
    assert more
    assert not any(" traceback=" in line for line in more)


@pytest.mark.parametrize("address", [FRIEND, STRANGER])
@quick
async def test_a_bug_in_placing_is_a_421_and_the_proxy_lives(
    house: House, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(house.proxy.pools, "admit", bug)
        for _ in range(2):
            async with trio.open_nursery() as strangers:
                client = house.knock(address, strangers)
            assert all_from(client) == TROUBLE.encode() + b"\r\n"

    assert house.proxy.counters["bugs"] == 2
    assert sum(" traceback=" in line for line in house.log.about("bug")) == 1
    assert house.proxy.census.of(bytes(map(int, address.split("."))), 0).open_sessions == 0
    async with trio.open_nursery() as strangers:
        house.knock(FRIEND, strangers)
    assert house.smtpds["nice"].take().attributes["client_address"] == FRIEND


@quick
async def test_not_even_a_farewell_that_fails_ends_the_proxy(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_more_watches(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(house.proxy.farewell, "reply", no_more_watches)
    async with trio.open_nursery() as strangers:
        refused = house.knock(BANNED, strangers)
        gone = house.knock(STRANGER, strangers)
        house.proxy.room.shed(1)

    assert all_from(refused) == all_from(gone) == b""
    assert house.proxy.counters["bugs"] == 2


def _pinned(house: House, network: str, pool: str) -> Pins:
    return Pins(house.folder / "pins.toml", [Pin(network, pool, None, "", 0.0)])


def _verdict(house: House, address: str) -> Verdict:
    return house.proxy.judge(bytes(map(int, address.split("."))), address)
