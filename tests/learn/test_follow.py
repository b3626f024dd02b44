"""A log that is followed: whatever happens to its file, each line is told once."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frontproxy.learn.follow import LINE_LIMIT, PATIENCE, QUIET, READ_LIMIT, Follower
from tests.fakes import open_descriptors


class Log:
    """A log with its writer, and somebody who follows it; the time is ours."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.follower = Follower(path)
        self.now = 1000.0
        self._number = 0

    def write(self, count: int = 1, path: Path | None = None) -> list[bytes]:
        """Append lines, each another one; returns them."""
        lines = []
        for _ in range(count):
            self._number += 1
            lines.append(b"Nov 22 20:00:00 mx postfix/smtpd[%d]: a line" % self._number)
        with (path or self.path).open("ab") as file:
            file.write(b"".join(line + b"\n" for line in lines))
        return lines

    def read(self, after: float = 0.25) -> list[bytes]:
        """What one look brings, so many seconds after the last one."""
        self.now += after
        return list(self.follower.read(self.now))

    def settle(self) -> list[bytes]:
        """What is read until everything has been quiet for long enough."""
        return [line for _ in range(12) for line in self.read()]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    before = open_descriptors()
    log = Log(tmp_path / "log")
    yield log
    log.follower.close()
    assert open_descriptors() <= before


@pytest.fixture
def begun(log: Log) -> Log:
    """A log with a past, which is being followed."""
    log.write(20)
    assert log.read() == []
    assert log.write(3) == log.read()
    return log


def test_a_start_begins_at_the_end_of_the_file(log: Log) -> None:
    log.write(3)
    assert log.read() == []
    assert log.write(2) == log.read()


def test_a_line_that_is_being_written_at_the_start_is_told_whole(log: Log) -> None:
    log.path.write_bytes(b"an old line\nhalf")
    assert log.read() == []
    with log.path.open("ab") as file:
        file.write(b" a line\n")
    assert log.read() == [b"half a line"]


def test_a_file_that_is_not_there_yet_is_read_from_its_first_line(log: Log) -> None:
    assert log.read() == []
    assert log.follower.trouble == f"{log.path}: No such file or directory"
    assert log.write(2) == log.read()
    assert log.follower.trouble == ""


def test_a_line_waits_for_its_end(begun: Log) -> None:
    with begun.path.open("ab", buffering=0) as file:
        file.write(b"one")
        assert begun.read() == []
        file.write(b" line\ntwo")
        assert begun.read() == [b"one line"]
        file.write(b"\n")
        assert begun.read() == [b"two"]


def test_after_a_rename_the_old_file_is_read_to_its_end(begun: Log) -> None:
    old = begun.path.with_suffix(".1")
    begun.path.rename(old)
    late = begun.write(2, old)
    assert begun.read() == late
    later = begun.write(2, old)
    new = begun.write(2)
    assert begun.settle() == later + new
    assert begun.write() == begun.read()


def test_what_was_late_for_the_old_file_is_told_before_the_new_one(begun: Log) -> None:
    old = begun.path.with_suffix(".1")
    begun.path.rename(old)
    new = begun.write()
    assert begun.read() == []
    late = begun.write(1, old)
    assert begun.settle() == late + new


def test_a_writer_that_was_not_told_of_the_new_file_yet_is_heard(begun: Log) -> None:
    old = begun.path.with_suffix(".1")
    begun.path.rename(old)
    begun.path.touch()
    assert begun.settle() == []
    assert begun.write(1, old) == begun.read()


def test_an_old_file_that_never_gets_quiet_does_not_keep_us_for_ever(begun: Log) -> None:
    old = begun.path.with_suffix(".1")
    begun.path.rename(old)
    new, told = begun.write(), list[bytes]()
    for _ in range(int(PATIENCE) + 3):
        begun.write(1, old)
        told += begun.read(1.0)
    assert told[-1:] == new


def test_a_truncated_file_is_read_from_its_start(begun: Log) -> None:
    shutil.copy(begun.path, begun.path.with_suffix(".1"))
    os.truncate(begun.path, 0)
    assert begun.read() == []
    assert begun.write(2) == begun.read()


def test_a_file_that_was_truncated_and_has_grown_beyond_its_old_size_is_read_from_its_start(begun: Log) -> None:
    os.truncate(begun.path, 0)
    lines = begun.write(100)
    assert begun.settle() == lines


def test_the_hole_that_a_writer_leaves_behind_a_truncation_is_skipped(begun: Log) -> None:
    size = begun.path.stat().st_size
    os.truncate(begun.path, 0)
    os.truncate(begun.path, size)  # as if written at the old place
    lines = begun.write(2)
    assert begun.settle() == lines


def test_a_removed_file_that_comes_back_is_read_from_its_start(begun: Log) -> None:
    begun.path.unlink()
    assert begun.settle() == []
    lines = begun.write(2)
    assert begun.settle() == lines


