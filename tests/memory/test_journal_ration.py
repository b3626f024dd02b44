"""Who is recorded: the rows stand for all that came, however many that were."""

from hypothesis import given
from hypothesis import strategies as st

from frontproxy.memory.journal_ration import Ration


def test_each_session_has_a_row_while_they_are_few() -> None:
    ration = Ration(rate=5, burst=10)

    assert [ration.stands_for(second) for second in range(100)] == [1] * 100


def test_a_flood_has_as_many_rows_as_its_seconds_allow() -> None:
    ration = Ration(rate=5, burst=10)

    rows = [ration.stands_for(1000 + number / 1000) for number in range(20_000)]

    assert sum(row > 0 for row in rows) <= 10 + 5 * 20 + 1
    assert rows[-1] == 0 or rows[-1] >= 199


@given(st.lists(st.floats(0, 1), max_size=300))
def test_the_rows_stand_for_all_sessions_up_to_the_last_row(steps: list[float]) -> None:
    ration = Ration(rate=3, burst=4)
    now, stood_for, came = 0.0, 0, 0
    for number, step in enumerate(steps, 1):
        now += step
        if sessions := ration.stands_for(now):
            stood_for += sessions
            came = number

    assert stood_for == came


def test_a_clock_that_steps_back_gives_nothing() -> None:
    ration = Ration(rate=1, burst=1)

    assert [ration.stands_for(now) for now in (100.0, 50.0, 50.5)] == [1, 0, 0]
