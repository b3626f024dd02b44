"""History on disk: what was remembered is recalled, whatever the disk does."""

import math
import resource
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NoReturn

import pytest
import trio
import trio.testing

from frontproxy.core.history import Keys, KnownName, Recalled, learn
from frontproxy.core.level import Forgetting
from frontproxy.core.recollection import recollect
from frontproxy.memory.lock import Lock
from frontproxy.memory.sqlite import HistoryFile
from frontproxy.memory.table import Order

DAY = 86400.0
NOW = 1.7e9
FORGETTING = Forgetting(good_half_life=30 * DAY, bad_half_life=7 * DAY, evidence_cap=25, network_limit=4)


class Place:
    """A folder with a history file in it, a clock and a log."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "history.sqlite3"
        self.now = NOW
        self.logged: list[dict[str, object]] = []

    def open(self, limit: int = 1000) -> HistoryFile:
        return HistoryFile.open(self.path, limit=limit, forgetting=FORGETTING, log=self.log, clock=lambda: self.now)

    def log(self, event: str, /, **values: object) -> None:
        assert event == "history"
        self.logged.append(values)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def keys(number: int, asn: int = 64500) -> Keys:
    client = (0xC0000200 + number).to_bytes(4, "big")
    return Keys(client, client[:3], asn)


def session(
    history: HistoryFile,
    of: Keys,
    *,
    good: float = 0.0,
    bad: float = 0.0,
    now: float = NOW,
    heard: KnownName | None = None,
) -> None:
    recalled = history.recall(of, heard=heard)
    history.remember(learn(recalled, good=good, bad=bad, now=now, forgetting=FORGETTING)[0])


def points(history: HistoryFile, of: Keys, now: float = NOW, *, heard: KnownName | None = None) -> float:
    return recollect(history.recall(of, heard=heard, now=now), now=now, forgetting=FORGETTING).points


@contextmanager
def full_disk() -> Iterator[None]:
    """No file can grow: a write beyond its limit fails as it does on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_stranger_is_nothing_at_every_level(place: Place) -> None:
    with closing(place.open()) as history:
        assert history.recall(keys(1)) == Recalled(keys(1))


def test_what_was_remembered_is_recalled_at_once(place: Place) -> None:
    with closing(place.open()) as history:
        session(history, keys(1), good=2)

        assert points(history, keys(1)) == pytest.approx(10 * math.log10(3))
        assert points(history, keys(2)) == 4  # as a neighbour


async def test_what_was_flushed_is_recalled_after_a_restart(place: Place) -> None:
    with closing(place.open()) as history:
        for _session in range(4):
            session(history, keys(1), good=1)
        session(history, keys(2), bad=4)
        session(history, Keys(b"\x20\x01\x0d\xb8" + bytes(4), b"\x20\x01\x0d\xb8" + bytes(2), 0), good=1)
        before = [points(history, keys(number)) for number in (1, 2, 3)]
        await history.flush()
    with closing(place.open()) as history:
        assert [points(history, keys(number)) for number in (1, 2, 3)] == pytest.approx(before, abs=1e-4)
        assert history.recall(keys(1, asn=0)).asn is None
        assert history.status() | {"file": 0, "last_copy": 0} == {
            "file": 0,
            "clients": 3,
            "networks": 2,
            "providers": 0,
            "asns": 1,
            "unwritten": 0,
            "dropped": 0,
            "read_errors": 0,
            "last_copy": 0,
            "troubles": [],
        }


async def test_what_was_not_flushed_is_written_when_the_run_ends(place: Place) -> None:
    with closing(place.open()) as history:
        async with trio.open_nursery() as nursery:
            await nursery.start(history.run)
            session(history, keys(1), good=1)
            nursery.cancel_scope.cancel()
    with closing(place.open()) as history:
        assert history.recall(keys(1)).client is not None


async def test_a_forgotten_client_is_a_stranger_again(place: Place) -> None:
    with closing(place.open()) as history:
        session(history, keys(1), good=1)
        await history.flush()
    with closing(place.open()) as history:
        assert history.forget(keys(1).client)
        assert history.recall(keys(1)).client is None
        assert not history.forget(keys(1).client)
        assert not history.forget(keys(2).client)
        await history.flush()
        assert history.status()["clients"] == 0
        assert history.recall(keys(1)).client is None
        assert history.recall(keys(1)).network is not None


