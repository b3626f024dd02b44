"""The budget of look-ups: never more than was agreed, and never nothing for ever."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontproxy.core.budget import Budget


def test_a_second_without_strangers_is_kept_and_no_more_than_one() -> None:
    budget = Budget(200)

    assert budget.spend(200, now=1000.0)
    assert not budget.spend(1, now=1000.0)
    assert budget.spend(200, now=2000.0)
    assert not budget.spend(1, now=2000.0)


def test_it_fills_with_time() -> None:
    budget = Budget(200)
    assert budget.spend(200, now=10.0)

    assert not budget.spend(7, now=10.025)
    assert budget.spend(7, now=10.05)


def test_what_was_refused_costs_nothing() -> None:
    budget = Budget(10)
    assert budget.spend(8, now=1.0)

    assert not budget.spend(3, now=1.0)
    assert budget.spend(2, now=1.0)


def test_who_needs_more_than_a_second_gets_it_and_pays_it_off() -> None:
    budget = Budget(2)

    assert budget.spend(7, now=10.0)
    assert not budget.spend(1, now=12.0)
    assert not budget.spend(7, now=13.0)
    assert budget.spend(7, now=13.5)


@pytest.mark.parametrize("now", [0.0, 1e6])
def test_no_budget_is_no_look_up(now: float) -> None:
    assert not Budget(0).spend(1, now)


def test_a_smaller_budget_takes_effect_at_once() -> None:
    budget = Budget(200)
    budget.rate = 5

    assert budget.spend(5, now=1.0)
    assert not budget.spend(1, now=1.0)


@given(st.integers(1, 100), st.lists(st.tuples(st.floats(0, 2), st.integers(1, 20)), min_size=1, max_size=100))
def test_never_more_than_was_agreed(rate: int, wishes: list[tuple[float, int]]) -> None:
    """Within any time: a second's worth, what the time brought, and what the last one had too much."""
    budget, now, spent = Budget(rate), 0.0, 0
    for pause, cost in wishes:
        now += pause
        spent += cost if budget.spend(cost, now) else 0

    assert spent <= rate * (1 + now) + 20 + 1e-6