def test_a_copy_in_its_place_tells_nothing_again(begun: Log) -> None:
    copy = begun.path.with_suffix(".new")
    shutil.copy(begun.path, copy)
    copy.replace(begun.path)
    lines = begun.write(2)
    assert begun.settle() == lines


def test_an_older_copy_in_its_place_tells_only_what_is_new(begun: Log) -> None:
    copy = begun.path.with_suffix(".new")
    shutil.copy(begun.path, copy)
    assert begun.write(30) == begun.read()
    copy.replace(begun.path)
    assert begun.settle() == []
    lines = begun.write(100)
    assert begun.settle() == lines


def test_a_copy_that_is_still_being_made_is_waited_for(begun: Log) -> None:
    data = begun.path.read_bytes()
    begun.path.unlink()
    with begun.path.open("wb", buffering=0) as copy:
        for start in range(0, len(data), 50):
            copy.write(data[start : start + 50])
            assert begun.read() == []
    lines = begun.write(2)
    assert begun.settle() == lines


def test_a_copy_written_into_the_file_itself_tells_nothing_again(begun: Log) -> None:
    data = begun.path.read_bytes()
    os.truncate(begun.path, 0)
    assert begun.read() == []
    begun.path.write_bytes(data[:500])
    assert begun.read() == []
    begun.path.write_bytes(data)
    lines = begun.write(2)
    assert begun.settle() == lines


def test_a_file_out_of_which_lines_were_taken_goes_on_at_its_end(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("frontproxy.learn.bookmark.RECENT", 500)
    log.write(100)
    log.read()
    lines = log.path.read_bytes().splitlines(keepends=True)
    log.path.write_bytes(b"".join(lines[:10] + lines[30:]))
    assert log.settle() == []
    assert log.write() == log.read()


def test_lines_that_are_too_long_are_dropped_and_counted(begun: Log) -> None:
    with begun.path.open("ab") as file:
        file.write(b"x" * (LINE_LIMIT + 1) + b"\n")
    lines = begun.write()
    assert begun.settle() == lines
    assert begun.follower.dropped == 1


def test_one_look_reads_a_bounded_amount_and_says_that_there_is_more(begun: Log) -> None:
    lines = begun.write(READ_LIMIT // 40)
    first = begun.read()
    assert 0 < len(first) < len(lines)
    assert begun.follower.is_behind
    assert first + begun.settle() == lines
    assert not begun.follower.is_behind


@pytest.mark.parametrize("kind", ["folder", "device"])
def test_what_is_no_file_is_told(tmp_path: Path, kind: str) -> None:
    path = tmp_path if kind == "folder" else Path("/dev/null")
    follower = Follower(path)
    assert list(follower.read(0)) == []
    assert follower.trouble == f"{path}: neither a file nor a FIFO"


def test_a_file_that_becomes_readable_is_followed_from_its_end(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    log.write()

    def refuse(*_arguments: object) -> int:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        assert log.read() == []
        assert log.follower.trouble.startswith(f"{log.path}: Permission denied; let ")
    assert log.read() == []
    assert log.follower.trouble == ""
    assert log.write() == log.read()


def test_writers_of_a_pipe_come_and_go(log: Log) -> None:
    os.mkfifo(log.path)
    assert log.read() == []
    for name in (b"one", b"two"):
        with log.path.open("wb", buffering=0) as writer:
            writer.write(name + b"\n")
            assert log.read() == [name]
            assert log.read() == []
            writer.write(b"half a li")
            assert log.read() == []
        assert log.read() == []


def test_a_pipe_that_was_made_anew_is_read(log: Log) -> None:
    os.mkfifo(log.path)
    assert log.read() == []
    log.path.unlink()
    os.mkfifo(log.path)
    assert log.settle() == []
    with log.path.open("wb", buffering=0) as writer:
        writer.write(b"one\n")
        assert log.read() == [b"one"]


EVENTS = st.sampled_from(["write", "rotate", "truncate", "copy", "read", "wait"])


@settings(max_examples=20)
@given(st.lists(EVENTS, max_size=30))
def test_whatever_happens_no_line_is_told_twice_and_none_is_lost(
    tmp_path_factory: pytest.TempPathFactory, events: list[str]
) -> None:
    log = Log(tmp_path_factory.mktemp("log") / "log")
    log.path.touch()
    written, told = [], log.read()
    for event in events:
        if event == "write":
            written += log.write(3)
        elif event == "rotate":
            told += log.settle()
            log.path.rename(log.path.with_suffix(".1"))
            written += log.write()
            told += log.settle()
        elif event == "truncate":
            told += log.settle()
            os.truncate(log.path, 0)
            written += log.write()
        elif event == "copy":
            shutil.copy(log.path, log.path.with_suffix(".new"))
            log.path.with_suffix(".new").replace(log.path)
            told += log.settle()
        else:
            told += log.read(QUIET if event == "wait" else 0.1)
    told += log.settle()
    log.follower.close()

    assert told == written
