"""What is not on disk yet: bounded, in order, and lost in the open."""

import pytest

from frontproxy.memory import journal_waiting
from frontproxy.memory.journal_rows import End
from frontproxy.memory.journal_waiting import Waiting
from tests.memory.journals import WALL, lesson, session

QUIT = End("quit", 1.0, 0.0, 1)


def test_what_could_not_be_written_stands_before_what_came_since() -> None:
    waiting = Waiting()
    lessons = [lesson(number) for number in range(4)]
    for one in lessons[:2]:
        waiting.learned(one)
    waiting.refused(session("192.0.2.1"))
    taken = waiting.take()
    for one in lessons[2:]:
        waiting.learned(one)
    waiting.refused(session("192.0.2.2"))

    waiting.give_back(*taken)

    sessions, again = waiting.take()
    assert again == lessons
    assert [entry.seen.packed[-1] for entry in sessions] == [1, 2]
    assert waiting.take() == ([], [])


def test_what_there_is_no_room_for_is_lost_the_oldest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_waiting, "_UNWRITTEN_LIMIT", 2)
    waiting = Waiting()
    for number in range(4):
        waiting.learned(lesson(number, t=WALL + number))
        waiting.refused(session(f"192.0.2.{number}"))

    assert waiting.lesson_lost == WALL + 1
    assert waiting.dropped == 4
    sessions, lessons = waiting.take()
    assert [one.t for one in lessons] == [WALL + 2, WALL + 3]
    assert [entry.seen.packed[-1] for entry in sessions] == [2, 3]


def test_an_outcome_is_joined_by_the_session() -> None:
    waiting = Waiting()
    first, second = session(), session()
    for one in (first, second):
        waiting.given(one, "hostile")
    waiting.ended(second, "hostile", QUIT)
    waiting.ended(second, "hostile", QUIT)
    waiting.ended(session(), "hostile", QUIT)  # of one that was never noted

    assert [entry.end for entry in waiting.take()[0]] == [QUIT]
    waiting.give_up(WALL + 1)
    assert [entry.end.kind for entry in waiting.take()[0]] == ["unknown"]
