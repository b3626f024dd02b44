"""The journal: what it keeps of sessions and lessons, and that nothing that befalls its file befalls the mail."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import trio

from frontproxy.core.level import Forgetting
from frontproxy.memory import journal_waiting
from frontproxy.memory.journal import HOLD, NOTHING_KEPT, Journal
from frontproxy.memory.journal_rows import End, Entry, entry_from
from frontproxy.memory.journal_table import LESSONS_KEPT, JournalTable, journal_path, read_sessions, summary
from frontproxy.memory.journal_tallies import Tally
from tests.memory.journals import BAD, GOOD, NOTHING, WALL, lesson, line, session, taken


class Kept:
    """A journal in a folder, with a clock that a test sets and a log that it reads."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "history.journal.sqlite3"
        self.now = WALL
        self.logged: list[dict[str, object]] = []
        self.askers: set[int] = set()
        """Threads that have asked the clock, or used the log."""
        self.journal = self.open()

    def open(self) -> Journal:
        return Journal.open(self.path, log=self._log, clock=self._clock)

    def reopen(self) -> None:
        self.journal.close()
        self.journal = self.open()

    def entries(self) -> list[Entry]:
        return [entry_from(row) for rows in read_sessions(self.path) for row in rows]

    def _log(self, _event: str, /, **values: object) -> None:
        self.askers.add(threading.get_ident())
        self.logged.append(values)

    def _clock(self) -> float:
        self.askers.add(threading.get_ident())
        return self.now


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    built = Kept(tmp_path)
    yield built
    built.journal.close()


def test_the_journal_stands_beside_the_history() -> None:
    assert journal_path(Path("/var/lib/history.sqlite3")) == Path("/var/lib/history.journal.sqlite3")


async def test_a_session_is_kept_with_its_outcome(kept: Kept) -> None:
    told = session(known=True, score=9.5)
    kept.journal.given(told, "nice")
    await kept.journal.flush()
    assert kept.entries() == []

    kept.journal.ended(told, "nice", line(messages=3), GOOD, WALL + 2)
    await kept.journal.flush()

    (entry,) = kept.entries()
    assert (entry.pool, entry.route, entry.score, entry.reasons) == ("nice", "nice", 9.5, "history:9.5")
    assert entry.end == End("quit", 1.0, 0.0, 3)
    assert entry.seen.is_known
    assert entry.seen.packed == told.packed


async def test_a_session_whose_outcome_nobody_tells_is_kept_as_unknown(kept: Kept) -> None:
    kept.journal.given(session(), "hostile")
    kept.now = WALL + HOLD - 1
    await kept.journal.flush()
    assert kept.entries() == []

    kept.now = WALL + HOLD + 1
    await kept.journal.flush()

    assert [entry.end.kind for entry in kept.entries()] == ["unknown"]


async def test_a_refused_session_is_kept_with_where_it_would_have_gone(kept: Kept) -> None:
    kept.journal.refused(session())
    await kept.journal.flush()

    (entry,) = kept.entries()
    assert (entry.pool, entry.route, entry.end.kind) == ("", "hostile", "refused")


async def test_a_flood_of_strangers_writes_few_rows_which_stand_for_all(kept: Kept) -> None:
    for number in range(20_000):
        address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        kept.journal.refused(session(address, wall=WALL + number / 4000))
    kept.journal.refused(session(wall=WALL + 60))
    await kept.journal.flush()

    entries = kept.entries()
    assert len(entries) < 300
    assert sum(entry.stands_for for entry in entries) == 20_001


async def test_known_clients_are_kept_beside_a_flood(kept: Kept) -> None:
    for number in range(2000):
        kept.journal.refused(session(f"10.0.{number >> 8}.{number & 255}"))
    for number in range(100):
        kept.journal.refused(session(f"192.0.2.{number}", known=True))
    await kept.journal.flush()

    assert sum(entry.seen.is_known for entry in kept.entries()) == 100


async def test_sessions_that_wait_for_their_outcome_are_bounded(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_waiting, "_OPEN_LIMIT", 10)
    first, *_others = sessions = [session(known=True) for _number in range(12)]
    for one in sessions:
        kept.journal.given(one, "nice")
    kept.journal.ended(first, "nice", line(), GOOD, WALL)  # comes too late: it was given up
    await kept.journal.flush()

    assert [entry.end.kind for entry in kept.entries()] == ["unknown", "unknown"]


