"""A history of an older version is brought up to date with all that it knew, and the old file stays."""

import errno
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from struct import pack

import pytest

from frontproxy.core.history import ClientRecord, Keys, KnownName, learn
from frontproxy.core.level import NOTHING, Forgetting, Level
from frontproxy.core.recollection import recollect
from frontproxy.memory import progress
from frontproxy.memory.copies import copy_path, kept_path, write_copy
from frontproxy.memory.half_lives import HalfLives
from frontproxy.memory.migration import NotMigrated, migrate
from frontproxy.memory.repair import Opened, open_soundly
from frontproxy.memory.rows import Record, unpack
from frontproxy.memory.schema import APPLICATION, VERSION
from frontproxy.memory.soundness import check
from frontproxy.memory.sqlite import HistoryFile
from frontproxy.memory.table import Table

DAY = 86400.0
NOW = 1.7e9
FORGETTING = Forgetting(good_half_life=30 * DAY, bad_half_life=7 * DAY, evidence_cap=25, network_limit=4)
CLIENT, NETWORK, ASN = b"c\xc0\x00\x02\x01", b"n\xc0\x00\x02", b"s\x00\x00\xfb\xf4"
KEYS = Keys(CLIENT[1:], NETWORK[1:], 64500)
SHARES = pack("<dddd dddd d", NOW, 1.5, 1.5, 0.0, NOW, 1.25, 1.0, 0.25, 2.5)
RECORD = ClientRecord(Level(NOW, 3.5, 3.25, 0.25), Level(NOW, 1.5, 1.5, 0.0), NOTHING, Level(NOW, 1.25, 1.0, 0.25), 2.5)
ROWS = [
    (CLIENT, NOW + 0.25, 3.5, 3.25, 0.25, SHARES),
    (b"crot", NOW, 1.0, 1.0, 0.0, b"rotten"),
    (b"cbig", NOW, 1.0, 1.0, 0.0, pack("<dddd dddd d", NOW, 1e39, 1.5, 0.0, NOW, 1e300, 1.0, 0.25, 1e39)),
    (NETWORK, NOW, 4.0, 4.0, 0.0, None),
    (ASN, NOW, 8.0, 6.0, 2.0, None),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file as version 1 wrote it."""
    path = tmp_path / "history.sqlite3"
    write_version_1(path, ROWS)
    return path


def write_version_1(path: Path, rows: list[tuple[bytes, float, float, float, float, bytes | None]]) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA application_id = {APPLICATION}")
        connection.execute("PRAGMA user_version = 1")
        connection.execute(
            "CREATE TABLE history (key BLOB PRIMARY KEY, t REAL NOT NULL, n REAL NOT NULL, good REAL NOT NULL,"
            " bad REAL NOT NULL, shares BLOB) WITHOUT ROWID"
        )
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO history VALUES (?, ?, ?, ?, ?, ?)", rows)
        connection.execute("COMMIT")


def opened(path: Path, told: list[str]) -> Opened:
    return open_soundly(path, now=NOW, half_lives=HalfLives.of(FORGETTING), tell=told.append)


def assert_all_is_carried_over(found: Opened) -> None:
    assert found.table
    with closing(found.table) as table:
        assert unpacked(table, CLIENT) == RECORD
        assert unpacked(table, NETWORK) == Level(NOW, 4.0, 4.0, 0.0)
        assert unpacked(table, ASN) == Level(NOW, 8.0, 6.0, 2.0)
        assert unpacked(table, b"crot") == ClientRecord(Level(NOW, 1.0, 1.0, 0.0))
        assert unpacked(table, b"cbig") == ClientRecord(Level(NOW, 1.0, 1.0, 0.0))
        assert table.read(b"cnew") is None


def unpacked(table: Table, key: bytes) -> Record:
    row = table.read(key)
    assert row
    return unpack(row)


def test_a_history_of_version_1_is_carried_over_and_the_old_file_kept(path: Path) -> None:
    told: list[str] = []
    found = opened(path, told)

    assert found.troubles == []
    assert_all_is_carried_over(found)
    assert check(path) == VERSION
    kept = path.with_name("history.sqlite3.version-1")
    with closing(sqlite3.connect(kept)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
        assert sorted(connection.execute("SELECT * FROM history")) == sorted(ROWS)
    [line] = told
    assert line.startswith("history of version 1 was brought up to date in 0.")
    assert line.endswith("the old file is kept as history.sqlite3.version-1")


def test_it_happens_once(path: Path) -> None:
    told: list[str] = []
    for _start in range(2):
        found = opened(path, told)
        assert found.table
        found.table.close()

    assert len(told) == 1


def test_a_daily_copy_of_version_1_is_restored_and_brought_up_to_date(path: Path) -> None:
    write_copy(path, copy_path(path))
    path.write_bytes(b"not a database at all" * 100)
    told: list[str] = []
    found = opened(path, told)

    assert "restored the copy of " in found.troubles[0]
    assert len(told) == 1
    assert_all_is_carried_over(found)


def write_version_2(path: Path, rows: list[tuple[bytes, float, float, float, float, bytes | None]]) -> None:
    write_version_1(path, rows)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("ALTER TABLE history RENAME COLUMN shares TO more")
        connection.execute("PRAGMA user_version = 2")


MORE_2 = pack("<Ifff Ifff f I", int(NOW), 1.5, 1.5, 0.0, int(NOW), 1.25, 1.0, 0.25, 2.5, 64500)
NAMED_2 = MORE_2 + pack("<Ifff I B", int(NOW), 2.0, 1.5, 0.5, int(NOW) + 60, 11)
RECORD_2 = RECORD._replace(asn=64500)
SHARE_2 = Level(NOW, 2.0, 1.5, 0.5)


@pytest.mark.parametrize(
    ("more", "record"),
    [
        (MORE_2, RECORD_2),
        (
            NAMED_2 + b"mx.example.com",
            RECORD_2._replace(provider_share=SHARE_2, name=KnownName("mx.example.com", "example.com", NOW + 60)),
        ),
        (
            NAMED_2[:-1] + b"\0dsl.example.net",
            RECORD_2._replace(provider_share=SHARE_2, name=KnownName("dsl.example.net", "", NOW + 60)),
        ),
        (NAMED_2 + b"\x1b[2J.example.com", RECORD_2),
        (NAMED_2 + b"short", RECORD_2),
        (MORE_2 + b"rotten", RECORD_2),
        (MORE_2[:-1], ClientRecord(RECORD.own)),
        (None, ClientRecord(RECORD.own)),
    ],
)
def test_a_client_of_version_2_is_carried_over(tmp_path: Path, more: bytes | None, record: ClientRecord) -> None:
    path = tmp_path / "history.sqlite3"
    write_version_2(path, [(CLIENT, NOW, 3.5, 3.25, 0.25, more)])
    found = opened(path, [])
    assert found.table
    with closing(found.table) as table:
        assert unpacked(table, CLIENT) == record


def test_a_provider_of_version_2_is_read_with_its_client(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite3"
    provider = b"p" + (64500).to_bytes(4, "big") + b"example.com"
    rows = [(CLIENT, NOW, 3.5, 3.25, 0.25, NAMED_2 + b"mx.example.com"), (provider, NOW, 2.0, 2.0, 0.0, None)]
    write_version_2(path, rows)
    found = opened(path, [])
    assert found.table
    with closing(found.table) as table:
        assert sorted(table.read_around(CLIENT, None, None)) == [CLIENT, provider]
        assert table.told_since() == NOW  # it kept no account of what it had learned
        assert table.half_lives() == HalfLives.of(FORGETTING)
    assert path.with_name("history.sqlite3.version-2").exists()


def test_an_empty_history_of_version_2_may_learn_from_any_time(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite3"
    write_version_2(path, [])
    found = opened(path, [])
    assert found.table
    with closing(found.table) as table:
        assert table.told_since() == 0.0


async def test_a_migrated_client_is_not_its_own_neighbour_and_learns_on(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite3"
    third = 1 / 3  # which single precision rounds up
    shares = pack("<dddd dddd d", NOW, third, third, 0.0, NOW, third, third, 0.0, third)
    rows = [(key, NOW, third, third, 0.0, more) for key, more in ((CLIENT, shares), (NETWORK, None), (ASN, None))]
    write_version_1(path, rows)
    logged: list[tuple[str, object]] = []
    history = HistoryFile.open(
        path,
        limit=1000,
        forgetting=FORGETTING,
        log=lambda event, /, **values: logged.append((event, values["state"])),
        clock=lambda: NOW,
    )
    with closing(history):
        recalled = history.recall(KEYS, now=NOW)
        assert [reason.name for reason in recollect(recalled, now=NOW, forgetting=FORGETTING).reasons] == ["history"]

        heard = KnownName("mx.example.com", "example.com", NOW + 60)
        recalled = history.recall(KEYS, heard=heard)
        history.remember(learn(recalled, good=1, bad=0, now=NOW, forgetting=FORGETTING)[0])
        await history.flush()
        assert history.status()["providers"] == 1
    assert logged == [("history", "migration")]


def test_long_work_is_told_of_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "history.sqlite3"
    write_version_1(path, [(b"c" + number.to_bytes(4, "big"), NOW, 1.0, 1.0, 0.0, SHARES) for number in range(2500)])
    monkeypatch.setattr(progress, "TELL_EVERY", 0.0)
    told: list[str] = []
    migrate(path, 1, NOW, told.append)

    assert told[:3] == [
        f"history of version 1 is brought up to date: {done} of 2500 rows" for done in (1000, 2000, 2500)
    ]
    assert len(told) == 4


def no_room_for_the_copy(path: Path) -> None:
    kept_path(path, 1).mkdir()


def of_another_shape(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE history")
        connection.execute("CREATE TABLE history (key BLOB)")


@pytest.mark.parametrize("obstacle", [no_room_for_the_copy, of_another_shape])
def test_a_file_that_cannot_be_migrated_is_as_it_was_and_history_lives_in_memory(
    path: Path, obstacle: Callable[[Path], None]
) -> None:
    obstacle(path)
    before = path.read_bytes()
    found = opened(path, [])

    assert found.table is None
    [trouble] = found.troubles
    assert "is that of an older frontproxy and could not be brought up to date (" in trouble
    assert "see to the trouble in brackets and restart; to bring a file of an older frontproxy up to date" in trouble
    assert path.read_bytes() == before
    with pytest.raises(NotMigrated):
        migrate(path, 1, NOW, print)


def test_an_older_file_that_cannot_be_written_is_not_read_and_says_what_it_takes(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = path.read_bytes()
    monkeypatch.setattr("frontproxy.memory.repair.make_private", read_only)
    found = opened(path, [])

    assert found.table is None
    [trouble] = found.troubles
    assert trouble.startswith(f"history file {path} cannot be used ([Errno 30] Read-only file system); ")
    assert trouble.endswith("takes a folder that can be written, with room for three times its size")
    assert path.read_bytes() == before


def read_only(_path: Path) -> None:
    raise OSError(errno.EROFS, os.strerror(errno.EROFS))


_KILLED = """
import os, signal, sys
from pathlib import Path
from frontproxy.memory import migration, progress

def told_so_far(text):
    os.kill(os.getpid(), signal.SIGKILL)

progress.TELL_EVERY = 0.0
migration.migrate(Path(sys.argv[1]), 1, 1.7e9, told_so_far)
"""


@pytest.mark.real
def test_kill_9_in_the_middle_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite3"
    rows = [(b"c%07d" % number, NOW, 1.0, 1.0, 0.0, SHARES) for number in range(5000)]
    write_version_1(path, [*ROWS, *rows])
    killed = subprocess.run([sys.executable, "-c", _KILLED, str(path)], check=False)
    assert killed.returncode == -9
    assert check(path) == 1

    told: list[str] = []
    found = opened(path, told)
    assert found.table
    assert sum(found.table.count().rows.values()) == 5005
    assert_all_is_carried_over(found)
