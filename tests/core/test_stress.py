"""Stress: on at once, off after ten calm seconds, held by an operator for as long as was said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontproxy.core.stress import CALM_FOR, OFF_BELOW, ON_AT, StressGauge

Reading = tuple[float, float, bool]
"""When, the share of places taken, whether handovers are slow."""


def readings(gauge: StressGauge, *said: Reading) -> list[bool]:
    states = []
    for now, share, slow in said:
        gauge.observe(share=share, slow=slow, now=now)
        states.append(gauge.on)
    return states


@pytest.mark.parametrize(
    ("said", "states"),
    [
        ([(0, 0.0, False), (1, 0.89, False)], [False, False]),
        ([(0, ON_AT, False)], [True]),
        ([(0, 1.5, False)], [True]),
        ([(0, 0.0, True)], [True]),
        ([(0, 1, False), (1, 0.6, False), (10.9, 0.6, False), (11, 0.6, False)], [True, True, True, False]),
        ([(0, 1, False), (1, 0.6, False), (5, 0.7, False), (11, 0.6, False)], [True, True, True, True]),
        ([(0, 1, False), (1, 0.6, False), (5, 0.0, True), (14, 0.6, False)], [True, True, True, True]),
        ([(0, 1, False), (1, 0.7, False), (60, OFF_BELOW, False)], [True, True, True]),
        ([(0, 0, False), (20, 1, False), (21, 0, False), (31, 0, False)], [False, True, True, False]),
        ([(0, 1, False), (1, 0, False), (11, 0, False), (11.1, 0.8, False)], [True, True, False, False]),
    ],
)
def test_stress_comes_at_once_and_goes_after_ten_calm_seconds(said: list[Reading], states: list[bool]) -> None:
    assert readings(StressGauge(), *said) == states


def test_each_turn_is_told_once() -> None:
    gauge = StressGauge()
    said = [(0, 0.0), (1, 1.0), (2, 1.0), (3, 0.0), (13, 0.0), (14, 0.0)]

    turns = [gauge.observe(share=share, slow=False, now=now) for now, share in said]

    assert turns == [False, True, False, False, True, False]


@given(st.lists(st.tuples(st.floats(0, 8), st.floats(0, 1.2), st.booleans())))
def test_stress_is_on_from_a_bad_reading_until_ten_seconds_without_one_that_is_not_calm(said: list[Reading]) -> None:
    gauge, now = StressGauge(), 0.0
    calm_since: float | None = None
    stressed = False
    for wait, share, slow in said:
        now += wait
        calm = share < OFF_BELOW and not slow
        calm_since = (now if calm_since is None else calm_since) if calm else None
        stressed = (stressed or share >= ON_AT or slow) and (calm_since is None or now - calm_since < CALM_FOR)

        before = gauge.on
        assert gauge.observe(share=share, slow=slow, now=now) is (gauge.on != before)
        assert gauge.on is stressed


@pytest.mark.parametrize("state", [True, False])
def test_what_an_operator_holds_does_not_turn_by_itself(state: bool) -> None:
    gauge = StressGauge()
    gauge.hold(state)

    assert readings(gauge, (0, 1, True), (1, 0, False), (1000, 0, False)) == [state] * 3
    assert gauge.held is state


def test_a_hold_ends_when_its_time_is_over() -> None:
    gauge = StressGauge()
    gauge.hold(True, until=60)

    assert readings(gauge, (0, 0, False), (59.9, 0, False), (60, 0, False)) == [True, True, False]
    assert gauge.held is None


def test_under_a_hold_the_pool_is_still_measured() -> None:
    gauge = StressGauge()
    gauge.hold(False)
    readings(gauge, (0, 1, False))

    gauge.hold(None)

    assert readings(gauge, (1, 0.8, False)) == [True]


def test_a_new_hold_replaces_the_old_one_and_its_end() -> None:
    gauge = StressGauge()
    gauge.hold(True, until=10)
    gauge.hold(True)

    assert readings(gauge, (20, 0, False)) == [True]
