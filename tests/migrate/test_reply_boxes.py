"""Filters of postscreen as replies of a DNS list: for one reply they weigh the same."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontproxy.migrate.reply_boxes import ANY_LISTING, Box, FilterError, parse_filter, pattern_text, weights_of

Filters = list[tuple[tuple[Box, ...], int]]

_RANGES = st.tuples(st.integers(0, 2), st.integers(0, 2)).map(lambda pair: (min(pair), max(pair)))
_BOXES = st.tuples(st.just((127, 127)), _RANGES, _RANGES, _RANGES)
_FILTERS = st.lists(st.tuples(_BOXES.map(lambda box: (box,)), st.integers(-3, 3)), max_size=5)


@pytest.mark.parametrize(
    ("text", "patterns"),
    [
        ("127.0.0.2", ["127.0.0.2"]),
        ("127.0.0.[2..11]", ["127.0.0.2-11"]),
        ("127.0.[0..255].[1;3..4]", ["127.0.*.1", "127.0.*.3-4"]),
        ("127.0.0.[2;3;4]", ["127.0.0.2-4"]),
        ("127.0.0.[9;2..5;4..6]", ["127.0.0.2-6", "127.0.0.9"]),
        ("[10;127].0.0.[1;3]", ["10.0.0.1", "10.0.0.3", "127.0.0.1", "127.0.0.3"]),
    ],
)
def test_a_filter_becomes_patterns(text: str, patterns: list[str]) -> None:
    assert [pattern_text(box) for box in parse_filter(text)] == patterns


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "127.0.0",
            "127.0.0.2.3",
            "127.0.0.[]",
            "127.0.0.[3..2]",
            "127.0.0.256",
            "127.0.0.[1..]",
            "127.0.0.[..1]",
        ),
        *("127.0.0.[1;;2]", "127.0.0.x", "127.0.0.*", "127.0.0.2-9", "127.0.0.[1...2]"),
        "127.[1;3;5;7;9;11;13;15].[1;3;5;7;9;11;13;15].[1;3;5;7;9;11;13;15]",
    ],
)
def test_what_is_no_filter_is_an_error(text: str) -> None:
    with pytest.raises(FilterError):
        parse_filter(text)


@given(st.text(alphabet="127.0[];", max_size=30))
def test_no_filter_raises_anything_but_its_own_error(text: str) -> None:
    try:
        boxes = parse_filter(text)
    except FilterError:
        return
    assert boxes


def weights(*filters: tuple[str, int]) -> dict[str, int]:
    found = weights_of([(parse_filter(text) if text else (ANY_LISTING,), weight) for text, weight in filters])
    return {pattern_text(box): weight for box, weight in found.items()}


def test_filters_that_do_not_meet_stay_as_they_are() -> None:
    assert weights(("127.0.0.2", 3), ("127.0.0.[4..7]", 6)) == {"127.0.0.2": 3, "127.0.0.4-7": 6}


def test_what_stands_out_is_cut_out_of_the_rule() -> None:
    assert weights(("", 2), ("127.0.0.4", 3)) == {
        "127.0.0.0-3": 2,
        "127.0.0.4": 5,
        "127.0.0.5-255": 2,
        "127.0.1-255.*": 2,
        "127.1-255.*.*": 2,
    }


def test_an_exception_is_cut_out_of_the_rule() -> None:
    assert weights(("127.0.0.[2..9]", 4), ("127.0.0.5", -3)) == {"127.0.0.2-4": 4, "127.0.0.5": 1, "127.0.0.6-9": 4}


def test_filters_that_cancel_out_are_nothing() -> None:
    assert weights(("127.0.0.2", 4), ("127.0.0.2", -4)) == {}


def test_too_many_ways_to_overlap_are_an_error() -> None:
    stripes = [f"127.{number}.[0..255].[0..255]" for number in range(1, 250, 2)]
    columns = [f"127.[0..255].{number}.[0..255]" for number in range(1, 250, 2)]

    with pytest.raises(FilterError, match="too many"):
        weights(*[(text, 1) for text in stripes], *[(text, -1) for text in columns])


def test_neighbours_of_one_weight_are_one_box() -> None:
    assert weights(("127.0.0.[2..9]", 4), ("127.0.0.[10..11]", 4)) == {"127.0.0.2-11": 4}


def test_many_filters_that_overlap_are_taken_apart() -> None:
    found = weights(*[(f"127.0.0.[{low}..{low + 60}]", 1) for low in range(60)])

    assert found["127.0.0.59-60"] == 60
    assert len(found) == 119


@given(_FILTERS)
def test_every_single_reply_weighs_what_postscreen_makes_of_it(filters: Filters) -> None:
    found = weights_of(filters)

    for second, third, fourth in product(range(3), repeat=3):
        reply: Box = ((127, 127), (second, second), (third, third), (fourth, fourth))
        sums = sum(weight for boxes, weight in filters if any(_holds(box, reply) for box in boxes))
        assert [weight for box, weight in found.items() if _holds(box, reply)] == ([sums] if sums else [])


def _holds(box: Box, reply: Box) -> bool:
    return all(low <= number <= high for (low, high), (number, _) in zip(box, reply, strict=True))
