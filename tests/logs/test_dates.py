"""Dates without a year, a zone, or both."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frontproxy.logs.dates import Dates

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str) -> float:
    """Seconds since 1970 of an ISO date; UTC if it says nothing else."""
    date = datetime.fromisoformat(text)
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()


def dates(now: str = "2026-11-22T12:00:00") -> Dates:
    """What reads the dates of a log of UTC."""
    return Dates(year=int(now[:4]), now=at(now), zone=UTC)


@pytest.mark.parametrize(
    ("date", "time"),
    [
        ("Nov  2 14:03:01", "2026-11-02T14:03:01"),
        ("Nov 22 11:59:59", "2026-11-22T11:59:59"),
        ("Nov 22 12:30:00", "2026-11-22T12:30:00"),  # clocks differ
        ("Nov 22 14:00:00", "2025-11-22T14:00:00"),
        ("Dec 31 23:59:59", "2025-12-31T23:59:59"),
        ("Feb 29 10:00:00", "2024-02-29T10:00:00"),
        ("2020-02-29T10:00:00+00:00", "2020-02-29T10:00:00"),
        ("2026-11-02T14:03:01Z", "2026-11-02T14:03:01"),
        ("2026-11-02T14:03:01+01:00", "2026-11-02T13:03:01"),
        ("2026-11-02T14:03:01-0530", "2026-11-02T19:33:01"),
        ("2026-11-02T14:03:01.250+01:00", "2026-11-02T13:03:01.250"),
        ("2026-11-02T14:03:01.123456Z", "2026-11-02T14:03:01.123456"),
        ("2026-11-02T14:03:01", "2026-11-02T14:03:01"),
        ("2026-11-02 14:03:01", "2026-11-02T14:03:01"),
        ("2026-11-02 14:03:01.500", "2026-11-02T14:03:01.500"),
        ("2026-11-02 14:03:01.500 +0100", "2026-11-02T13:03:01.500"),
    ],
)
def test_a_date_is_of_the_latest_year_that_is_not_to_come(date: str, time: str) -> None:
    assert dates().read(date.encode()) == pytest.approx(at(time))


@pytest.mark.parametrize(
    "date", ["Foo  2 14:03:01", "Nov 31 14:03:01", "Nov 22 25:03:01", "2026-13-02T14:03:01Z", "2026-02-29 14:03:01"]
)
def test_a_date_that_no_calendar_has_is_none(date: str) -> None:
    assert dates().read(date.encode()) is None


def test_a_log_goes_on_over_new_year() -> None:
    log = dates("2026-01-02T00:00:00")

    assert log.read(b"Dec 31 23:59:59") == at("2025-12-31T23:59:59")
    assert log.read(b"Jan  1 00:00:01") == at("2026-01-01T00:00:01")


def test_a_log_that_is_followed_for_years_needs_no_clock() -> None:
    log = dates("2026-11-22T12:00:00")
    time = datetime(2026, 11, 22, 11, tzinfo=UTC)
    for _ in range(60):
        assert log.read(time.strftime("%b %e %H:%M:%S").encode()) == time.timestamp()
        time += timedelta(days=13, hours=1, seconds=7)

    assert time.year == 2029


def test_an_earlier_year_can_be_asked_for() -> None:
    log = Dates(year=2019, now=at("2026-11-22T12:00:00"), zone=UTC)

    assert log.read(b"Nov  2 14:03:01") == at("2019-11-02T14:03:01")


def test_an_old_log_with_a_long_silence_goes_on_in_the_next_year() -> None:
    log = Dates(year=2019, now=at("2026-11-22T12:00:00"), zone=UTC)

    assert log.read(b"Nov  2 14:03:01") == at("2019-11-02T14:03:01")
    assert log.read(b"Feb 29 14:03:01") == at("2020-02-29T14:03:01")


def test_the_hour_that_summer_time_gives_back_comes_twice() -> None:
    log = Dates(year=2026, now=at("2026-11-22T12:00:00"), zone=BERLIN)
    hours = ["01:30", "02:10", "02:50", "02:05", "02:55", "03:10"]

    times = [log.read(f"Oct 25 {hour}:00".encode()) or 0.0 for hour in hours]

    assert times == sorted(times)
    assert times[0] == at("2026-10-25T01:30:00+02:00")
    assert times[2] == at("2026-10-25T02:50:00+02:00")
    assert times[3] == at("2026-10-25T02:05:00+01:00")
    assert times[5] == at("2026-10-25T03:10:00+01:00")


def test_the_hour_that_summer_time_takes_does_no_harm() -> None:
    log = Dates(year=2026, now=at("2026-11-22T12:00:00"), zone=BERLIN)

    times = [log.read(f"Mar 29 {hour}:00".encode()) or 0.0 for hour in ("01:59", "02:30", "03:01")]

    assert times[2] - times[0] == 120


@settings(max_examples=30)
@given(st.datetimes(min_value=datetime(2026, 1, 1), max_value=datetime(2026, 11, 22)))  # noqa: DTZ001  hypothesis asks for naive bounds
def test_what_is_written_is_read(time: datetime) -> None:
    time = time.replace(microsecond=0, tzinfo=UTC)

    for form in ("%b %e %H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S+0000"):
        assert dates().read(time.strftime(form).encode()) == time.timestamp()
