"""Levels: what a client teaches its neighbourhood is bounded, and can be left out exactly."""

from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frontproxy.core.level import (
    NOTHING,
    SHARE_LIMIT,
    Level,
    aged,
    grown,
    left_of,
    present,
    shrunk,
    taught,
    taught_by_others,
    untaught,
    without,
)
from tests.core.worlds import DAY, FORGETTING, START, TIMELESS

ROUNDING = 1e-9

stories = st.lists(
    st.tuples(st.sampled_from("abc"), st.floats(0, 4), st.floats(0, 4), st.floats(-1, 40 * DAY)), max_size=40
)


def lived(story: list[tuple[str, float, float, float]]) -> list[tuple[Level, dict[str, Level]]]:
    """The neighbourhood and the shares of its clients after each session."""
    level, shares, now = NOTHING, dict.fromkeys("abc", NOTHING), START
    moments = [(level, shares)]
    for client, good, bad, step in story:
        now += step
        level, share = taught(level, shares[client], good, bad, now, FORGETTING)
        shares = shares | {client: share}
        moments.append((level, shares))
    return moments


def at_the_moment_of(level: Level, share: Level) -> Level:
    return aged(share, level.t, FORGETTING, level.n - share.n)


@settings(max_examples=60, deadline=None)
@given(stories)
def test_shares_are_all_that_a_level_knows(story: list[tuple[str, float, float, float]]) -> None:
    for level, shares in lived(story):
        parts = [at_the_moment_of(level, share) for share in shares.values()]
        assert sum(part.good for part in parts) == pytest.approx(level.good, abs=ROUNDING)
        assert sum(part.bad for part in parts) == pytest.approx(level.bad, abs=ROUNDING)


@settings(max_examples=60, deadline=None)
@given(stories)
def test_no_share_is_ever_beyond_its_limit(story: list[tuple[str, float, float, float]]) -> None:
    for _level, shares in lived(story):
        assert max(max(share.good, share.bad) for share in shares.values()) <= SHARE_LIMIT + ROUNDING


@settings(max_examples=60, deadline=None)
@given(stories)
def test_what_others_taught_is_the_level_less_the_share(story: list[tuple[str, float, float, float]]) -> None:
    level, shares = lived(story)[-1]
    good, bad = taught_by_others(level, shares["a"], level.t, FORGETTING)

    others = [at_the_moment_of(level, shares[client]) for client in "bc"]
    assert good == pytest.approx(sum(share.good for share in others), abs=ROUNDING)
    assert bad == pytest.approx(sum(share.bad for share in others), abs=ROUNDING)


@pytest.mark.parametrize(("good", "bad"), [(0.0, 4.0), (2.0, 0.0), (2.0, 4.0)])
def test_a_client_whose_share_is_full_teaches_no_more(good: float, bad: float) -> None:
    level, share = NOTHING, NOTHING
    levels = []
    for _session in range(9):
        level, share = taught(level, share, good, bad, START, TIMELESS)
        levels.append(level)

    seen = [level.n for level in levels]
    assert seen == sorted(seen)
    assert all(later.n - sooner.n < 1 for sooner, later in pairwise(levels[2:]))
    assert (level.good, level.bad) == (share.good, share.bad)
    assert share.good == pytest.approx(SHARE_LIMIT if good else 0, abs=1e-3)
    assert share.bad == pytest.approx(SHARE_LIMIT if bad else 0, abs=1e-3)


def test_a_full_share_has_room_again_as_it_fades() -> None:
    level, share = taught(NOTHING, NOTHING, 0.0, 4.0, START, FORGETTING)
    assert share.bad == SHARE_LIMIT
    later, share_later = taught(level, share, 0.0, 4.0, START + 7 * DAY, FORGETTING)

    assert later.n == level.n + SHARE_LIMIT / 2
    assert 0.9 * SHARE_LIMIT < share_later.bad < SHARE_LIMIT


def test_one_client_cannot_take_the_place_of_what_the_others_taught() -> None:
    level, mine = NOTHING, NOTHING
    for _neighbour in range(25):
        level, _share = taught(level, NOTHING, 1.0, 0.0, START, TIMELESS)
    before = level.good
    for _session in range(2000):
        level, mine = taught(level, mine, 0.0, 4.0, START, TIMELESS)

    assert present(level, START, TIMELESS)[0] > 0.85 * before
    assert taught_by_others(level, mine, START, TIMELESS)[1] == pytest.approx(0, abs=ROUNDING)


def test_a_share_that_was_kept_too_full_teaches_nothing_and_takes_nothing_back() -> None:
    """As files have them that were written before there was a limit."""
    level = share = Level(START, 9.0, 0.0, 8.0)

    assert taught(level, share, 0.0, 1.0, START, TIMELESS) == (level, share)


past = st.lists(st.tuples(st.floats(0, 4), st.floats(0, 4), st.floats(0, 400 * DAY)), min_size=1, max_size=20)