async def test_a_full_disk_costs_nothing_but_is_told_once(place: Place) -> None:
    with closing(place.open()) as history:
        session(history, keys(1), good=1)
        with full_disk():
            for number in range(3):
                session(history, keys(number), good=1)
                await history.flush()
        (trouble,) = place.logged
        assert history.recall(keys(2)).client is not None
        assert history.status()["unwritten"] == 5
        assert history.status()["troubles"] == [trouble["text"]]
        await history.flush()
        assert history.status()["troubles"] == []
    assert "history cannot be written" in str(trouble["text"])
    assert [logged["state"] for logged in place.logged] == ["trouble", "recovered"]
    with closing(place.open()) as history:
        assert all(history.recall(keys(number)).client for number in range(3))


async def test_one_rotten_row_harms_nobody_else(place: Place) -> None:
    with closing(place.open()) as history:
        session(history, keys(1), good=1)
        await history.flush()
    with closing(sqlite3.connect(place.path, isolation_level=None)) as vandal:
        vandal.execute("UPDATE history SET n = 1e39 WHERE key = ?", (b"n" + keys(1).network,))
    for number in (2, 3):
        with closing(place.open()) as history:
            session(history, keys(number), good=1)
            await history.flush()
            assert history.status()["unwritten"] == 0
            assert history.status()["clients"] == number
    assert place.logged == []


