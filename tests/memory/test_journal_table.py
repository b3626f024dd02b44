"""The tables of the journal: they stay within their size, and what is thinned out is still stood for."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from frontproxy.memory import journal_table
from frontproxy.memory.journal_rows import Row, entry_of, entry_row, lesson_row
from frontproxy.memory.journal_table import SESSIONS_KEPT, Batch, JournalTable, read_sessions
from frontproxy.memory.journal_tallies import Tally
from tests.memory.journals import WALL, lesson, session


@pytest.fixture
def table(tmp_path: Path) -> Iterator[JournalTable]:
    built = JournalTable(tmp_path / "journal")
    yield built
    built.close()


def rows(count: int, *, known: bool, wall: float = WALL) -> list[Row]:
    entries = [entry_of(session(known=known, wall=wall).verdict, "nice", 1) for _number in range(count)]
    return [entry_row(entry) for entry in entries if entry]


def kept(table: JournalTable) -> dict[bool, tuple[int, float]]:
    """Of strangers and of known clients: how many rows there are, and how many sessions they stand for."""
    found = [row for chunk in read_sessions(table.path) for row in chunk]
    return {
        known: (sum(row[3] == known for row in found), sum(float(row[2] or 0) for row in found if row[3] == known))
        for known in (False, True)
    }


def test_strangers_are_thinned_first(table: JournalTable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_table, "SESSIONS_LIMIT", 100)
    table.write(Batch(sessions=rows(60, known=False) + rows(41, known=True)))

    table.keep_to_size(WALL)

    assert kept(table) == {False: (30, 60.0), True: (41, 41.0)}


def test_known_clients_are_thinned_when_strangers_are_few(table: JournalTable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_table, "SESSIONS_LIMIT", 100)
    table.write(Batch(sessions=rows(40, known=False) + rows(80, known=True)))

    table.keep_to_size(WALL)

    assert kept(table) == {False: (40, 40.0), True: (40, 80.0)}


def test_what_is_too_old_goes(table: JournalTable) -> None:
    hour = int(WALL // 3600)
    old = rows(1, known=True, wall=WALL - SESSIONS_KEPT - 1)
    table.write(Batch(sessions=old + rows(1, known=True), tallies={hour: Tally(1), hour - 2000: Tally(1)}))

    table.keep_to_size(WALL)

    assert kept(table)[True] == (1, 1.0)
    assert table.tallies() == {hour: Tally(1)}


def test_of_too_many_lessons_the_first_go(table: JournalTable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_table, "LESSONS_LIMIT", 3)
    table.write(Batch(lessons=[lesson_row(lesson(number, t=WALL + number)) for number in range(5)]))

    assert table.keep_to_size(WALL + 5) == WALL + 1
    assert table.lessons == 3
    assert [one.t - WALL for _id, one in table.last_lessons(0, WALL + 9, 9) if one] == [4, 3, 2]
    assert table.keep_to_size(WALL + 5) == 0.0


def test_a_write_that_fails_leaves_nothing(table: JournalTable) -> None:
    with pytest.raises(sqlite3.Error):
        table.write(Batch(lessons=[lesson_row(lesson())], sessions=[("no", "session")]))

    assert table.last_lessons(0, WALL + 1, 9) == []


def test_an_ipv6_lesson_knows_its_network(table: JournalTable) -> None:
    keys = lesson().keys._replace(client=bytes(range(8)), network=bytes(range(6)))
    table.write(Batch(lessons=[lesson_row(lesson()._replace(keys=keys))]))

    ((_id, found),) = table.last_lessons(0, WALL + 1, 9)
    assert found
    assert found.keys == keys


def test_a_lesson_that_has_rotted_is_none_and_can_be_dropped(table: JournalTable) -> None:
    table.write(Batch(lessons=[(WALL, "no client", 1, "", 1.0, 0.0, 1.0, 1.0), lesson_row(lesson())]))

    sound, rotten = table.last_lessons(0, WALL + 1, 9)
    assert sound.lesson == lesson()
    assert rotten.lesson is None
    table.drop_lessons([sound.id, rotten.id])
    assert table.lessons == 0
