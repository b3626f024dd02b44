"""Taking back what was learned in a window of time."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from frontproxy.control import answer
from frontproxy.control.undo import time_of
from frontproxy.control.words import Answer, Refused
from frontproxy.core.address import pack
from frontproxy.memory.journal import NOTHING_KEPT, Journal
from frontproxy.memory.journal_rows import KeptLesson
from frontproxy.memory.sqlite import HistoryFile
from tests.houses import FRIEND, STRANGER, WALL, House, controls_of, house, outcome

__all__ = ["house"]

CUSTOMERS = [f"198.51.{number}.100" for number in range(1, 11)]
ROOMY = """
[pool.nice]
sessions = 1000
per_client = 1000
fallback = "hostile"
[pool.hostile]
sessions = 1000
per_client = 1000
"""

roomy = pytest.mark.parametrize("house", [ROOMY], indirect=True)


@pytest.fixture(autouse=True)
def journal(house: House, tmp_path: Path) -> Iterator[Journal]:
    """Beside the history of the house."""
    kept = Journal.open(tmp_path / "history.journal.sqlite3", log=house.log, clock=house.proxy.clock.now)
    house.proxy.journal = kept
    yield kept
    kept.close()


def later(house: House, seconds: float) -> None:
    """Time passes."""
    house.wall += seconds


def session(house: House, client: str, *, messages: int = 0, refused: int = 0) -> None:
    """One that was given away and has ended."""
    given = house.given(client)
    house.smtpds[given.pool].take()
    house.outcomes.hear(replace(outcome(given, messages=messages, ended=house.wall), refused=refused))


def scores(house: House) -> list[float]:
    return [house.proxy.judge(pack(client), client).score for client in CUSTOMERS]


async def undo(house: House, *words: str) -> Answer:
    return await answer(controls_of(house), ["undo", *words])


async def refusal(house: House, *words: str) -> str:
    with pytest.raises(Refused) as refused:
        await undo(house, *words)
    return str(refused.value)


@roomy
async def test_scores_are_as_before_a_broken_recipient_table(house: House) -> None:
    for _round in range(4):
        for client in CUSTOMERS:
            session(house, client, messages=1)
        later(house, 3600)
    before = scores(house)
    for _round in range(3):
        for client in CUSTOMERS:
            session(house, client, refused=3)
    later(house, 60)
    assert min(scores(house)) < min(before) - 3

    found = await undo(house, "--since", "30m")

    assert 30 > found["sessions"] >= found["clients"] > 2  # then the brake was on, and nothing bad was learned
    assert scores(house) == pytest.approx(before, abs=0.01)
    (logged,) = house.log.about("undo")
    assert f" sessions={found['sessions']} clients={found['clients']}" in logged


async def test_a_second_undo_does_nothing_more(house: House) -> None:
    session(house, STRANGER, messages=1)
    later(house, 1)
    await undo(house, "--since", "1s")
    knowledge = house.knowledge(STRANGER)

    assert (await undo(house, "--since", "1s"))["sessions"] == 0
    assert house.knowledge(STRANGER) == knowledge == (0.0, 0.0)


async def test_what_was_learned_before_stays(house: House) -> None:
    session(house, STRANGER, messages=1)
    later(house, 600)
    session(house, STRANGER, refused=5)
    later(house, 1)

    assert (await undo(house, "--since", "5m"))["sessions"] == 1
    good, bad = house.knowledge(STRANGER)
    assert good == pytest.approx(1, abs=0.01)
    assert bad == pytest.approx(0, abs=0.01)


async def test_from_before_the_journal_nothing_is_taken_back_and_it_says_since_when_it_was(house: House) -> None:
    session(house, STRANGER, messages=1)
    later(house, 60)

    found = await undo(house, "--since", "2h")

    assert (found["sessions"], found["since"]) == (1, WALL)
    assert house.knowledge(STRANGER) == (0.0, 0.0)


@roomy
@pytest.mark.parametrize("step", ["last_lessons", "drop_lessons"])
async def test_what_was_broken_off_goes_on_and_takes_nothing_back_twice(
    house: House, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Whenever it was: by an operator who went away, or by a crash."""
    monkeypatch.setattr("frontproxy.control.undo.AT_ONCE", 4)
    monkeypatch.setattr("frontproxy.control.undo._SLICE", 0.0)
    session(house, STRANGER, messages=1)
    later(house, 600)
    for client in (*CUSTOMERS, STRANGER):
        session(house, client, messages=1)
    later(house, 1)

    async def break_off(*_arguments: object) -> list[KeptLesson]:
        operator.cancel()
        await trio.lowlevel.checkpoint()
        return []

    with trio.CancelScope() as operator, monkeypatch.context() as broken:
        broken.setattr(house.proxy.journal, step, break_off)
        await undo(house, "--since", "5m")
    assert operator.cancelled_caught

    await undo(house, "--since", "5m")

    assert [house.knowledge(client) for client in CUSTOMERS] == [(0.0, 0.0)] * len(CUSTOMERS)
    assert house.knowledge(STRANGER)[0] == pytest.approx(1, abs=0.01)
    assert len(await house.proxy.journal.last_lessons(0, house.wall, 99)) == 1