async def test_a_bug_in_writing_costs_what_was_to_be_written_and_is_told_once(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(place.open()) as history:
        session(history, keys(1), good=1)
        await history.flush()
        with monkeypatch.context() as bug:
            bug.setattr("frontproxy.memory.table.packed", overflow)
            for number in (1, 2):
                session(history, keys(number), good=1)
                history.note_told(number)
                await history.flush()
        assert not history.is_told(1)  # so that what it told can be learned again
        [trouble] = history.current_troubles()
        assert history.status()["unwritten"] == 0
        assert history.status()["dropped"] == 6
        record = history.recall(keys(1)).client
        assert record
        assert record.own.n == 1  # as the disk has it
        session(history, keys(3), good=1)
        await history.flush()
        assert history.status()["clients"] == 2
        assert history.current_troubles() == [trouble]

    [told] = place.logged
    assert told["text"] == trouble
    assert trouble.startswith("history of half a second was lost (OverflowError('float too large to pack')): a bug")
    assert "in overflow" in str(told["traceback"])


async def test_no_bug_in_writing_or_upkeep_ends_the_run(
    place: Place, monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    monkeypatch.setattr("frontproxy.memory.upkeep.Upkeep.is_in_place", overflow)
    monkeypatch.setattr("frontproxy.memory.upkeep.Upkeep.take_doomed", overflow)
    with closing(place.open()) as history:
        async with trio.open_nursery() as nursery:
            await nursery.start(history.run)
            await trio.sleep(60)
            nursery.cancel_scope.cancel()

    assert len(place.logged) == 1


async def test_a_slow_write_does_not_delay_the_next_one(
    place: Place, monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    began = []

    async def write_slowly() -> None:
        began.append(round(trio.current_time() - start, 3))
        await trio.sleep(0.4)

    with closing(place.open()) as history:
        monkeypatch.setattr(history, "flush", write_slowly)
        start = trio.current_time()
        with trio.move_on_after(1.2):
            await history._flush_forever()

    assert began == [0.0, 0.5, 1.0]


async def test_without_a_thread_history_waits_in_memory(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(place.open()) as history:
        session(history, keys(1), good=1)
        with monkeypatch.context() as exhausted:
            exhausted.setattr("frontproxy.memory.table.packed", no_thread)
            await history.flush()
        assert history.status()["unwritten"] == 3
        await history.flush()
        assert history.status()["clients"] == 1

    assert [logged["state"] for logged in place.logged] == ["trouble", "recovered"]


def overflow(*_anything: object) -> NoReturn:
    raise OverflowError("float too large to pack")


def no_thread(*_anything: object) -> NoReturn:
    raise RuntimeError("can't start new thread")


async def test_a_read_error_is_no_evidence_and_told_once(place: Place) -> None:
    with closing(place.open()) as history:
        session(history, keys(1), good=1)
        await history.flush()
    with closing(place.open()) as history, closing(sqlite3.connect(place.path)) as vandal:
        vandal.execute("DROP TABLE history")
        assert history.recall(keys(1)) == Recalled(keys(1))
        assert history.recall(keys(2)) == Recalled(keys(2))
        assert await history.rank("best", 10) == []

        assert history.status()["read_errors"] == 3
        assert len(place.logged) == 1
        assert "clients are strangers" in str(place.logged[0]["text"])


@pytest.mark.parametrize(("good", "more"), [(-1.0, None), (math.inf, None), (1e9, b"short"), (1.0, b"\xff" * 52)])
async def test_numbers_that_rotted_on_the_disk_say_nothing(place: Place, good: float, more: bytes | None) -> None:
    with closing(place.open()) as history:
        session(history, keys(1), good=1)
        await history.flush()
    with closing(sqlite3.connect(place.path, isolation_level=None)) as vandal:
        vandal.execute("UPDATE history SET good = ?, more = ?", (good, more))
    with closing(place.open()) as history:
        session(history, keys(1), good=1)
        assert 0 < points(history, keys(1)) < 20


async def test_the_least_telling_go_and_never_by_age_alone(place: Place) -> None:
    with closing(place.open(limit=60)) as history:
        place.now = NOW + 30 * DAY
        for _session in range(8):
            session(history, keys(0, asn=0), good=1)
        for number in range(1, 100):
            session(history, keys(number, asn=0), bad=0.3, now=place.now)
        await history.flush()
        assert history._upkeep
        await history._look_after(history._upkeep)
        await history.flush()

        assert history.status()["clients"] == 60
        assert history.status()["networks"] == 1
    with closing(place.open()) as history:
        assert history.recall(keys(0)).client is not None


async def test_a_client_that_comes_back_while_doomed_stays(place: Place) -> None:
    with closing(place.open(limit=3)) as history:
        for number in range(4):
            session(history, keys(number), good=1 + number / 10)
        await history.flush()
        upkeep = history._upkeep
        assert upkeep
        await upkeep.doom(3, FORGETTING)
        session(history, keys(0), good=1, now=NOW + 1)
        await history.flush()

        assert history.status()["clients"] == 4


@pytest.mark.parametrize(
    ("order", "numbers"), [("best", [3, 2, 1, 0, 5, 4]), ("worst", [4, 5, 0, 1, 2, 3]), ("busiest", [4, 3, 5, 2, 1, 0])]
)
async def test_clients_are_ranked_with_those_not_yet_written(place: Place, order: Order, numbers: list[int]) -> None:
    with closing(place.open()) as history:
        for number in range(4):
            session(history, keys(number), good=0.5 + number)
        session(history, keys(6), good=2)
        await history.flush()
        session(history, keys(4), bad=4)
        session(history, keys(5), bad=3)
        history.forget(keys(6).client)
        ranked = await history.rank(order, 10)

        assert [client for client, _record in ranked] == [keys(number).client for number in numbers]
        assert await history.rank(order, 2) == ranked[:2]
        assert await history.rank(order, -1) == []


async def test_old_evidence_ranks_lower(place: Place) -> None:
    with closing(place.open()) as history:
        session(history, keys(1), good=2, now=NOW - 90 * DAY)
        session(history, keys(2), good=1)
        await history.flush()

        assert [client for client, _record in await history.rank("best", 1)] == [keys(2).client]


async def test_a_copy_is_made_daily(place: Place) -> None:
    with closing(place.open()) as history:
        upkeep = history._upkeep
        assert upkeep
        await upkeep.copy_if_due()
        assert upkeep.last_copy is None  # an empty history is not worth a copy
        session(history, keys(1), good=1)
        await history.flush()
        made: list[float | None] = []
        for hours in (1, 2, 26):
            place.now = NOW + hours * 3600
            await upkeep.copy_if_due()
            made.append(upkeep.last_copy)

    assert made == [NOW + 3600, NOW + 3600, NOW + 26 * 3600]
    copy = place.path.with_name("history.sqlite3.copy")
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT count(*) FROM history").fetchone() == (3,)


async def test_a_history_that_cannot_be_opened_is_kept_in_memory(tmp_path: Path) -> None:
    place = Place(tmp_path / "file")
    (tmp_path / "file").touch()
    with closing(place.open()) as history:
        session(history, keys(1), good=2)
        await history.flush()

        assert points(history, keys(1)) > 0
        assert [client for client, _record in await history.rank("best", 10)] == [keys(1).client]
        assert history.forget(keys(1).client)
        assert history.status()["troubles"] == [place.logged[0]["text"]]
        with trio.move_on_after(0):
            await history.run()


async def test_a_restart_keeps_the_own_share_out(place: Place) -> None:
    """Shares are rounded on disk, but not so that a client would become its own neighbour."""
    with closing(place.open()) as history:
        for number in range(40):
            session(history, keys(1), good=1, bad=0.1, now=NOW + number * DAY)
        await history.flush()
    with closing(place.open()) as history:
        reasons = recollect(history.recall(keys(1)), now=NOW + 41 * DAY, forgetting=FORGETTING).reasons

        assert [reason.name for reason in reasons] == ["history"]


async def test_what_upkeep_cannot_do_is_told_once_and_tried_again(place: Place) -> None:
    obstacle = place.path.with_name("history.sqlite3.copy-new")
    with closing(place.open()) as history:
        session(history, keys(1), good=1)
        await history.flush()
        upkeep = history._upkeep
        assert upkeep
        obstacle.mkdir()
        for _hour in range(3):
            await history._look_after(upkeep)
            place.now += 3600
        assert [history.status()["troubles"]] == [[logged["text"]] for logged in place.logged]
        obstacle.rmdir()
        await history._look_after(upkeep)

        assert "history cannot be copied" in str(place.logged[0]["text"])
        assert history.status()["troubles"] == []
        assert history.status()["last_copy"] == place.now


async def test_one_pass_of_eviction_serves_several_writes(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("frontproxy.memory.upkeep._AT_ONCE", 2)
    with closing(place.open(limit=1)) as history:
        for number in range(6):
            session(history, keys(number), good=1)
        await history.flush()
        upkeep = history._upkeep
        assert upkeep
        left = []
        for _write in range(3):
            await upkeep.doom(1, FORGETTING)
            await history.flush()
            left.append(history.status()["clients"])

    assert left == [4, 2, 1]


async def test_what_could_not_be_read_is_not_learned_upon(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(place.open()) as history:
        for _session in range(9):
            session(history, keys(1), good=1)
        await history.flush()
    with closing(place.open()) as history:
        with monkeypatch.context() as trouble:
            trouble.setattr("frontproxy.memory.table.Table.read_around", fail_to_read)
            session(history, keys(1), good=1)
        assert history.status()["unwritten"] == 0
        session(history, keys(1), good=1)
        record = history.recall(keys(1)).client

    assert record
    assert record.own.n == 10


def fail_to_read(*_anything: object) -> NoReturn:
    raise sqlite3.OperationalError("disk I/O error")


async def test_what_was_learned_without_the_latest_records_does_not_overwrite_them(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(place.open()) as history:
        session(history, keys(1), good=1)
        await history.flush()
    with closing(sqlite3.connect(place.path)) as reader, closing(place.open()) as history:
        reader.execute("SELECT count(*) FROM history").fetchone()
        for _session in range(8):
            session(history, keys(1), good=1)
        await history.flush()  # into the log, where it stays, as after a crash
        with monkeypatch.context() as full:
            full.setattr("frontproxy.memory.connections.SCHEMA", ["CREATE TABLE sqlite_no (x)"])
            full.setattr(Lock, "take", lambda _path: Lock(None))
            later = place.open()
        with closing(later):
            session(later, keys(1), good=1)
            record = later.recall(keys(1)).client
            assert record
            assert record.own.n == 2
            await later.flush()
            record = later.recall(keys(1)).client
            assert record
            assert record.own.n == 9
            assert later.status()["unwritten"] == 0
            assert later.current_troubles() == []
            session(later, keys(1), good=1)
            await later.flush()
            assert "3 records of history are dropped" in str(place.logged[-2]["text"])


async def test_a_clock_that_was_a_year_ahead_freezes_nobody(place: Place) -> None:
    with closing(place.open()) as history:
        session(history, keys(1), good=4, now=NOW + 365 * DAY, heard=KnownName("a.example.com", "example.com", 2 * NOW))
        session(history, keys(2), good=4, now=NOW + 3000)  # a clock may be a little behind
        await history.flush()
    with closing(place.open()) as history:
        session(history, keys(1), bad=2)
        recalled = history.recall(keys(1))
        levels = [recalled.network, recalled.asn, recalled.client and recalled.client.own]
        assert [level and level.t for level in levels] == [NOW, NOW, NOW]
        assert recalled.client
        assert recalled.client.own.bad == 2
        assert recalled.client.name
        assert recalled.client.name.until == NOW
        provider = history.recall(keys(1), heard=KnownName("a.example.com", "example.com", NOW)).provider
        assert provider
        assert provider.level.t == NOW
        assert all(witness.seen <= NOW for witness in provider.witnesses)
        near = history.recall(keys(2)).client
        assert near
        assert near.own.t == NOW + 3000


async def test_a_clock_that_begins_in_1970_takes_no_record_back(place: Place) -> None:
    with closing(place.open()) as history:
        session(history, keys(1), good=4)
        await history.flush()
    place.now = 1000.0
    with closing(place.open()) as history:
        session(history, keys(1), good=1, now=1000.0)
        record = history.recall(keys(1)).client

    assert record
    assert record.own.t == NOW


async def test_what_could_not_be_written_before_the_end_is_told(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(place.open()) as history:
        session(history, keys(1), good=1)
        monkeypatch.setattr("frontproxy.memory.table.Table.write", fail_to_read)
        with trio.move_on_after(0):
            await history.run()

    assert place.logged[-1] == {
        "state": "lost",
        "text": "3 records of history could not be written before the end, and are lost",
    }


async def test_a_copy_that_is_far_poorer_is_a_trouble_for_a_day(place: Place) -> None:
    with closing(place.open()) as history:
        for number in range(9):
            session(history, keys(number), good=1)
        await history.flush()
        assert history._upkeep
        await history._look_after(history._upkeep)
        assert history.current_troubles() == []
        for number in range(9):
            history.forget(keys(number).client)
        await history.flush()
        place.now += 1.1 * DAY
        await history._look_after(history._upkeep)
        [trouble] = history.current_troubles()
        assert "the daily copy of history has 2 rows, and the one before had 11" in trouble
        place.now += 1.1 * DAY
        await history._look_after(history._upkeep)
        assert history.current_troubles() == []


async def test_a_file_that_was_removed_under_us_is_a_trouble_until_it_is_back(place: Place) -> None:
    elsewhere = place.path.with_name("elsewhere")
    with closing(place.open()) as history:
        upkeep = history._upkeep
        assert upkeep
        place.path.rename(elsewhere)
        await history._look_after(upkeep)
        [trouble] = history.current_troubles()
        assert trouble == f"{place.path} was removed or replaced under us; restart frontproxy"

        elsewhere.rename(place.path)
        await history._look_after(upkeep)
        assert history.current_troubles() == []


@pytest.mark.parametrize("good", [1.2, 0.1, 2.0, 1 / 3])
async def test_a_client_is_not_its_own_neighbour_after_a_restart(place: Place, good: float) -> None:
    with closing(place.open()) as history:
        session(history, keys(1), good=good)
        before = recollect(history.recall(keys(1)), now=place.now, forgetting=FORGETTING)
        await history.flush()

    with closing(place.open()) as history:
        after = recollect(history.recall(keys(1)), now=place.now, forgetting=FORGETTING)

    assert [reason.name for reason in after.reasons] == ["history"]
    assert after.points == pytest.approx(before.points)
