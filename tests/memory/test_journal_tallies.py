"""Hourly tallies: what is counted, and that it is counted once."""

import pytest

from frontproxy.memory.journal_tallies import HOURS_KEPT, Tallies, Tally

HOUR = 3600.0
NOW = 1_700_000 * HOUR


def tallies(*hours_ago: float) -> Tallies:
    """With a session in each of these hours."""
    made = Tallies()
    for hours in hours_ago:
        made.at(NOW - hours * HOUR).sessions += 1
    return made


@pytest.mark.parametrize(("hours", "sessions"), [(0, 1), (1, 2), (4, 2), (5, 3), (1000, 3)])
def test_what_was_counted_since_then_is_summed_up(hours: float, sessions: int) -> None:
    assert tallies(0, 1, 5).total(NOW - hours * HOUR).sessions == sessions


def test_what_is_older_than_the_hours_kept_is_forgotten() -> None:
    made = tallies(HOURS_KEPT + 1, HOURS_KEPT, 0)

    assert made.total(0).sessions == 2


def test_an_hour_is_written_when_it_has_changed() -> None:
    made = tallies(0, 1)
    assert made.take_changed() == {1_700_000: Tally(1), 1_699_999: Tally(1)}
    assert made.take_changed() == {}

    made.at(NOW).told += 1
    changed = made.take_changed()
    assert changed == {1_700_000: Tally(1, told=1)}
    made.give_back(changed)
    assert made.take_changed() == changed


def test_what_was_written_earlier_is_added_once() -> None:
    made = tallies(0)
    for _time in range(2):
        made.restore({1_700_000: Tally(5), 1_699_999: Tally(7, told=1)})

    assert made.total(0).sessions == 13
    assert made.first_told() == 1_699_999 * HOUR


def test_before_any_outcome_there_is_no_first_one() -> None:
    assert tallies(0).first_told() is None
