"""Patterns of replies: what they mean, which are refused and why, and that nothing else is raised."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontproxy.core.reply_pattern import PatternError, parse_pattern

octets = st.integers(0, 255)
ranges = st.one_of(
    octets.map(str),
    st.just("*"),
    st.tuples(octets, octets).map(lambda ends: f"{min(ends)}-{max(ends)}"),
)


@pytest.mark.parametrize(
    ("pattern", "meant", "others"),
    [
        ("127.0.0.2", ["127.0.0.2"], ["127.0.0.3", "127.0.1.2", "127.1.0.2"]),
        ("127.0.0.2-9", ["127.0.0.2", "127.0.0.5", "127.0.0.9"], ["127.0.0.1", "127.0.0.10", "127.0.1.5"]),
        ("127.0.0.10-11", ["127.0.0.10", "127.0.0.11"], ["127.0.0.9", "127.0.0.1", "127.0.0.12"]),
        ("127.0.*.3", ["127.0.0.3", "127.0.255.3"], ["127.0.3.0", "127.1.0.3"]),
        ("127.*.*.*", ["127.0.0.2", "127.255.0.254"], []),
        ("*.*.*.*", ["127.0.0.2"], []),
        ("0-255.0.0.0-1", ["127.0.0.0"], ["127.0.0.2"]),
    ],
)
def test_a_pattern_means_some_replies_and_no_others(pattern: str, meant: list[str], others: list[str]) -> None:
    parsed = parse_pattern(pattern)

    assert [parsed.matches(code) for code in meant] == [True] * len(meant)
    assert [parsed.matches(code) for code in others] == [False] * len(others)


@pytest.mark.parametrize(
    ("pattern", "what", "remedy"),
    [
        ("", "is not a pattern", "four octets"),
        ("127.0.0", "is not a pattern", "four octets"),
        ("127.0.0.2.3", "is not a pattern", "four octets"),
        ("127.0.0.02", "is not a pattern", "four octets"),
        ("127.0.0.+2", "is not a pattern", "four octets"),
        ("127.0.0.2-", "is not a pattern", "four octets"),
        ("127.0.0.٢", "is not a pattern", "four octets"),
        ("127.0.0.2\n", "is not a pattern", "four octets"),
        ("127.0.0.2..9", "is not a pattern", 'write "127.0.0.2-9"'),
        ("127.0.[0..3].[2..9]", "is not a pattern", 'write "127.0.0-3.2-9"'),
        ("127.0.0.[2;4..6]", "is not a pattern", "a key of its own"),
        ("127.0.0.256", "an octet above 255", "four octets"),
        ("127.0.0.9-2", "runs backwards", "write 2-9"),
        ("128.0.0.2", "never a listing", "127.0.0.0/8"),
        ("0-126.*.*.*", "never a listing", "127.0.0.0/8"),
        ("127.0.0.1", "never a listing", "remove it"),
        ("127.255.255.254", "never a listing", "remove it"),
        ("127.255.255.*", "never a listing", "remove it"),
    ],
)
def test_what_cannot_be_a_pattern_is_told_with_a_remedy(pattern: str, what: str, remedy: str) -> None:
    with pytest.raises(PatternError) as error:
        parse_pattern(pattern)

    assert what in error.value.what
    assert remedy in error.value.remedy


@pytest.mark.parametrize("pattern", ["127.0.0.1-3", "127.0.*.1", "127.255.*.*", "127.255.254-255.2"])
def test_a_pattern_may_mean_what_is_no_listing_beside_what_is_one(pattern: str) -> None:
    assert parse_pattern(pattern).text == pattern


@given(st.one_of(st.text(), st.text("0123456789.-*[];", max_size=20)))
def test_no_text_raises_anything_else(text: str) -> None:
    pattern = None
    with suppress(PatternError):
        pattern = parse_pattern(text)

    assert pattern is None or (pattern.low <= pattern.high and pattern.text == text)


@given(st.tuples(ranges, ranges, ranges), st.tuples(octets, octets, octets))
def test_what_covers_a_pattern_matches_all_it_matches(form: tuple[str, ...], code: tuple[int, ...]) -> None:
    pattern = parse_pattern(".".join(("127", *form[:1], "0-254", *form[2:])))
    wide = parse_pattern(f"127.*.0-254.{form[2]}")
    reply = ".".join(map(str, (127, *code)))

    assert wide.covers(pattern)
    assert wide.matches(reply) or not pattern.matches(reply)


@pytest.mark.parametrize(
    ("wide", "narrow", "covers"),
    [
        ("127.0.0.2-9", "127.0.0.2-9", True),
        ("127.0.0.2-9", "127.0.0.3", True),
        ("127.0.0.2-9", "127.0.0.9-10", False),
        ("127.0.0.2-9", "127.0.*.3", False),
        ("127.0.0.3", "127.0.0.2-9", False),
    ],
)
def test_a_pattern_covers_those_inside_it(wide: str, narrow: str, covers: bool) -> None:
    assert parse_pattern(wide).covers(parse_pattern(narrow)) is covers