@settings(max_examples=60, deadline=None)
@given(past, st.randoms())
def test_sessions_learned_in_any_order_leave_the_same(story: list[tuple[float, float, float]], chance: Random) -> None:
    """But for what evidence displaces, which depends on what came first: here it displaces nothing."""
    forgetting = replace(FORGETTING, evidence_cap=1e15)
    orders = [sorted(story, key=lambda session: session[2]), list(story), list(story)]
    chance.shuffle(orders[2])
    results = []
    for order in orders:
        level = NOTHING
        for good, bad, then in order:
            level = grown(level, good, bad, START + then, forgetting)
        results.append(level)

    for level in results[1:]:
        assert level.t == results[0].t
        assert (level.good, level.bad) == pytest.approx((results[0].good, results[0].bad), abs=1e-6)


def test_old_sessions_cannot_wash_away_what_is_known_since() -> None:
    """A year of old logs, read when a friend is known already."""
    level = NOTHING
    for _session in range(20):
        level = grown(level, 1, 0, START, FORGETTING)
    before = level
    for number in range(1000):
        level = grown(level, 0, 1, START - 365 * DAY + number, FORGETTING)

    assert level.t == START
    assert level.good == pytest.approx(before.good, rel=1e-6)
    assert level.bad < 1e-9
    assert level.n == pytest.approx(before.n)


def test_what_is_learned_late_counts_what_time_has_left_of_it() -> None:
    level = grown(NOTHING, 1, 0, START, FORGETTING)
    late = grown(level, 1, 1, START - 30 * DAY, FORGETTING)

    assert late.good == pytest.approx(1 / 1.04 ** (0.5 + 2 ** (-30 / 7)) + 0.5)
    assert late.bad == pytest.approx(2 ** (-30 / 7))


def test_a_neighbourhood_learns_late_what_time_has_left_too() -> None:
    level, _share = taught(NOTHING, NOTHING, 1.0, 0.0, START, TIMELESS)
    later, share = taught(level, NOTHING, 1.0, 0.0, START - 30 * DAY, FORGETTING)

    assert (later.t, share.good) == (START, 0.5)
    assert later.n == 1.5


@settings(max_examples=60, deadline=None)
@given(stories, st.floats(0, 2), st.floats(0, 4), st.floats(-3 * DAY, 0))
def test_untaught_turns_taught_round_but_for_what_was_displaced(
    story: list[tuple[str, float, float, float]], good: float, bad: float, late: float
) -> None:
    level, shares = lived(story)[-1]
    part = SHARE_LIMIT / 100  # for which there is room
    share = shares["a"]._replace(good=min(1.0, shares["a"].good), bad=min(1.0, shares["a"].bad))
    then = max(START, level.t) + late
    after, share_after = taught(level, share, good * part, bad * part, then, FORGETTING)
    left = left_of(good * part, bad * part, then, after.t, FORGETTING)

    level_again, share_again = untaught(after, share_after, *left, after.t, FORGETTING)

    for is_now, was in ((level_again, level), (share_again, aged(share, level.t, FORGETTING, level.n - share.n))):
        expected = aged(was, after.t, FORGETTING, after.n - level.n)
        assert (is_now.good, is_now.bad) == pytest.approx((expected.good, expected.bad), abs=1e-6)


def test_others_shares_are_left_out_as_exactly_after_a_session_was_taken_back() -> None:
    level, mine = taught(NOTHING, NOTHING, 0, 3, START, FORGETTING)
    level, others = taught(level, NOTHING, 3, 0, START, FORGETTING)
    level, others = untaught(level, others, 3, 0, START, FORGETTING)

    assert taught_by_others(level, mine, START, FORGETTING) == pytest.approx((0, 0))
    assert mine.bad > 0


def test_no_share_is_so_much_newer_than_its_level_that_it_would_overflow() -> None:
    """A level that was lost and began anew, in a file of long ago."""
    level, share = untaught(Level(START, 1, 1, 1), Level(START, 1e9, 3, 3), 1, 1, START, FORGETTING)

    assert 0 <= level.good <= level.n
    assert 0 <= share.good <= SHARE_LIMIT


def test_where_more_is_taken_than_there_was_nothing_is_left() -> None:
    level = shrunk(Level(START, 5, 1, 1), 2, 0, 1, FORGETTING)

    assert level.good == 0
    assert level.bad == pytest.approx(1.04)
    assert shrunk(Level(START, 5, 1, 1), 0, 0, 9, FORGETTING) == Level(START, 0, 0, 0)


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 2), st.floats(0, 2)), max_size=30))
def test_a_level_without_a_share_is_what_others_taught(story: list[tuple[bool, float, float]]) -> None:
    level = share = NOTHING
    for days, (is_own, good, bad) in enumerate(story):
        level, found = taught(level, share if is_own else NOTHING, good, bad, START + days * DAY, FORGETTING)
        share = found if is_own else share

    left = without(level, share, FORGETTING)

    assert (left.t, left.n) == (level.t, level.n)
    assert (left.good, left.bad) == taught_by_others(level, share, level.t, FORGETTING)
    assert left.good <= level.good
    assert left.bad <= level.bad
