"""One process at a time has a history file open for writing."""

import errno
import fcntl
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from frontproxy.core.level import Forgetting
from frontproxy.memory.lock import InUse, Lock, lock_path
from frontproxy.memory.sqlite import HistoryFile

FORGETTING = Forgetting(good_half_life=30 * 86400, bad_half_life=7 * 86400, evidence_cap=25, network_limit=4)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.sqlite3"


def opened(path: Path) -> HistoryFile:
    return HistoryFile.open(path, limit=9, forgetting=FORGETTING, log=lambda *_event, **_values: None)


def test_a_file_that_is_open_is_refused_before_it_is_touched(path: Path) -> None:
    with closing(opened(path)):
        path.write_bytes(b"not a database at all" * 100)  # which would be repaired
        damaged = path.read_bytes()
        with pytest.raises(InUse, match=r"history\.sqlite3 is in use by another frontproxy"):
            opened(path)
        assert path.read_bytes() == damaged
    assert sorted(file.name for file in path.parent.glob("*damaged*")) == []


def test_a_file_that_was_closed_can_be_opened(path: Path) -> None:
    for _start in range(2):
        history = opened(path)
        history.close()
        history.close()


def test_a_lock_ends_with_its_process(path: Path) -> None:
    lines = "import sys; from pathlib import Path; from frontproxy.memory.lock import Lock"
    child = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"{lines}; lock = Lock.take(Path(sys.argv[1])); print('held', flush=True); input()",
            path,
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with child:
        assert child.stdout
        assert child.stdout.readline() == "held\n"
        with pytest.raises(InUse):
            Lock.take(path)
        child.kill()
    Lock.take(path).release()


def test_where_no_lock_can_be_had_history_is_opened_all_the_same(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "flock", have_no_locks)
    with closing(opened(path)) as history:
        assert history.status()["file"] == str(path)
        assert history.current_troubles() == []


def have_no_locks(_descriptor: int, _how: int) -> None:
    raise OSError(errno.ENOLCK, "no locks available")


def test_on_a_disk_that_can_only_be_read_nobody_holds_a_lock(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock_path(path).touch()
    with monkeypatch.context() as read_only:
        read_only.setattr(os, "open", refuse_to_write)
        lock = Lock.take(path)
    lock.release()


def refuse_to_write(path: Path, *_how: int) -> int:
    raise OSError(errno.EROFS, "Read-only file system", str(path))


def test_a_lock_that_is_not_for_us_to_open_may_be_held(path: Path) -> None:
    lock_path(path).mkdir()  # as little to be opened as a file of somebody else
    with pytest.raises(InUse, match=r"its lock cannot be opened \(.*remove .*\.lock if no other runs"):
        opened(path)

    assert not path.exists()


def test_a_link_in_the_place_of_the_lock_is_not_followed(path: Path) -> None:
    lock_path(path).symlink_to(path.with_name("precious"))
    with pytest.raises(InUse):
        opened(path)

    assert not path.with_name("precious").exists()