async def test_lessons_are_taken_once_the_newest_first(kept: Kept) -> None:
    lessons = [lesson(number, t=WALL + number, domain="example.com") for number in range(5)]
    for one in lessons:
        kept.journal.learned(one)
    await kept.journal.flush()

    assert await taken(kept.journal, WALL + 1, WALL + 4, 2) == [lessons[3], lessons[2]]
    assert await taken(kept.journal, WALL + 1, WALL + 4, 9) == [lessons[1]]
    assert await taken(kept.journal, WALL + 1, WALL + 4, 9) == []
    kept.reopen()
    assert await taken(kept.journal, 0, WALL + 100, 9) == [lessons[4], lessons[0]]


async def test_lessons_of_long_ago_are_not_kept(kept: Kept) -> None:
    """Nobody takes back what years of old logs have taught."""
    kept.journal.learned(lesson(t=WALL - LESSONS_KEPT - 1))
    await kept.journal.flush()

    assert await taken(kept.journal, 0, WALL, 9) == []
    assert kept.journal.lessons_since == WALL

    kept.journal.learned(lesson(t=WALL - LESSONS_KEPT - 1))
    kept.journal.learned(lesson(t=WALL - LESSONS_KEPT + 1))
    await kept.journal.flush()  # too soon after the last look for what is too old
    assert len(await taken(kept.journal, 0, WALL, 9)) == 1


async def test_when_it_ends_sessions_are_kept_whose_outcome_nobody_has_told(kept: Kept) -> None:
    async with trio.open_nursery() as nursery:
        await nursery.start(kept.journal.run)
        kept.journal.given(session(), "hostile")
        kept.journal.learned(lesson())
        nursery.cancel_scope.cancel()

    assert [entry.end.kind for entry in kept.entries()] == ["unknown"]
    assert len(await taken(kept.journal, 0, WALL + 1, 9)) == 1


async def test_only_the_event_loop_asks_the_clock_and_writes_into_the_log(kept: Kept) -> None:
    """Neither is made for threads."""
    kept.journal.refused(session())
    await kept.journal.flush()
    kept.journal.close()
    kept.path.write_bytes(b"no database" * 100)
    await kept.journal.flush()

    assert [logged["state"] for logged in kept.logged] == ["trouble"]
    assert kept.askers == {threading.get_ident()}


async def test_a_session_that_others_let_in_is_counted_and_kept_with_its_outcome(kept: Kept) -> None:
    kept.journal.foreign(session(known=True, score=9).verdict, line(messages=2), GOOD, WALL)
    kept.journal.foreign(session().verdict._replace(seen=None), line(), GOOD, WALL)
    await kept.journal.flush()

    (entry,) = kept.entries()
    assert (entry.pool, entry.route, entry.end) == ("", "nice", End("quit", 1.0, 0.0, 2))
    assert kept.journal.tallies.total(0) == Tally(sessions=1, known=1, handed=1, told=1, good=1, friends=1)


async def test_a_lesson_takes_about_fifty_bytes(kept: Kept) -> None:
    for number in range(2000):
        kept.journal.learned(lesson(number, t=WALL + number / 7, domain="example.com"))
    await kept.journal.flush()
    kept.journal.close()

    assert kept.path.stat().st_size / 2000 < 70


