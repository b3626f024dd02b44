"""The anchored clock: it never jumps, and it moves towards the system's time slowly."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frontproxy.clock import SLEW, AnchoredClock


class Times:
    """The system's two clocks, set by hand."""

    def __init__(self, wall: float = 1.7e9, monotonic: float = 500.0) -> None:
        self.wall = wall
        self.monotonic = monotonic
        self.clock = AnchoredClock(lambda: self.wall, lambda: self.monotonic)

    def pass_by(self, seconds: float) -> None:
        """Time passes, for both."""
        self.wall += seconds
        self.monotonic += seconds


def test_it_begins_with_the_systems_time() -> None:
    assert Times(wall=1.7e9).clock.now() == 1.7e9


def test_it_goes_with_the_systems_time() -> None:
    times = Times()
    times.pass_by(3600.0)

    assert times.clock.now() == pytest.approx(1.7e9 + 3600.0, abs=1e-6)
    assert times.clock.error() == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("jump", [86400.0 * 365, -86400.0 * 365])
def test_a_jump_of_the_system_is_not_followed_at_once(jump: float) -> None:
    times = Times()
    times.wall += jump

    assert times.clock.now() == 1.7e9
    assert times.clock.error() == pytest.approx(jump)


@pytest.mark.parametrize("jump", [3600.0, -3600.0])
def test_a_thousand_seconds_mend_one(jump: float) -> None:
    times = Times()
    times.wall += jump
    times.pass_by(1000.0)

    assert times.clock.error() == pytest.approx(jump - (1.0 if jump > 0 else -1.0), abs=0.01)


@pytest.mark.parametrize("jump", [3600.0, -3600.0])
def test_an_hour_is_mended_in_about_six_weeks(jump: float) -> None:
    times = Times()
    times.wall += jump
    times.pass_by(43 * 86400.0)

    assert times.clock.error() == pytest.approx(0.0, abs=1e-3)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.floats(0, 1e5), st.floats(-1e9, 1e9)), max_size=20))
def test_it_never_goes_back_and_never_runs_faster_than_the_slew(steps: list[tuple[float, float]]) -> None:
    times = Times()
    before = times.clock.now()
    for passed, jump in steps:
        times.pass_by(passed)
        times.wall += jump
        now = times.clock.now()
        assert passed * (1 - SLEW) - 1e-3 <= now - before <= passed * (1 + SLEW) + 1e-3
        before = now


@settings(max_examples=40)
@given(st.lists(st.floats(0.01, 100.0), min_size=1, max_size=20), st.floats(-1e6, 1e6))
def test_how_often_it_is_read_makes_no_difference(pieces: list[float], jump: float) -> None:
    often, once = Times(), Times()
    for times in (often, once):
        times.wall += jump
    for seconds in pieces:
        often.pass_by(seconds)
        often.clock.now()
    once.pass_by(sum(pieces))

    assert often.clock.now() == pytest.approx(once.clock.now(), abs=1e-3)


def test_the_latest_time_is_the_systems_when_ours_lags_behind() -> None:
    wall = 1000.0
    clock = AnchoredClock(lambda: wall, lambda: 0.0)
    wall = 8200.0  # the machine has slept

    assert clock.now() == 1000.0
    assert clock.latest() == 8200.0
