"""The budget of look-ups: never more than was agreed, for all or for one network, and never nothing for ever."""

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontproxy.core.budget import IDLE, NETWORK_SHARE, Budget

NETWORK = bytes([192, 0, 2])
_networks = count()


def anybody() -> bytes:
    """A network that has not been there before."""
    return next(_networks).to_bytes(6, "big")


def test_a_second_without_strangers_is_kept_and_no_more_than_one() -> None:
    budget = Budget(200)

    assert budget.spend(200, 1000.0, anybody())
    assert not budget.spend(1, 1000.0, anybody())
    assert budget.spend(200, 2000.0, anybody())
    assert not budget.spend(1, 2000.0, anybody())


def test_it_fills_with_time() -> None:
    budget = Budget(200)
    assert budget.spend(200, 10.0, anybody())

    assert not budget.spend(7, 10.025, anybody())
    assert budget.spend(7, 10.05, anybody())


def test_what_was_refused_costs_nothing() -> None:
    budget = Budget(10)
    assert budget.spend(8, 1.0, anybody())

    assert not budget.spend(3, 1.0, anybody())
    assert budget.spend(2, 1.0, anybody())


def test_who_needs_more_than_a_second_gets_it_and_pays_it_off() -> None:
    budget = Budget(2)

    assert budget.spend(7, 10.0, anybody())
    assert not budget.spend(1, 12.0, anybody())
    assert not budget.spend(7, 13.0, anybody())
    assert budget.spend(7, 13.5, anybody())


@pytest.mark.parametrize("now", [0.0, 1e6])
def test_no_budget_is_no_look_up(now: float) -> None:
    assert not Budget(0).spend(1, now, NETWORK)


def test_a_smaller_budget_takes_effect_at_once() -> None:
    budget = Budget(200)
    budget.rate = 5

    assert budget.spend(5, 1.0, anybody())
    assert not budget.spend(1, 1.0, anybody())


def test_while_others_need_it_one_network_spends_a_tenth() -> None:
    budget = Budget(200)
    assert budget.spend(150, 1.0, anybody())

    assert sum(budget.spend(5, 1.0, NETWORK) for _ in range(10)) == 4
    assert budget.spend(30, 1.0, anybody())


def test_half_of_what_nobody_needs_is_there_for_a_busy_network() -> None:
    budget = Budget(200)

    assert sum(budget.spend(5, 1.0, NETWORK) for _ in range(100)) == 20
    assert budget.spend(100, 1.0, anybody())


def test_what_nobody_else_needed_is_not_held_against_a_network() -> None:
    budget = Budget(200)
    for number in range(1000):
        budget.spend(5, 1.0 + number / 100, NETWORK)
    assert budget.spend(99, 11.99, anybody())

    assert budget.spend(5, 12.99, NETWORK)


def test_a_network_that_owes_nothing_can_always_have_one_client_looked_up() -> None:
    budget = Budget(20)
    assert budget.spend(11, 1.0, anybody())

    assert budget.spend(7, 1.0, NETWORK)
    assert not budget.spend(1, 1.0, NETWORK)


def test_what_a_network_was_refused_costs_nobody_anything() -> None:
    budget = Budget(100)
    assert budget.spend(50, 1.0, anybody())
    assert budget.spend(7, 1.0, NETWORK)

    assert not any(budget.spend(7, 1.0, NETWORK) for _ in range(100))
    assert budget.spend(3, 1.0, NETWORK)
    assert budget.spend(40, 1.0, anybody())


def test_what_all_were_refused_costs_no_network_anything() -> None:
    budget = Budget(100)
    assert budget.spend(95, 1.0, anybody())
    assert not budget.spend(10, 1.0, NETWORK)

    assert budget.spend(5, 1.0, NETWORK)
    assert budget.spend(5, 1.4, NETWORK)


def test_networks_that_owe_nothing_are_forgotten() -> None:
    budget = Budget(200)
    for second in range(100):
        for number in range(100):
            budget.spend(7, second + number / 100, anybody())

    assert 20 < len(budget._networks) < 2 * 200 / 7 + 20


wishes = st.lists(
    st.tuples(st.floats(0, 2), st.integers(1, 20), st.sampled_from([NETWORK, bytes(3), bytes(6)])),
    min_size=1,
    max_size=100,
)


@given(st.integers(1, 200), wishes)
def test_never_more_than_was_agreed(rate: int, wishes: list[tuple[float, int, bytes]]) -> None:
    """Within any time: a second's worth, what the time brought, and what the last one had too much."""
    budget, now, spent = Budget(rate), 0.0, dict.fromkeys([NETWORK, bytes(3), bytes(6)], 0)
    for pause, cost, network in wishes:
        now += pause
        spent[network] += cost if budget.spend(cost, now, network) else 0

    assert sum(spent.values()) <= rate * (1 + now) + 20 + 1e-6
    assert max(spent.values()) <= rate * (IDLE + NETWORK_SHARE + now) + 20 + 1e-6