@roomy
async def test_two_at_once_take_nothing_back_twice(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("frontproxy.control.undo._SLICE", 0.0)
    for client in CUSTOMERS:
        session(house, client, messages=1)
    later(house, 600)
    for client in CUSTOMERS:
        session(house, client, messages=1)
    later(house, 1)
    found: list[Answer] = []

    async def ask() -> None:
        found.append(await undo(house, "--since", "5m"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        nursery.start_soon(ask)

    assert sum(answer["sessions"] for answer in found) == len(CUSTOMERS)
    assert min(house.knowledge(client)[0] for client in CUSTOMERS) == pytest.approx(1, abs=0.01)


async def test_what_was_taken_back_is_on_disk(house: House) -> None:
    session(house, STRANGER, messages=1)
    await house.proxy.memory.flush()
    later(house, 1)

    await undo(house, "--since", "1s")

    assert house.proxy.memory.status()["unwritten"] == 0
    with closing(sqlite3.connect(house.folder / "history.sqlite3")) as disk:
        assert disk.execute("SELECT max(good) FROM history").fetchone() == (0.0,)


async def test_without_a_journal_nothing_can_be_taken_back(house: House) -> None:
    house.proxy.journal = NOTHING_KEPT

    assert "no journal is kept" in await refusal(house, "--since", "0s")


@roomy
async def test_others_have_their_turn_meanwhile(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("frontproxy.control.undo._SLICE", 0.0)
    for client in CUSTOMERS:
        session(house, client, messages=1)
    later(house, 1)
    turns = 0

    async def somebody_else() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(somebody_else)
        await undo(house, "--since", "1s")
        nursery.cancel_scope.cancel()

    assert turns > 10


@pytest.mark.parametrize(
    "words",
    [[], ["2h"], ["--since"], ["--since", "yesterday"], ["--since", "2h", "now"], ["--since", "2093-11-20T14:00Z"]],
)
async def test_what_is_no_window_of_time_is_refused(house: House, words: list[str]) -> None:
    session(house, FRIEND, messages=1)

    await refusal(house, *words)

    assert house.knowledge(FRIEND) == (1.0, 0.0)


def test_a_window_begins_so_long_ago_or_at_a_time() -> None:
    assert time_of("2h", WALL) == WALL - 7200
    assert time_of("2023-11-14T22:00Z", WALL) == WALL - 800
    assert time_of("2023-11-14T23:00+01:00", WALL) == WALL - 800


@roomy
async def test_what_a_failing_history_cannot_take_stays_to_be_taken_back(
    house: House, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    session(house, STRANGER, refused=5)
    later(house, 60)
    with monkeypatch.context() as patched:
        patched.setattr(HistoryFile, "is_failing", property(lambda _self: True))
        assert "not all was taken back" in await refusal(house, "--since", "1h")

    assert len(await journal.last_lessons(0.0, house.wall, 9)) == 1
    await undo(house, "--since", "1h")
    assert not await journal.last_lessons(0.0, house.wall, 9)
    assert house.knowledge(STRANGER) == (0.0, 0.0)
