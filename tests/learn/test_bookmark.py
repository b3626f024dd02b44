"""A place in a log, found again in other files."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frontproxy.learn.bookmark import HEAD, RECENT, Bookmark

LINES = [b"Nov 22 20:00:%05d mx postfix/smtpd[1]: connect from unknown[192.0.2.1]\n" % number for number in range(2000)]


class Files:
    """Files with contents of our choice, closed at the end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: list[int] = []

    def holding(self, lines: list[bytes]) -> tuple[int, int]:
        """Descriptor and size of a new file."""
        path = self._folder / str(len(self._open))
        path.write_bytes(b"".join(lines))
        self._open.append(os.open(path, os.O_RDONLY))
        return self._open[-1], path.stat().st_size

    def close(self) -> None:
        """All of them."""
        for descriptor in self._open:
            os.close(descriptor)


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Files]:
    files = Files(tmp_path)
    yield files
    files.close()


def reading(lines: list[bytes]) -> Bookmark:
    """Where we are when these have been read from the start of a log."""
    mark = Bookmark()
    for line in lines:
        mark.advance(line)
    return mark


def size_of(lines: list[bytes]) -> int:
    return len(b"".join(lines))


@pytest.mark.parametrize(
    ("theirs", "place"),
    [
        pytest.param(LINES[:1500], size_of(LINES[:1500]), id="the same"),
        pytest.param(LINES, size_of(LINES[:1500]), id="a copy with news"),
        pytest.param(LINES[:1490], None, id="a shorter copy"),
        pytest.param(LINES[:10], None, id="a much shorter copy"),
        pytest.param([], None, id="nothing yet"),
        pytest.param(LINES[:1490] + LINES[1600:], size_of(LINES[:1490]), id="an older copy with news"),
        pytest.param(LINES[1600:], 0, id="another log"),
        pytest.param(LINES[1600:1602], 0, id="another log that has just begun"),
        pytest.param(LINES[:100] + LINES[200:], size_of(LINES[:100] + LINES[200:]), id="lines taken out"),
    ],
)
def test_where_to_go_on(files: Files, theirs: list[bytes], place: int | None) -> None:
    mark = reading(LINES[:1500])

    assert size_of(LINES[:1500]) > RECENT
    assert mark.found_in(*files.holding(theirs)) == place


def test_a_log_of_which_nothing_was_read_is_read_from_its_start(files: Files) -> None:
    assert Bookmark().found_in(*files.holding(LINES)) == 0


@settings(max_examples=15)
@given(st.integers(0, 2000), st.integers(0, 100))
def test_a_place_in_a_file_is_that_of_somebody_who_has_read_so_far(
    tmp_path_factory: pytest.TempPathFactory, count: int, begun: int
) -> None:
    files = Files(tmp_path_factory.mktemp("files"))
    read = b"".join(LINES)[: size_of(LINES[:count]) + begun]
    mark = Bookmark.placed(files.holding(LINES)[0], len(read))
    half = read[read.rfind(b"\n") + 1 :]

    assert mark.begun == half
    assert mark.stands_in(files.holding([read])[0])
    assert mark.found_in(*files.holding([read, b"more\n"])) == len(read)
    files.close()


def test_what_was_read_last_is_missed_when_it_is_gone(files: Files) -> None:
    mark = reading(LINES[:10])

    assert mark.stands_in(files.holding(LINES)[0])
    assert not mark.stands_in(files.holding(LINES[1:])[0])
    assert not mark.stands_in(files.holding(LINES[:9])[0])


def test_what_is_kept_is_bounded() -> None:
    mark = reading(LINES)

    assert len(mark._recent) == RECENT
    assert len(mark._head) == HEAD
