"""A flood of new addresses never washes friends away, and fills neither the disk nor the memory."""

from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest
import trio

from frontproxy.core.history import Keys, learn
from frontproxy.core.level import Forgetting
from frontproxy.core.recollection import recollect
from frontproxy.memory import sqlite
from frontproxy.memory.recent import ABSENT
from frontproxy.memory.rows import CLIENT, LEVELS
from frontproxy.memory.sqlite import HistoryFile

DAY = 86400.0
NOW = 1.7e9
FORGETTING = Forgetting(good_half_life=30 * DAY, bad_half_life=7 * DAY, evidence_cap=25, network_limit=4)
FRIENDS = 40
LIMIT = 80
FLOOD = 1000
SETTLED = 5.0


@pytest.fixture
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HistoryFile]:
    monkeypatch.setattr(sqlite, "_READ_LIMIT", 60)
    monkeypatch.setattr(sqlite, "_UNWRITTEN_LIMIT", 600)
    history = HistoryFile.open(
        tmp_path / "history.sqlite3", limit=LIMIT, forgetting=FORGETTING, log=say_nothing, clock=lambda: NOW
    )
    with closing(history):
        yield history


def say_nothing(event: str, /, **values: object) -> None:
    raise AssertionError(f"{event} {values}")


def friend(number: int) -> Keys:
    return Keys(bytes([10, 0, number, 1]), bytes([10, 0, number]), 1 + number)


def strangers() -> Iterator[Keys]:
    """Ever new addresses, half of them IPv6, each in a network of its own."""
    for number in count():
        packed = number.to_bytes(4, "big")
        yield Keys(b"\xc0" + packed[1:], b"\xc0" + packed[1:3], 1000 + number % 50)
        yield Keys(b"\x20\x01" + packed + b"\0\0", b"\x20\x01" + packed, 1000 + number % 50)


def session(history: HistoryFile, of: Keys, good: float, bad: float, now: float) -> None:
    history.remember(learn(history.recall(of), good=good, bad=bad, now=now, forgetting=FORGETTING)[0])


def befriend(history: HistoryFile) -> None:
    """The first ones have been silent for a month, and are friends still."""
    for number in range(FRIENDS):
        then = NOW - (30 * DAY if number < FRIENDS // 2 else 0)
        for _session in range(3):
            session(history, friend(number), 2, 0, then)


def is_friend(history: HistoryFile, number: int) -> bool:
    return recollect(history.recall(friend(number)), now=NOW, forgetting=FORGETTING).points >= SETTLED


async def upkeep(history: HistoryFile) -> None:
    """What is done every ten seconds, and the writes until then."""
    await history.flush()
    assert history._upkeep
    await history._look_after(history._upkeep)
    await history.flush()


@pytest.mark.parametrize(("good", "bad"), [(0.0, 1.0), (2.0, 0.0), (0.0, 4.0), (0.0, 30.0)])
async def test_friends_stay_and_the_file_keeps_its_size(history: HistoryFile, good: float, bad: float) -> None:
    befriend(history)
    newcomers = strangers()
    for number in range(FLOOD):
        session(history, next(newcomers), good, bad, NOW)
        if number % 100 == 99:
            await upkeep(history)

    assert all(is_friend(history, number) for number in range(FRIENDS))
    assert all(rows <= LIMIT for rows in history._upkeep.rows.values()) if history._upkeep else False
    on_disk = history._table.read(CLIENT + friend(0).client) if history._table else None
    assert on_disk


@pytest.mark.parametrize(("good", "bad"), [(2.0, 0.0), (0.0, 30.0)])
async def test_memory_is_bounded_while_the_disk_takes_nothing(
    history: HistoryFile, monkeypatch: pytest.MonkeyPatch, good: float, bad: float
) -> None:
    monkeypatch.setattr(history, "_write", no_room)
    monkeypatch.setattr(history._troubles, "_log", lambda *_event, **_values: None)
    befriend(history)
    newcomers = strangers()
    for _session in range(FLOOD):
        session(history, next(newcomers), good, bad, NOW)
    await history.flush()

    assert history.status()["unwritten"] <= 600  # type: ignore[operator]  # a value for `status`
    assert all(is_friend(history, number) for number in range(FRIENDS))


async def test_what_was_read_is_bounded_too(history: HistoryFile) -> None:
    newcomers = strangers()
    for _stranger in range(FLOOD):
        history.recall(next(newcomers))

    assert len(history._recent._read) == 60
    assert history._recent.find(LEVELS[0]) is ABSENT


async def no_room(*, abandon_on_cancel: bool) -> None:
    await trio.lowlevel.checkpoint()
    raise OSError("no room" if abandon_on_cancel else "no room on the disk")
