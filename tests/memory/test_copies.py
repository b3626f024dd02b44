"""Copies of the history file are whole, private and verified."""

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from frontproxy.core.history import ClientRecord
from frontproxy.core.level import Level
from frontproxy.memory.copies import copied_at, copy_path, write_copy
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


def test_without_a_copy_there_is_no_time_of_it(tmp_path: Path) -> None:
    assert copied_at(tmp_path / "history.sqlite3") is None
