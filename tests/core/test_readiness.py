"""Whether history suffices to enforce, and what it lacks if it does not."""

from dataclasses import replace

import pytest

from frontproxy.core.readiness import Learned, advice, missing

WEEK = Learned(
    days=7.5, sessions=10_000, good=900, known_share=0.3, friend_share=0.6, outcome_share=0.9, feeds_alive=True
)


def test_a_week_in_which_friends_sent_most_of_the_good_mail_suffices() -> None:
    assert missing(WEEK) == []
    assert advice(WEEK, observing=False) == "history suffices to enforce"
    assert "frontproxy preview" in advice(WEEK, observing=True)


@pytest.mark.parametrize(
    ("learned", "said"),
    [
        (replace(WEEK, days=6.9), "6.9 days"),
        (replace(WEEK, good=49), "49 good sessions"),
        (replace(WEEK, friend_share=0.49), "friends had 49%"),
        (replace(WEEK, good=60, friend_share=None), "friends had 0%"),
        (replace(WEEK, outcome_share=0.4), "only 40% of the sessions"),
        (replace(WEEK, feeds_alive=False), "no feed"),
    ],
)
def test_it_says_what_is_missing(learned: Learned, said: str) -> None:
    assert said in advice(learned, observing=True)
    assert len(missing(learned)) == 1


def test_a_site_of_strangers_has_waited_long_enough_after_a_month() -> None:
    assert missing(replace(WEEK, days=30, friend_share=0.1)) == []


def test_a_share_of_nothing_is_no_lack() -> None:
    fresh = Learned(0, 0, 0, None, None, None, feeds_alive=True)

    assert missing(fresh) == ["it has been learned for 0.0 days, of 7"]
