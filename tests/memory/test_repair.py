"""A file that cannot be used is told of, and history goes on."""

import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from frontproxy.core.history import ClientRecord
from frontproxy.core.level import Level
from frontproxy.memory import repair
from frontproxy.memory.copies import copy_path, write_copy
from frontproxy.memory.half_lives import HalfLives
from frontproxy.memory.repair import Opened, open_soundly
from frontproxy.memory.schema import VERSION
from frontproxy.memory.soundness import Foreign, check
from frontproxy.memory.table import Table

NOW = 1.7e9  # 2023-11-14 22:13:20 UTC
HALF_LIVES = HalfLives(30 * 86400.0, 7 * 86400.0)
KEY = b"c\xc0\x00\x02\x01"
GOOD = ClientRecord(Level(NOW, 9, 9, 0))
RECORD = ClientRecord(Level(NOW, 3, 2.5, 0.5))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A history with one client."""
    path = tmp_path / "history.sqlite3"
    opened = opened_well(path)
    opened.write({KEY: RECORD})
    opened.close()
    return path


def opened_well(path: Path) -> Table:
    opened = opened_at(path)
    assert opened.troubles == []
    assert opened.table
    return opened.table


def opened_at(path: Path, now: float = NOW) -> Opened:
    """Opened at this time, where nothing is to be migrated."""
    told: list[str] = []
    opened = open_soundly(path, now=now, half_lives=HALF_LIVES, tell=told.append)
    assert told == []
    return opened


def rows(opened: Opened) -> int:
    assert opened.table
    with closing(opened.table):
        return sum(opened.table.count().rows.values())


def pragma(path: Path, assignment: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA {assignment}")


def no_database(path: Path) -> None:
    path.write_bytes(b"not a database at all" * 100)


def too_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:50])


def half_written(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:4096])


def overwritten(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096:4200] = b"\xff" * 104
    path.write_bytes(content)


def of_other_columns(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as vandal:
        vandal.execute("DROP TABLE history")
        vandal.execute("CREATE TABLE history (other)")


DAMAGES = (no_database, too_short, half_written, overwritten, of_other_columns)


def test_a_new_file_and_its_folder_are_for_their_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "var" / "history.sqlite3"
    with closing(opened_well(path)) as table:
        table.write({KEY: RECORD})
        files = sorted(path.parent.iterdir())

        assert [file.name.removeprefix("history.sqlite3") for file in files] == ["", "-shm", "-wal"]
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_set_aside_and_the_copy_restored(path: Path, damage: Callable[[Path], None]) -> None:
    write_copy(path, copy_path(path))
    damage(path)
    harmed = path.read_bytes()
    opened = opened_at(path)

    assert rows(opened) == 1
    assert path.with_name("history.sqlite3.damaged-20231114-221320").read_bytes() == harmed
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    (told,) = opened.troubles
    assert told.startswith(f"history file {path} was damaged (")
    assert "is now history.sqlite3.damaged-20231114-221320; restored the copy of 20" in told


@pytest.mark.parametrize("damage", DAMAGES)
def test_without_a_good_copy_history_begins_anew(path: Path, damage: Callable[[Path], None]) -> None:
    damage(path)
    missing = opened_at(path)
    assert rows(missing) == 0
    assert missing.troubles[0].endswith("; there is no copy yet, so history begins anew")

    damage(path)
    no_database(copy_path(path))
    damaged = opened_at(path, NOW + 1)
    assert rows(damaged) == 0
    assert "; the copy history.sqlite3.copy cannot be used (it does not begin as" in damaged.troubles[0]


@pytest.mark.parametrize("how", ["missing", "empty"])
def test_in_the_place_of_no_history_the_copy_is_restored_and_that_is_told(path: Path, how: str) -> None:
    write_copy(path, copy_path(path))
    path.unlink()
    if how == "empty":
        path.touch()
    opened = opened_at(path)

    assert rows(opened) == 1
    [told] = opened.troubles
    assert told.startswith(f"history file {path} was missing or empty; restored the copy of 20")
    assert told.endswith(" UTC (to begin anew, remove both)")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert copy_path(path).exists()


def test_in_the_place_of_no_history_a_copy_that_is_no_good_is_told(path: Path) -> None:
    path.unlink()
    copy_path(path).touch()
    opened = opened_at(path)

    assert rows(opened) == 0
    assert opened.troubles == [
        f"history file {path} was missing or empty; the copy {copy_path(path).name} cannot be used (there is nothing "
        "in it), so history begins anew"
    ]


@pytest.mark.parametrize("step", ["check", "sync", "_put_in_place"])
def test_a_repair_that_is_cut_short_is_done_by_the_next_start(
    path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    write_copy(path, copy_path(path))
    overwritten(path)
    with monkeypatch.context() as killed:
        killed.setattr(repair, step, cut_short)
        with pytest.raises(KeyboardInterrupt):
            opened_at(path)
    opened = opened_at(path)

    assert rows(opened) == 1
    assert "restored the copy of 20" in opened.troubles[0]
    assert not path.with_name(path.name + ".restored").exists()


def cut_short(path: Path, *_more: object) -> int:
    if path.name.endswith(".restored"):
        raise KeyboardInterrupt
    return check(path)


@pytest.mark.parametrize("damage", [overwritten, Path.unlink])
def test_without_room_to_restore_nothing_changes_and_the_next_start_restores(
    path: Path, monkeypatch: pytest.MonkeyPatch, damage: Callable[[Path], None]
) -> None:
    write_copy(path, copy_path(path))
    good = copy_path(path).read_bytes()
    damage(path)
    with monkeypatch.context() as full:
        full.setattr("shutil.copyfile", find_no_room)
        opened = opened_at(path)
    assert opened.table is None
    assert "its copy history.sqlite3.copy could not be restored (no room); history is kept in memory" in str(opened)
    assert copy_path(path).read_bytes() == good
    assert not path.with_name(path.name + ".restored").exists()

    assert rows(opened_at(path)) == 1


def find_no_room(_source: Path, _target: Path) -> None:
    raise OSError("no room")


def test_a_file_of_a_newer_version_is_left_as_it_is(path: Path) -> None:
    pragma(path, f"user_version = {VERSION + 1}")
    before = path.read_bytes()
    opened = opened_at(path)

    assert opened.table is None
    assert f"was written by a newer frontproxy (schema {VERSION + 1}, this one knows {VERSION})" in opened.troubles[0]
    assert path.read_bytes() == before
    assert not path.with_name(path.name + "-wal").exists()


@pytest.mark.parametrize("mark", ["user_version = 0", "user_version = 1", "application_id = 99"])
def test_the_database_of_another_program_is_left_as_it_is(tmp_path: Path, mark: str) -> None:
    path = tmp_path / "precious"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE precious (value)")
    pragma(path, mark)
    before = path.read_bytes()
    opened = opened_at(path)

    assert opened.table is None
    assert "is the database of another program" in opened.troubles[0]
    assert path.read_bytes() == before


def test_a_path_that_cannot_be_used_leaves_memory_only(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file" / "history.sqlite3"):
        opened = opened_at(path)
        assert opened.table is None
        assert f"history file {path} cannot be used" in opened.troubles[0]


def test_the_log_of_a_damaged_file_never_meets_the_restored_copy(path: Path) -> None:
    write_copy(path, copy_path(path))
    no_database(path)
    path.with_name("history.sqlite3-wal").write_bytes(b"of another life")

    assert rows(opened_at(path)) == 1
    assert path.with_name("history.sqlite3.damaged-20231114-221320-wal").read_bytes() == b"of another life"


def test_rights_that_are_too_wide_are_narrowed(path: Path) -> None:
    path.chmod(0o644)
    opened_well(path).close()

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_is_foreign_is_no_damage(path: Path) -> None:
    pragma(path, "application_id = 7")

    with pytest.raises(Foreign):
        check(path)


def test_a_disk_that_cannot_be_written_leaves_memory_only(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.unlink()
    monkeypatch.setattr("frontproxy.memory.connections.SCHEMA", ["CREATE TABLE sqlite_no (x)"])
    opened = opened_at(path)

    assert opened.table is None
    assert "cannot be used (object name reserved" in opened.troubles[0]


def test_a_file_that_can_only_be_read_is_read_and_written_when_it_can(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as full_disk:
        full_disk.setattr("frontproxy.memory.connections.SCHEMA", ["CREATE TABLE sqlite_no (x)"])
        opened = opened_at(path)
        table = opened.table
        assert table
        assert "can only be read (object name reserved" in opened.failing
        assert table.read(KEY)
        with pytest.raises(sqlite3.Error):
            table.write({KEY: GOOD})

    table.write({KEY: GOOD})

    row = table.read(KEY)
    assert row
    assert row[2] == 9
    table.close()
