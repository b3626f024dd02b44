"""Forgetting a client: it is as if it had never been here, for its neighbours as well, and stays so after an undo."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from frontproxy.control import answer
from frontproxy.control.words import Answer
from frontproxy.core.address import pack
from frontproxy.core.history import Keys, KnownName, learn
from frontproxy.core.outcome import Weight
from frontproxy.knowledge import teach
from frontproxy.memory.journal import NOTHING_KEPT, Journal
from tests.houses import STRANGER, WALL, House, controls_of, house, outcome

__all__ = ["house"]

NEIGHBOUR = "192.0.2.99"


@pytest.fixture(autouse=True)
def journal(house: House, tmp_path: Path) -> Iterator[None]:
    """Beside the history of the house."""
    house.proxy.journal = Journal.open(tmp_path / "history.journal.sqlite3", log=house.log, clock=house.proxy.clock.now)
    yield
    house.proxy.journal.close()
    house.proxy.journal = NOTHING_KEPT


async def ask(house: House, request: str) -> Answer:
    return await answer(controls_of(house), request.split())


def score(house: House, client: str) -> float:
    return house.proxy.judge(pack(client), client).score


@pytest.mark.parametrize("client", [STRANGER, "2001:db8::25"])
async def test_who_is_forgotten_leaves_no_trace_among_its_neighbours(house: House, client: str) -> None:
    await ask(house, f"tell {client} bad --weight 8")
    assert score(house, client) < -4

    await ask(house, f"forget {client}")

    assert score(house, client) == 0
    assert score(house, NEIGHBOUR) == 0


async def test_what_its_neighbours_did_stays(house: House) -> None:
    await ask(house, f"tell {NEIGHBOUR} bad --weight 3")
    before = score(house, STRANGER)
    await ask(house, f"tell {STRANGER} good --weight 0.1")

    await ask(house, f"forget {STRANGER}")

    assert before < -1
    assert score(house, STRANGER) == pytest.approx(before, abs=0.05)


async def test_a_forgotten_client_is_no_witness_for_its_provider(house: House) -> None:
    name = KnownName("mx.example.com", "example.com", WALL + 3600)
    for number in range(1, 5):
        teach(house.proxy, pack(f"10.0.{number}.1"), WALL, Weight(3.0, 0.0, ""), heard=name)

    await ask(house, "forget 10.0.1.1")

    provider = house.proxy.memory.recall(Keys(pack("10.0.4.1"), pack("10.0.4.1")[:3], 0), heard=name).provider
    assert provider
    assert {witness.key for witness in provider.witnesses} == {pack(f"10.0.{number}.1") for number in (2, 3, 4)}
    assert provider.level.good == pytest.approx(3 * 3 / 1.04**3, rel=0.1)


async def test_it_leaves_the_asn_that_it_was_in_when_it_taught(house: House) -> None:
    keys = Keys(pack(STRANGER), pack(STRANGER)[:3], 64500)
    memory = house.proxy.memory
    learned, _lesson = learn(memory.recall(keys), good=0, bad=3, now=WALL, forgetting=house.proxy.setup.forgetting)
    memory.remember(learned)

    await ask(house, f"forget {STRANGER}")  # of whose ASN nothing is known here now

    asn = memory.recall(keys).asn
    assert asn
    assert asn.bad == 0


@pytest.mark.parametrize("kind", ["good", "bad"])
async def test_an_undo_brings_nothing_back_of_who_was_forgotten(house: House, kind: str) -> None:
    await ask(house, f"tell {STRANGER} {kind} --weight 8")
    await ask(house, f"forget {STRANGER}")
    house.wall += 60

    await ask(house, "undo --since 1h")

    assert (score(house, STRANGER), score(house, NEIGHBOUR)) == (0, 0)


@pytest.mark.parametrize("kind", ["good", "bad"])
async def test_nor_if_it_has_come_again_since(house: House, kind: str) -> None:
    house.outcomes.hear(outcome(house.given(STRANGER), messages=9))
    await ask(house, f"tell {STRANGER} {kind} --weight 8")  # a bad word takes good back, which an undo would return
    await ask(house, f"forget {STRANGER}")
    house.wall += 60
    house.outcomes.hear(outcome(house.given(STRANGER), messages=1, ended=house.wall))
    house.wall += 60

    await ask(house, "undo --since 1h")

    assert house.knowledge(STRANGER) == (0, 0)
    assert score(house, STRANGER) == pytest.approx(0, abs=1e-6)
    assert score(house, NEIGHBOUR) == pytest.approx(0, abs=1e-6)
