"""Durations as operators write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontproxy.core.durations import ago, duration_text, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("250ms", 0.25),
        ("0s", 0.0),
        ("6s", 6.0),
        ("2m", 120.0),
        ("1h", 3600.0),
        ("30d", 2_592_000.0),
        ("2w", 1_209_600.0),
    ],
)
def test_a_duration_is_a_whole_number_and_a_unit(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "s", "5 s", "-5s", "1.5s", "5S", "5min", "5s\n", "\u0665s", "1234567890s"])
def test_anything_else_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0, "0s"), (0.25, "250ms"), (60.0, "1m"), (90.0, "90s"), (604800.0, "1w")]
)
def test_a_duration_is_written_in_its_largest_unit(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@given(st.integers(0, 10**9 - 1), st.sampled_from(("ms", "s", "m", "h", "d", "w")))
def test_what_is_written_is_read_as_the_same_seconds(count: int, unit: str) -> None:
    seconds = parse_duration(f"{count}{unit}")

    assert parse_duration(duration_text(seconds)) == seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5.0, "just now"),
        (59.9, "just now"),
        (60.0, "1 minute ago"),
        (7199.0, "1 hour ago"),
        (172800.0, "2 days ago"),
    ],
)
def test_how_long_ago_is_told_in_the_largest_unit(seconds: float, text: str) -> None:
    assert ago(seconds) == text
