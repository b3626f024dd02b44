"""The verb `route`: what programs that serve mail servers ask of a running proxy."""

from math import inf
from typing import Any

import pytest
import trio
import trio.testing

from frontproxy import control
from frontproxy.control import Refused
from frontproxy.core.address import pack
from tests.fakes import PATIENCE
from tests.houses import BANNED, FRIEND, MONITOR, STRANGER, House, controls_of, house
from tests.world import LISTED, World

__all__ = ["house"]


async def ask(house: House, client: str) -> dict[str, Any]:
    return await control.answer(controls_of(house), ["route", client])


@pytest.mark.parametrize(
    ("client", "pool", "reply"),
    [
        (FRIEND, "nice", None),
        (STRANGER, "hostile", None),
        (MONITOR, "nice", None),
        (BANNED, None, "554 5.7.1 Access denied"),
    ],
)
async def test_the_route_is_that_of_the_verdict(house: House, client: str, pool: str | None, reply: str | None) -> None:
    assert await ask(house, client) == {"client": client, "pool": pool, "reply": reply, "stress": False}


async def test_stress_is_that_of_the_clients_pool(house: House) -> None:
    house.proxy.pools["hostile"].stress.hold(True, inf)
    house.proxy.pools.tick(0.0)

    assert (await ask(house, STRANGER))["stress"] is True
    assert (await ask(house, FRIEND))["stress"] is False


@pytest.mark.parametrize("house", ['mode = "observe"'], indirect=True)
async def test_in_observe_mode_nothing_is_changed_by_a_route(house: House) -> None:
    for client in (FRIEND, STRANGER, BANNED):
        assert await ask(house, client) == {"client": client, "pool": None, "reply": None, "stress": False}


@pytest.mark.parametrize(("words", "code"), [([], "usage"), (["a", "b"], "usage"), (["mail.example"], "bad_address")])
async def test_one_address_is_asked_about(house: House, words: list[str], code: str) -> None:
    with pytest.raises(Refused) as refused:
        await control.answer(controls_of(house), ["route", *words])

    assert refused.value.code == code


@pytest.mark.parametrize("house", ['[[dnslist]]\nzone = "bl.example"\nreplies = { "127.0.0.2" = -25 }'], indirect=True)
async def test_what_the_dns_says_counts_the_next_time(house: House) -> None:
    world = World(house)
    world.lists["bl.example"] = LISTED
    async with trio.open_nursery() as nursery:
        await world.begin(nursery)
        await ask(house, STRANGER)
        await ask(house, FRIEND)
        with trio.fail_after(PATIENCE):
            while house.proxy.judge(pack(STRANGER), STRANGER).standing != "foe":
                await trio.testing.wait_all_tasks_blocked(0.001)
        nursery.cancel_scope.cancel()
    world.close()

    assert [asked["address"] for asked in world.asked] == [STRANGER]
