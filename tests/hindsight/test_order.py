"""Logs are read in the order of their first dates, in the years they are of, or it is told why they cannot be."""

import bz2
import os
import time
from pathlib import Path

import pytest

from frontproxy.hindsight.order import Log, Unreadable, in_order, look_at

NOW = time.mktime((2026, 11, 22, 12, 0, 0, 0, 0, -1))


def line(date: str) -> str:
    return f"{date} mx postfix/smtpd[7]: disconnect from unknown[192.0.2.1]:4711 ehlo=1 quit=1 commands=2\n"


def write(path: Path, *dates: str, changed: tuple[int, int, int] = (2026, 11, 22)) -> Path:
    path.write_text("".join(map(line, dates)))
    when = time.mktime((*changed, 12, 0, 0, 0, 0, -1))
    os.utime(path, (when, when))
    return path


def begins(log: Log) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(log.first))


def test_the_first_date_decides_and_not_the_name_or_the_place(tmp_path: Path) -> None:
    late = write(tmp_path / "a", "Nov 20 10:00:00")
    early = tmp_path / "b.bz2"
    early.write_bytes(bz2.compress(line("Nov 19 10:00:00").encode()))
    middle = write(tmp_path / "c", "2026-11-19T23:00:00.5+01:00")

    logs, unreadable = in_order([str(late), str(early), str(middle), str(late)], NOW)

    assert [log.name for log in logs] == [str(early), str(middle), str(late)]
    assert unreadable == []


@pytest.mark.parametrize(
    ("dates", "changed", "first", "year"),
    [
        (["Nov 20 10:00:00"], (2026, 11, 22), "2026-11-20", 2026),
        (["Dec 20 10:00:00"], (2026, 11, 22), "2025-12-20", 2025),
        (["Nov 20 10:00:00"], (2023, 11, 30), "2023-11-20", 2023),
        (["Dec 30 10:00:00", "Dec 31 10:00:00"], (2024, 1, 1), "2023-12-30", 2023),
        (["Oct 20 10:00:00", "Dec 1 10:00:00", "Jan 30 10:00:00"], (2026, 2, 1), "2025-10-20", 2025),
        (["2022-05-01T10:00:00Z"], (2026, 11, 22), "2022-05-01", 0),
    ],
)
def test_a_log_without_years_ends_before_it_was_changed(
    tmp_path: Path, dates: list[str], changed: tuple[int, int, int], first: str, year: int
) -> None:
    log = look_at(str(write(tmp_path / "log", *dates, changed=changed)), NOW)

    assert (begins(log), log.year) == (first, year)


@pytest.mark.parametrize(
    ("last", "changed", "year"),
    [("Mar  3 10:00:00", (2026, 3, 3), 2023), ("Dec 31 23:00:00", (2026, 1, 1), 2022)],
)
def test_each_january_after_a_december_is_a_year_more(
    tmp_path: Path, last: str, changed: tuple[int, int, int], year: int
) -> None:
    turns = ["Jun  1 10:00:00", *["Dec  1 10:00:00", "Dec 31 10:00:00", "Jan  1 10:00:00", "Jan  9 10:00:00"] * 3]

    assert look_at(str(write(tmp_path / "log", *turns, last, changed=changed)), NOW).year == year


def test_a_log_in_which_nothing_is_understood_comes_when_it_was_changed(tmp_path: Path) -> None:
    path = tmp_path / "noise"
    path.write_bytes(b"\0" * 5000)
    os.utime(path, (NOW - 5, NOW - 5))

    assert look_at(str(path), NOW).first == NOW - 5


def test_an_empty_log_is_a_log(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.touch()

    assert b"".join(piece for piece, _position in look_at(str(path), NOW).pieces()) == b""


def test_a_pipe_is_read_once_and_nothing_of_it_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = os.open(path, os.O_RDWR)
    os.write(writer, line("Nov 20 10:00:00").encode())

    log = look_at(str(path), NOW)
    os.write(writer, b"more\n")
    pieces = log.pieces()
    assert next(pieces)[0] + next(pieces)[0] == line("Nov 20 10:00:00").encode() + b"more\n"
    pieces.close()  # type: ignore[attr-defined]  # it is a generator
    os.close(writer)

    assert (log.size, begins(log)) == (None, "2026-11-20")


def test_what_cannot_be_read_is_told_with_a_remedy(tmp_path: Path) -> None:
    log = write(tmp_path / "log", "Nov 20 10:00:00")

    logs, unreadable = in_order([str(tmp_path), str(tmp_path / "missing"), "nul\0", str(log)], NOW)

    assert [found.name for found in logs] == [str(log)]
    folder, missing, nul = (why for _name, why in unreadable)
    assert f"is a folder; name the logs in it, such as {tmp_path}/mail.log*" in str(folder)
    assert "No such file or directory; is the name right?" in str(missing)
    assert "null" in str(nul)
    assert {why.code for _name, why in unreadable} == {66}


def test_a_log_that_is_damaged_says_so_when_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "log.bz2"
    path.write_bytes(bz2.compress(line("Nov 20 10:00:00").encode())[:-5])
    log = look_at(str(path), NOW)

    with pytest.raises(Unreadable, match="it ends in the middle; what came before was learned") as caught:
        list(log.pieces())

    assert caught.value.code == 65
