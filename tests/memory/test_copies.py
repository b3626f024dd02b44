"""Copies of the history file are whole, private and verified."""

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from frontproxy.core.history import ClientRecord
from frontproxy.core.level import Level
from frontproxy.memory.copies import copied_at, copy_path, renew_copy, richer_path, write_copy
from frontproxy.memory.schema import VERSION
from frontproxy.memory.soundness import Damaged, check
from frontproxy.memory.table import Table

NOW = 1.7e9
KEY = b"c\xc0\x00\x02\x01"
RECORD = ClientRecord(Level(NOW, 3, 2.5, 0.5))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A history with one client."""
    path = tmp_path / "history.sqlite3"
    with closing(Table(path)) as table:
        table.write({KEY: RECORD})
    return path


def test_the_copy_is_whole_private_and_stands_alone(path: Path) -> None:
    with closing(Table(path)) as table:
        table.write({KEY + b"2": RECORD})
        write_copy(path, copy_path(path))
    path.unlink()

    copy = copy_path(path)
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert copied_at(path) == copy.stat().st_mtime
    assert check(copy) == VERSION
    with closing(Table(copy)) as table:
        assert sum(table.count().rows.values()) == 2


def test_a_copy_that_fails_leaves_the_last_one(path: Path) -> None:
    write_copy(path, copy_path(path))
    good = copy_path(path).read_bytes()
    path.write_bytes(path.read_bytes()[:4096])

    with pytest.raises((Damaged, sqlite3.Error)):
        write_copy(path, copy_path(path))
    assert copy_path(path).read_bytes() == good
    assert not path.with_name("history.sqlite3.copy-new").exists()


def test_a_copy_that_is_not_sound_does_not_replace_the_last_one(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def find_damage(_path: Path) -> None:
        raise Damaged("a rotten page")

    write_copy(path, copy_path(path))
    good = copy_path(path).read_bytes()
    with closing(Table(path)) as table:
        table.write({KEY + b"2": RECORD})
    monkeypatch.setattr("frontproxy.memory.copies.check", find_damage)

    with pytest.raises(Damaged, match="a rotten page"):
        write_copy(path, copy_path(path))
    assert copy_path(path).read_bytes() == good
    assert not path.with_name("history.sqlite3.copy-new").exists()


@pytest.mark.parametrize(("before", "now", "is_kept"), [(9, 4, True), (9, 5, False), (0, 1, False)])
def test_a_far_poorer_history_does_not_replace_the_last_copy_silently(
    path: Path, before: int, now: int, *, is_kept: bool
) -> None:
    fill(path, before)
    assert renew_copy(path) == ""
    path.unlink()
    fill(path, now)
    told = renew_copy(path)

    assert (f"has {now} rows, and the one before had {before}; history.sqlite3.copy.1 is kept" in told) is is_kept
    assert richer_path(path).exists() is is_kept
    with closing(Table(richer_path(path) if is_kept else copy_path(path))) as table:
        assert sum(table.count().rows.values()) == (before if is_kept else now)


def test_of_two_copies_that_had_more_the_richest_is_kept(path: Path) -> None:
    for number in (20, 9, 4, 1):
        path.unlink()
        fill(path, number)
        renew_copy(path)

    with closing(Table(richer_path(path))) as table:
        assert sum(table.count().rows.values()) == 20


def fill(path: Path, clients: int) -> None:
    with closing(Table(path)) as table:
        table.write({KEY: None, **{KEY + bytes([number]): RECORD for number in range(clients)}})


def test_without_a_copy_there_is_no_time_of_it(tmp_path: Path) -> None:
    assert copied_at(tmp_path / "history.sqlite3") is None
