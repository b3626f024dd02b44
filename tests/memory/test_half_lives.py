"""Other half-lives: evidence counts the same at that moment, and fades by the new ones from then on."""

import resource
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontproxy.core.history import ClientRecord, Keys, KnownName, learn
from frontproxy.core.level import NOTHING, Forgetting, Level, present
from frontproxy.core.provider import ProviderRecord, Witness
from frontproxy.core.recollection import recollect
from frontproxy.memory import progress
from frontproxy.memory.half_lives import Change, HalfLives
from frontproxy.memory.rows import CLIENT, packed, unpack
from frontproxy.memory.soundness import check
from frontproxy.memory.sqlite import HistoryFile
from frontproxy.memory.table import Table

DAY = 86400.0
NOW = 1.7e9
OLD = Forgetting(good_half_life=30 * DAY, bad_half_life=7 * DAY, evidence_cap=25, network_limit=4)
NEW = Forgetting(good_half_life=10 * DAY, bad_half_life=14 * DAY, evidence_cap=25, network_limit=4)
CHANGE = Change(HalfLives.of(OLD), HalfLives.of(NEW), NOW)
SHARE = Level(NOW - 40 * DAY, 4.0, 3.0, 1.0)
NAME = KnownName("mx.example.com", "example.com", NOW)
RECORD = ClientRecord(Level(NOW - 30 * DAY, 9.0, 8.0, 0.5), SHARE, SHARE, SHARE, 9.0, NAME, 64500)


def levels() -> st.SearchStrategy[Level]:
    units = st.floats(0, 1e4, width=32)
    ages = st.floats(-DAY, 300 * DAY)
    return st.builds(lambda age, good, bad: Level(NOW - age, good + bad, good, bad), ages, units, units)


def half_lives() -> st.SearchStrategy[Forgetting]:
    days = st.floats(1, 365)
    return st.builds(lambda good, bad: Forgetting(good * DAY, bad * DAY, 25, 4), days, days)


@given(levels(), half_lives(), half_lives(), st.floats(0, 100 * DAY))
def test_a_level_counts_the_same_now_and_fades_by_the_new_ones(
    level: Level, old: Forgetting, new: Forgetting, later: float
) -> None:
    changed = Change(HalfLives.of(old), HalfLives.of(new), NOW).level(level)

    now = max(NOW, level.t)
    good, bad = present(level, now, old)
    assert present(changed, now, new) == pytest.approx((good, bad), rel=1e-6, abs=1e-12)
    faded = good * 2 ** -(later / new.good_half_life), bad * 2 ** -(later / new.bad_half_life)
    assert present(changed, now + later, new) == pytest.approx(faded, rel=1e-6, abs=1e-12)


@given(levels(), half_lives(), half_lives())
def test_a_changed_level_is_one_that_somebody_can_have(level: Level, old: Forgetting, new: Forgetting) -> None:
    changed = Change(HalfLives.of(old), HalfLives.of(new), NOW).level(level)

    assert changed.n == level.n
    assert 0 <= changed.good <= level.n
    assert 0 <= changed.bad <= level.n
    assert level.t - 1 <= changed.t <= max(NOW, level.t)


def test_the_last_touch_stays_where_it_was_if_that_can_be() -> None:
    changed = CHANGE.level(Level(NOW - 5 * DAY, 20.0, 8.0, 2.0))

    assert changed.t == pytest.approx(NOW - 5 * DAY)


def test_a_client_counts_the_same_with_all_its_shares() -> None:
    changed = CHANGE.record(RECORD)

    assert isinstance(changed, ClientRecord)
    before = RECORD.own, RECORD.network_share, RECORD.provider_share, RECORD.asn_share
    after = changed.own, changed.network_share, changed.provider_share, changed.asn_share
    for old, new in zip(before, after, strict=True):
        assert present(new, NOW, NEW) == pytest.approx(present(old, NOW, OLD))
    assert (changed.name, changed.asn) == (NAME, 64500)


def test_what_was_spent_has_drained_as_it_would_have() -> None:
    record = ClientRecord(Level(NOW - 30 * DAY, 9.0, 9.0, 0.0), spent=9.0)
    changed = CHANGE.record(record)

    assert isinstance(changed, ClientRecord)
    assert changed.own.t > record.own.t  # as nobody can have had more than it has seen
    assert changed.spent == 0.0


