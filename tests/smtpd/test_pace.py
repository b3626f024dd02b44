"""How long a client may take."""

from backends.smtpd.pace import Pace
from tests.smtpd.scripts import personality


def test_bytes_do_not_reset_the_clock_of_a_command() -> None:
    pace = Pace(personality(timeout=300), now=0)
    assert pace.deadline(0, 0, content=False) == 300
    pace.received(299, 1)
    assert pace.deadline(299, 0, content=False) == 300


def test_the_next_command_has_its_own_time() -> None:
    pace = Pace(personality(timeout=300), now=0)
    pace.deadline(0, 0, content=False)
    assert pace.deadline(200, 1, content=False) == 500


def test_each_read_of_a_message_has_the_time_out() -> None:
    pace = Pace(personality(timeout=300), now=0)
    pace.deadline(0, 1, content=True)
    pace.received(299, 1)
    assert pace.deadline(299, 1, content=True) == 599


def test_a_dripping_message_ends_in_spite_of_that() -> None:
    pace = Pace(personality(timeout=300, min_data_rate=500), now=0)
    now, deadline = 0.0, pace.deadline(0, 1, content=True)
    while now < deadline:
        now += 100
        pace.received(now, 1)
        deadline = pace.deadline(now, 1, content=True)
        assert now < 10_000
    assert 3000 <= now <= 3100


def test_a_deadline_per_request_is_for_the_whole_message() -> None:
    pace = Pace(personality(timeout=10, per_request_deadline=True, min_data_rate=500), now=0)
    assert pace.deadline(0, 1, content=True) == 10
    pace.received(9, 500)
    assert pace.deadline(9, 1, content=True) == 11


def test_a_quick_start_buys_no_more_than_the_time_out() -> None:
    pace = Pace(personality(timeout=10, per_request_deadline=True, min_data_rate=500), now=0)
    pace.deadline(0, 1, content=True)
    pace.received(1, 1_000_000)
    assert pace.deadline(1, 1, content=True) == 11
