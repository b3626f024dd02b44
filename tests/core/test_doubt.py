"""Doubt: whom our own history has made a friend, hearsay cannot harm; and it never takes what is said in favour."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontproxy.core.doubt import against, doubt_about


@pytest.mark.parametrize(
    ("own", "settled", "doubt"),
    [(0.0, 5.0, 1.0), (2.5, 5.0, 0.5), (5.0, 5.0, 0.0), (14.0, 5.0, 0.0), (-20.0, 5.0, 1.0), (1.0, 100.0, 0.99)],
)
def test_doubt_goes_as_our_own_history_vouches_for_a_client(own: float, settled: float, doubt: float) -> None:
    assert doubt_about(own, settled) == doubt


@pytest.mark.parametrize(
    ("points", "doubt", "counted", "note"),
    [
        (-20.0, 1.0, -20.0, ""),
        (-20.0, 0.5, -10.0, "; counts 50%, as we know good of it ourselves"),
        (-20.0, 0.001, -0.02, "; counts 1%, as we know good of it ourselves"),
        (-20.0, 0.0, 0.0, "; does not count, as we know good of it ourselves"),
        (4.0, 0.0, 4.0, ""),
        (0.0, 0.5, 0.0, ""),
    ],
)
def test_what_is_left_of_hearsay_and_why(points: float, doubt: float, counted: float, note: str) -> None:
    left, why = against(points, doubt)

    assert left == pytest.approx(counted)
    assert why == note


@given(st.floats(-100, 100), st.floats(0, 1))
def test_doubt_only_weakens(points: float, doubt: float) -> None:
    counted, _note = against(points, doubt)

    assert min(points, 0.0) <= counted <= max(points, 0.0)
    assert counted == points or points < 0.0