def test_the_witnesses_of_a_provider_stay() -> None:
    record = ProviderRecord(SHARE, (Witness(b"1234", NOW),))
    changed = CHANGE.record(record)

    assert changed == ProviderRecord(CHANGE.level(SHARE), record.witnesses)


def keys(number: int) -> Keys:
    return Keys(bytes([10, 0, number, 1]), bytes([10, 0, number]), 64500)


def history_at(path: Path, forgetting: Forgetting, logged: list[object] | None = None, now: float = NOW) -> HistoryFile:
    def log(event: str, /, **values: object) -> None:
        assert event == "history"
        if logged is not None:
            logged.append(values["text"])

    return HistoryFile.open(path, limit=1000, forgetting=forgetting, log=log, clock=lambda: now)


def session(history: HistoryFile, number: int, *, good: float = 0.0, bad: float = 0.0, now: float = NOW) -> None:
    recalled = history.recall(keys(number), heard=NAME)
    history.remember(learn(recalled, good=good, bad=bad, now=now, forgetting=history.forgetting)[0])


def worth(history: HistoryFile, forgetting: Forgetting) -> list[float]:
    """The points of ten clients now."""
    recalled = [history.recall(keys(number)) for number in range(10)]
    return [recollect(one, now=NOW, forgetting=forgetting).points for one in recalled]


def live_a_while(history: HistoryFile, days: range) -> None:
    for day in days:
        for number in range(8):
            session(history, number, good=number % 4, bad=number % 3, now=NOW + (day + number / 10) * DAY)


