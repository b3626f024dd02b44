"""Learning by hand: all or nothing of a batch, on disk now and then, and out of the way of a proxy."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from frontproxy.hindsight.by_hand import by_hand, for_show
from frontproxy.hindsight.ways import Broken, ByHand, answers
from frontproxy.memory.copies import copy_path
from frontproxy.past import PastSession, PastSides, batch_of, encode
from frontproxy.setup import Setup
from tests.houses import STRANGER, WALL, outcome, setup_of


@pytest.fixture
def setup(tmp_path: Path) -> Iterator[Setup]:
    opened = setup_of(tmp_path, f'[history]\nfile = "{tmp_path}/history.sqlite3"\n')
    yield opened
    opened.close()


def tell(_event: str, /, **_values: object) -> None:
    """Nobody listens."""


def batch(count: int, first: int = 0) -> bytes:
    lines = [outcome(ended=WALL - 9000.0 + number, messages=1) for number in range(first, first + count)]
    return batch_of([encode(PastSession(line, 1000 + first + number, None)) for number, line in enumerate(lines)])


def hand_for(sides: PastSides, folder: Path) -> ByHand:
    return ByHand(sides, proxy_at=folder / "admin.sock", clock=lambda: WALL)


def copies_in(folder: Path) -> list[Path]:
    return list(folder.glob("dry-run-*"))


async def test_what_was_learned_is_on_disk_when_it_is_finished(setup: Setup, tmp_path: Path) -> None:
    with by_hand(setup, tell) as (sides, copy):
        hand = hand_for(sides, tmp_path)
        learned = await hand.learn(batch(6))
        await hand.finish()
        assert copy.exists()
    with by_hand(setup, tell) as (sides, _copy):
        again = await hand_for(sides, tmp_path).learn(batch(6))

    assert (learned.fates, learned.standings) == (["learned"] * 6, {STRANGER: "friend"})
    assert again.fates == ["told"] * 6
    assert not copy_path(tmp_path / "history.sqlite3").exists()


async def test_a_batch_whose_turn_was_cancelled_was_not_learned(setup: Setup, tmp_path: Path) -> None:
    with by_hand(setup, tell) as (sides, _copy):
        with trio.CancelScope() as scope:
            scope.cancel()
            await hand_for(sides, tmp_path).learn(batch(3))

        assert not sides.memory.is_told(1000)


async def test_only_one_at_a_time_learns_by_hand(setup: Setup) -> None:
    with by_hand(setup, tell), pytest.raises(Broken, match="in use by another") as caught, by_hand(setup, tell):
        pass

    assert caught.value.code == 75


async def test_for_show_there_is_a_copy_that_goes_again(setup: Setup, tmp_path: Path) -> None:
    with by_hand(setup, tell) as (sides, _copy):
        hand = hand_for(sides, tmp_path)
        await hand.learn(batch(2))
        await hand.finish()
    before = (tmp_path / "history.sqlite3").read_bytes()
    with for_show(setup, tell) as sides:
        learned = await hand_for(sides, tmp_path).learn(batch(4))

    assert learned.fates == ["told", "told", "learned", "learned"]
    assert (tmp_path / "history.sqlite3").read_bytes() == before
    assert copies_in(tmp_path) == []


async def test_a_disk_that_takes_nothing_is_told(setup: Setup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with by_hand(setup, tell) as (sides, _copy):
        monkeypatch.setattr(sides.memory, "status", lambda: {"unwritten": 3})

        with pytest.raises(Broken, match="cannot be written") as caught:
            await hand_for(sides, tmp_path).finish()

    assert caught.value.code == 74


async def test_a_proxy_that_starts_is_noticed(setup: Setup, tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    assert not answers(path)
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(path))
        assert not answers(path)
        door.listen(1)
        with by_hand(setup, tell) as (sides, _copy), pytest.raises(Broken, match="frontproxy has started"):
            await hand_for(sides, tmp_path).watch()