async def test_the_journal_says_since_when_it_knows_lessons(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    assert kept.journal.lessons_since == WALL
    await kept.journal.flush()
    kept.now = WALL + 100
    kept.reopen()
    assert kept.journal.lessons_since == WALL

    monkeypatch.setattr(journal_waiting, "_UNWRITTEN_LIMIT", 2)
    for number in range(3):
        kept.journal.learned(lesson(number, t=WALL + 50 + number))
    await kept.journal.flush()
    assert kept.journal.lessons_since == WALL + 50  # the disk was too slow for the first

    kept.now = WALL + 60 + LESSONS_KEPT
    await kept.journal.flush()
    assert kept.journal.lessons_since == WALL + 52


async def test_what_was_counted_outlives_a_restart(kept: Kept) -> None:
    friend, stranger = session(known=True, score=9), session()
    for one in (friend, stranger):
        kept.journal.given(one, "nice")
    kept.journal.ended(friend, "nice", line(), GOOD, WALL)
    kept.journal.ended(stranger, "nice", line(), BAD, WALL)
    kept.journal.refused(session())
    await kept.journal.flush()
    kept.reopen()
    kept.journal.given(session(wall=WALL + 3600), "nice")

    tally = kept.journal.tallies.total(WALL - 86400)
    assert (tally.sessions, tally.known, tally.handed, tally.told) == (4, 1, 3, 2)
    assert (tally.good, tally.friends) == (1, 1)
    assert kept.journal.tallies.first_told() == WALL // 3600 * 3600


async def test_the_half_lives_are_told_with_what_was_recorded(kept: Kept) -> None:
    kept.journal.forgetting = Forgetting(1000, 500, 25, 4)
    kept.journal.refused(session())
    await kept.journal.flush()

    count, facts = summary(kept.path)
    assert count == 1
    assert facts == {"lessons_since": WALL, "good_half_life": 1000, "bad_half_life": 500, "evidence_cap": 25}


@pytest.mark.parametrize("content", [b"no database" * 100, b"SQLite format 3\0" + bytes(2000)])
async def test_a_damaged_journal_is_set_aside_and_begun_anew(kept: Kept, content: bytes) -> None:
    kept.journal.close()
    kept.path.write_bytes(content)
    kept.journal = kept.open()
    kept.journal.refused(session())
    await kept.journal.flush()

    assert len(kept.entries()) == 1
    (aside,) = kept.path.parent.glob("*.set-aside-*")
    assert aside.read_bytes() == content
    assert "begins anew" in str(kept.logged[0]["text"])
    assert kept.journal.troubles() == []


async def test_a_journal_that_was_removed_begins_anew_and_says_so(kept: Kept) -> None:
    kept.journal.learned(lesson(1))
    await kept.journal.flush()
    for file in kept.path.parent.iterdir():
        file.unlink()
    kept.now = WALL + 60
    kept.journal.learned(lesson(2, t=WALL + 61))
    await kept.journal.flush()

    assert "was removed" in str(kept.logged[0]["text"])
    assert kept.journal.lessons_since == WALL + 60
    kept.reopen()
    assert [one.t for one in await taken(kept.journal, 0, WALL + 99)] == [WALL + 61]


async def test_a_newer_journal_is_set_aside(kept: Kept) -> None:
    kept.journal.close()
    with closing(sqlite3.connect(kept.path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    kept.journal = kept.open()

    assert "version 99" in str(kept.logged[0]["text"])
    assert summary(kept.path)[0] == 0


async def test_a_disk_that_takes_nothing_costs_no_mail_and_is_told_once(kept: Kept) -> None:
    kept.journal.close()
    kept.path.unlink()
    kept.path.mkdir()  # nobody can write a file there
    kept.journal = kept.open()
    for number in range(3):
        kept.journal.refused(session())
        kept.journal.learned(lesson(number))
        await kept.journal.flush()
    assert len(kept.logged) == 1
    assert kept.journal.troubles()
    with pytest.raises(RuntimeError):
        await taken(kept.journal, 0, WALL + 1, 9)

    kept.path.rmdir()
    await kept.journal.flush()

    assert len(kept.entries()) == 3
    assert len(await taken(kept.journal, 0, WALL + 1, 9)) == 3
    with closing(JournalTable(kept.path)) as table:
        assert [tally.sessions for tally in table.tallies().values()] == [3]
    assert kept.logged[-1]["state"] == "recovered"
    assert kept.journal.troubles() == []


async def test_a_health_check_is_nobodys_session(kept: Kept) -> None:
    check = session()
    check.verdict = check.verdict._replace(seen=None)
    kept.journal.given(check, "nice")
    kept.journal.ended(check, "nice", line(), NOTHING, WALL)
    kept.journal.refused(check)
    await kept.journal.flush()

    assert kept.entries() == []
    assert kept.journal.tallies.total(0).sessions == 0


async def test_where_nothing_is_kept_nothing_grows() -> None:
    NOTHING_KEPT.learned(lesson())
    NOTHING_KEPT.given(session(), "nice")
    NOTHING_KEPT.refused(session())
    await NOTHING_KEPT.flush()

    assert NOTHING_KEPT.tallies.total(0).sessions == 0
    with pytest.raises(RuntimeError):
        await taken(NOTHING_KEPT, 0, WALL, 9)
