"""What a client can earn on days long past."""

import pytest

from frontproxy.core import rations
from frontproxy.core.rations import Rations

DAY = 86400.0
A, B = b"\xc0\0\2\1", b"\xc0\0\2\2"


def test_ten_units_a_day_count_in_whatever_order_they_come() -> None:
    days = Rations()

    assert [days.take(A, 100 * DAY, 6), days.take(A, 3 * DAY, 6), days.take(A, 100.5 * DAY, 6)] == [6, 6, 4]
    assert days.take(A, 100.9 * DAY, 1) == 0
    assert days.take(B, 100 * DAY, 6) == 6


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rations, "DAYS_KEPT", 2)
    days = Rations()
    for day in (1, 2, 1, 3):
        days.take(A, day * DAY, 5)

    assert [days.take(A, day * DAY, 9) for day in (1, 2)] == [0, 9]