async def test_another_configuration_at_the_start_converts_the_file(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite3"
    logged: list[object] = []
    with closing(history_at(path, OLD)) as history:
        live_a_while(history, range(-40, 0, 5))
        await history.flush()
    with closing(history_at(path, OLD, logged)) as history:
        before = worth(history, OLD)
    assert logged == []
    with closing(history_at(path, NEW, logged)) as history:
        assert worth(history, NEW) == pytest.approx(before, abs=1e-3)
        assert history._table
        assert history._table.half_lives() == HalfLives.of(NEW)
    [line] = logged
    assert str(line).startswith("history was converted to other half-lives: ")
    with closing(history_at(path, NEW, logged)) as history:
        assert worth(history, NEW) == pytest.approx(before, abs=1e-3)
    assert len(logged) == 1


async def test_a_reload_converts_what_is_on_disk_and_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite3"
    with closing(history_at(path, OLD)) as history:
        live_a_while(history, range(-40, -10, 5))
        await history.flush()
        live_a_while(history, range(-10, -5, 5))  # which no flush has written
        before = worth(history, OLD)
        await history.convert(NEW)

        assert history.forgetting == NEW
        assert worth(history, NEW) == pytest.approx(before, abs=1e-3)
        await history.flush()
    with closing(history_at(path, NEW)) as history:
        assert worth(history, NEW) == pytest.approx(before, abs=1e-3)


async def test_another_cap_converts_nothing(tmp_path: Path) -> None:
    logged: list[object] = []
    with closing(history_at(tmp_path / "history.sqlite3", OLD, logged)) as history:
        session(history, 1, good=1)
        before = history.recall(keys(1))
        await history.convert(Forgetting(OLD.good_half_life, OLD.bad_half_life, 50, 3))

        assert history.recall(keys(1)) == before
        assert history.forgetting.evidence_cap == 50
    assert logged == []


@contextmanager
def full_disk() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_file_that_cannot_be_converted_is_as_it_was_and_that_is_told(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite3"
    logged: list[object] = []
    with closing(history_at(path, OLD, logged)) as history:
        session(history, 1, good=1, now=NOW - DAY)
        await history.flush()
        before = worth(history, OLD)
        with full_disk():
            await history.convert(NEW)
        assert history._table
        assert history._table.half_lives() == HalfLives.of(OLD)
        [trouble] = history.current_troubles()
        assert trouble.startswith("history cannot be converted to other half-lives (")
        assert history.forgetting == replace(OLD, evidence_cap=NEW.evidence_cap, network_limit=NEW.network_limit)
        assert worth(history, history.forgetting) == before
        await history.convert(OLD)
        assert history.current_troubles() == []


async def test_a_conversion_that_failed_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("frontproxy.memory.sqlite._CONVERSION_RETRY", 0.0)
    with closing(history_at(tmp_path / "history.sqlite3", OLD)) as history:
        live_a_while(history, range(-40, -5, 5))
        await history.flush()
        before = worth(history, OLD)
        with full_disk():
            await history.convert(NEW)
        assert history._upkeep
        await history._look_after(history._upkeep)

        assert history.forgetting == NEW
        assert worth(history, NEW) == pytest.approx(before, abs=1e-3)
        assert history.current_troubles() == []


async def test_a_start_that_cannot_convert_goes_on_by_the_old_half_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "history.sqlite3"
    with closing(history_at(path, OLD)) as history:
        live_a_while(history, range(-40, -5, 5))
        await history.flush()
        before = worth(history, OLD)
    with monkeypatch.context() as trouble:
        trouble.setattr(Table, "_convert", find_no_room)
        history = history_at(path, NEW)
    with closing(history):
        assert HalfLives.of(history.forgetting) == HalfLives.of(OLD)
        assert "(no room) and fades by the old ones" in history.current_troubles()[0]
        assert worth(history, history.forgetting) == pytest.approx(before, abs=1e-3)
        await history.convert(NEW)
        assert history.current_troubles() == []
        assert worth(history, NEW) == pytest.approx(before, abs=1e-3)


def find_no_room(*_anything: object) -> None:
    raise sqlite3.OperationalError("no room")


async def test_without_a_file_what_is_in_memory_is_converted(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with closing(history_at(tmp_path / "file" / "history.sqlite3", OLD)) as history:
        live_a_while(history, range(-40, 0, 5))
        before = worth(history, OLD)
        await history.convert(NEW)
        assert worth(history, NEW) == pytest.approx(before, abs=1e-3)


def test_long_work_is_told_of_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "TELL_EVERY", 0.0)
    told: list[str] = []
    with closing(filled(tmp_path / "history.sqlite3", 1200)) as table:
        table.keep_under(CHANGE.new, NOW, told.append)

    assert told[:-1] == [f"history is converted to other half-lives: {done} of 1200 rows" for done in (500, 1000, 1200)]


def filled(path: Path, clients: int) -> Table:
    table = Table(path)
    table.keep_under(CHANGE.old, NOW, print)
    table.write({CLIENT + number.to_bytes(4, "big"): RECORD for number in range(clients)})
    return table


_KILLED = """
import os, signal, sys
from pathlib import Path
from frontproxy.memory import progress
from frontproxy.memory.half_lives import HalfLives
from frontproxy.memory.table import Table

def told_so_far(text):
    if "3000 of" in text:
        os.kill(os.getpid(), signal.SIGKILL)

progress.TELL_EVERY = 0.0
Table(Path(sys.argv[1])).keep_under(HalfLives(10 * 86400.0, 14 * 86400.0), 1.7e9, told_so_far)
"""


@pytest.mark.real
def test_kill_9_in_the_middle_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite3"
    filled(path, 5000).close()
    killed = subprocess.run([sys.executable, "-c", _KILLED, str(path)], check=False)
    assert killed.returncode == -9
    assert check(path) == 3

    with closing(Table(path)) as table:
        assert table.half_lives() == CHANGE.old
        kept = unpack(packed(CLIENT, RECORD))
        for number in (0, 1, 2999, 3000, 4999):
            row = table.read(CLIENT + number.to_bytes(4, "big"))
            assert row
            assert unpack(row) == kept
        table.keep_under(CHANGE.new, NOW, lambda _text: None)
        for number in (0, 4999):
            row = table.read(CLIENT + number.to_bytes(4, "big"))
            assert row
            assert unpack(row) == unpack(packed(CLIENT, CHANGE.record(kept)))


def test_nothing_stays_nothing() -> None:
    assert CHANGE.level(NOTHING) == NOTHING
    assert CHANGE.record(ClientRecord()) == ClientRecord()
