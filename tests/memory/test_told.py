"""What was told already is known, within a bound, and counts once."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontproxy.core.history import Keys, learn
from frontproxy.core.level import Forgetting
from frontproxy.memory import told
from frontproxy.memory.sqlite import HistoryFile
from frontproxy.memory.told import Told, minute_key, minutes_around, told_key

DAY = 86400.0
NOW = 1.7e9  # 13 min 20 s after an hour
FORGETTING = Forgetting(good_half_life=30 * DAY, bad_half_life=7 * DAY, evidence_cap=25, network_limit=4)
CLIENT = b"\xc0\x00\x02\x01"
KEY = told_key(CLIENT, 4711, NOW, "mx postfix/smtpd[99]")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.sqlite3"


@pytest.fixture
def history(path: Path) -> Iterator[HistoryFile]:
    with closing(opened(path)) as history:
        yield history


def opened(path: Path) -> HistoryFile:
    return HistoryFile.open(path, limit=1000, forgetting=FORGETTING, log=say_nothing, clock=lambda: NOW)


def say_nothing(event: str, /, **values: object) -> None:
    raise AssertionError(f"{event} {values}")


def test_a_key_tells_a_session_from_others() -> None:
    keys = {
        KEY,
        told_key(b"\xc0\x00\x02\x02", 4711, NOW, "mx postfix/smtpd[99]"),
        told_key(CLIENT, 4712, NOW, "mx postfix/smtpd[99]"),
        told_key(CLIENT, 4711, NOW + 1, "mx postfix/smtpd[99]"),
        told_key(CLIENT, 4711, NOW, "mx postfix/smtpd[98]"),
    }
    assert len(keys) == 5


def test_a_key_is_the_same_for_ever_and_whatever_the_fraction_of_its_second() -> None:
    assert told_key(CLIENT, 4711, NOW + 0.9, "mx postfix/smtpd[99]") == KEY
    assert divmod(KEY, 1 << 40) == (472_222, 473685063240)


@given(st.binary(max_size=16), st.integers(), st.floats(), st.text())
def test_every_session_has_a_key_that_is_no_minute(client: bytes, port: int, ended: float, origin: str) -> None:
    key = told_key(client, port, ended, origin)

    assert 0 <= key < 2**63
    assert key & (1 << 40) - 1 >= 60


@given(st.floats())
def test_every_time_has_a_minute(wall: float) -> None:
    key = minute_key(wall)

    assert 0 <= key < 2**63
    assert key & (1 << 40) - 1 < 60


def test_minutes_are_numbered_within_their_hour() -> None:
    assert minute_key(NOW) == (int(NOW // 3600) << 40) + 13


async def test_what_was_told_is_known_at_once_and_after_a_restart(path: Path, history: HistoryFile) -> None:
    assert not history.is_told(KEY)
    history.note_told(KEY)
    assert history.is_told(KEY)
    await history.flush()
    assert history.is_told(KEY)
    history.close()

    with closing(opened(path)) as again:
        assert again.is_told(KEY)
        assert not again.is_told(KEY + 1)
        assert again.told_since == 0.0


async def test_a_session_and_its_key_are_written_together_or_not_at_all(
    path: Path, history: HistoryFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = Keys(CLIENT, CLIENT[:3], 0)
    monkeypatch.setattr(history, "_log", lambda *_event, **_values: None)
    monkeypatch.setattr(history._troubles, "_log", lambda *_event, **_values: None)
    learned, _lesson = learn(history.recall(keys), good=1, bad=0, now=NOW, forgetting=FORGETTING)
    history.remember(learned)
    history.note_told(KEY)
    with closing(sqlite3.connect(path, isolation_level=None)) as vandal:
        vandal.execute("ALTER TABLE told RENAME TO mislaid")
        await history.flush()
        assert vandal.execute("SELECT count(*) FROM history").fetchone() == (0,)
        assert history.is_told(KEY)
        vandal.execute("ALTER TABLE mislaid RENAME TO told")
    await history.flush()
    assert history.status()["unwritten"] == 0
    history.close()

    with closing(opened(path)) as again:
        assert again.is_told(KEY)
        assert again.recall(keys).client is not None


@pytest.mark.parametrize(("wall", "is_live"), [(0, True), (41.5, True), (42.5, False), (-21.5, True), (-22.5, False)])
async def test_minutes_with_live_sessions_are_known(path: Path, wall: float, *, is_live: bool) -> None:
    with closing(opened(path)) as history:
        history.note_live(NOW)
        history.note_live(NOW + 1)
        assert any(map(history.is_told, minutes_around(NOW + wall))) is is_live
        await history.flush()
    with closing(opened(path)) as history:
        assert any(map(history.is_told, minutes_around(NOW + wall))) is is_live


async def test_a_minute_is_written_once(history: HistoryFile) -> None:
    for second in range(20):
        history.note_live(NOW + second)
    await history.flush()

    assert history._table
    assert history._table.count().told == 1


async def test_too_many_keys_cost_the_oldest_hours_and_nothing_is_learned_from_these(
    path: Path, history: HistoryFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("frontproxy.memory.sqlite.LIMIT", 640)
    monkeypatch.setattr("frontproxy.memory.table.FORGOTTEN_AT_ONCE", 100)
    monkeypatch.setattr("frontproxy.memory.upkeep.FORGOTTEN_AT_ONCE", 100)
    first = NOW // 3600 * 3600
    for hour in range(20):
        for number in range(50):
            history.note_told(told_key(CLIENT, number, first + hour * 3600, ""))
    await history.flush()
    assert history._upkeep
    assert history._table
    await history._look_after(history._upkeep)
    left = []
    for _write in range(6):
        await history.flush()
        left.append(history._table.count().told)

    assert left == [900, 800, 700, 600, 600, 600]
    assert history.told_since == first + 8 * 3600
    assert not history.is_told(told_key(CLIENT, 0, history.told_since - 3600, ""))
    assert history.is_told(told_key(CLIENT, 0, history.told_since, ""))
    history.close()
    with closing(opened(path)) as again:
        assert again.told_since == first + 8 * 3600


def test_while_the_disk_takes_nothing_the_first_keys_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(told, "_UNWRITTEN_LIMIT", 3)
    unwritten = Told(0.0)
    for key in range(3):
        unwritten.add(key)
    unwritten.take()
    unwritten.add(3)
    assert [key for key in range(9) if key in unwritten] == [0, 1, 2, 3]
    unwritten.give_back()

    assert [key for key in range(9) if key in unwritten] == [1, 2, 3]
    assert unwritten.dropped == 1
    unwritten.take()
    unwritten.written()
    unwritten.give_back()
    assert len(unwritten) == 0


async def test_a_file_that_cannot_tell_says_told(
    path: Path, history: HistoryFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session that is not learned costs less than one that counts twice."""
    monkeypatch.setattr(history._reading, "_log", lambda *_event, **_values: None)
    with closing(sqlite3.connect(path)) as vandal:
        vandal.execute("DROP TABLE told")
    assert history.is_told(KEY)
    assert history.status()["read_errors"] == 1


def test_without_a_file_nothing_is_known_of_before(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "history.sqlite3"
    history = HistoryFile.open(
        path, limit=9, forgetting=FORGETTING, log=lambda *_event, **_values: None, clock=lambda: NOW
    )
    with closing(history):
        history.note_told(KEY)
        assert history.is_told(KEY)
        assert history.told_since == NOW
