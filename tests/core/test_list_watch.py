"""The watch on a DNS list: what costs it its vote, what does not, and how it gets it back."""

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontproxy.core.hearsay import ListAnswer
from frontproxy.core.list_watch import (
    FRIENDS,
    FRIENDS_REMEMBERED,
    LISTED_POINT,
    MOST_UNANSWERED,
    RETEST_EVERY,
    TEST_EVERY,
    UNLISTED_POINT,
    WINDOW,
    Watch,
)

BEGAN = 1000.0
NETWORKS = [bytes([192, 0, last]) for last in range(200)]


def answer(what: str, now: float = BEGAN) -> ListAnswer:
    """A code means listed, "" not listed, anything else that there is no answer."""
    state: Literal["listed", "not listed", "no answer"] = "no answer" if what else "not listed"
    codes = (what,) if what.startswith("127.0.") else ()
    return ListAnswer("bl.example", "listed" if codes else state, codes, now, now + 60, "" if codes else what)


def give_test(watch: Watch, listed: str = "127.0.0.2", unlisted: str = "", now: float = BEGAN) -> None:
    """What the list says of its two points in one test."""
    watch.begin_test(now)
    watch.tested(LISTED_POINT, answer(listed, now))
    watch.tested(UNLISTED_POINT, answer(unlisted, now))


def new_watch(*, blames: bool = True) -> Watch:
    return Watch("bl.example", BEGAN, blames=blames)


def sound(*, blames: bool = True) -> Watch:
    """A list that has passed its test."""
    watch = new_watch(blames=blames)
    give_test(watch)
    assert watch.has_vote
    return watch


def why(watch: Watch) -> str:
    assert watch.complaint is not None
    return watch.complaint.why


def ask_about_friends(watch: Watch, *, listed: int, others: int, now: float = BEGAN) -> None:
    for number in range(listed + others):
        watch.friend(NETWORKS[number], against=number < listed, now=now)


def test_a_new_list_has_no_vote_before_its_test() -> None:
    watch = new_watch()

    assert not watch.has_vote
    assert why(watch) == "it has not passed its test yet"
    assert watch.is_test_due(BEGAN)
    assert watch.tested_at is None


def test_a_list_that_passes_its_test_has_a_vote() -> None:
    watch = new_watch()
    give_test(watch)

    assert watch.has_vote
    assert watch.complaint is None
    assert watch.tested_at == BEGAN


def test_half_a_test_is_none() -> None:
    watch = new_watch()
    watch.begin_test(BEGAN)
    watch.tested(LISTED_POINT, answer("127.0.0.2"))

    assert not watch.has_vote
    assert watch.tested_at is None


@pytest.mark.parametrize(
    ("listed", "unlisted", "expected"),
    [
        ("", "", "its test entry 127.0.0.2 is missing: a dead list?"),
        ("", "timeout", "its test entry 127.0.0.2 is missing: a dead list?"),
        ("127.0.0.2", "127.0.0.2", "it lists 127.0.0.1, so probably the world"),
        ("timeout", "127.0.0.2", "it lists 127.0.0.1, so probably the world"),
        ("", "127.0.0.2", "it lists 127.0.0.1, so probably the world"),
        (
            "refused (127.255.255.252)",
            "refused (127.255.255.252)",
            "it says that there is a typing error in the zone (127.255.255.252)",
        ),
        ("refused (127.255.255.254)", "", "it does not answer public resolvers (127.255.255.254)"),
        ("127.0.0.2", "refused (127.255.255.255)", "it says that we ask too much (127.255.255.255)"),
        ("refused (127.255.255.7)", "timeout", "it refuses us (127.255.255.7)"),
        ("not a list (192.0.2.9)", "", "its answers are not those of a list: not a list (192.0.2.9)"),
    ],
)
def test_a_list_that_fails_its_test_has_no_vote(listed: str, unlisted: str, expected: str) -> None:
    watch = sound()
    give_test(watch, listed, unlisted)

    assert not watch.has_vote
    assert why(watch) == expected


@pytest.mark.parametrize("words", [("timeout", "SERVFAIL"), ("timeout", ""), ("127.0.0.2", "timeout")])
def test_one_test_without_an_answer_is_forgiven_two_are_not(words: tuple[str, str]) -> None:
    watch, votes = sound(), []
    for _ in range(2):
        give_test(watch, *words)
        votes.append(watch.has_vote)

    assert votes == [True, False]
    assert why(watch) == "its last tests had no answer (timeout)"


def test_a_new_list_that_is_silent_says_so() -> None:
    watch = new_watch()
    give_test(watch, "REFUSED", "REFUSED")
    give_test(watch, "REFUSED", "REFUSED")

    assert why(watch) == "its last tests had no answer (REFUSED)"


def test_a_test_that_is_answered_between_two_silent_ones_counts() -> None:
    watch = sound()
    for word in ("timeout", "127.0.0.2", "timeout"):
        give_test(watch, word, "")

    assert watch.has_vote


def test_a_list_that_failed_and_fell_silent_still_has_its_old_fault() -> None:
    watch = sound()
    give_test(watch, "")
    give_test(watch, "timeout", "timeout")
    give_test(watch, "timeout", "timeout")

    assert why(watch) == "its test entry 127.0.0.2 is missing: a dead list?"


def test_passing_a_test_brings_the_vote_back() -> None:
    watch = sound()
    give_test(watch, "", "")
    give_test(watch)

    assert watch.has_vote


@pytest.mark.parametrize("ours", ["lost", "busy", "no resolver"])
def test_our_own_trouble_is_no_fault_of_the_list_and_the_test_is_repeated(ours: str) -> None:
    watch = sound()
    for _ in range(10):
        give_test(watch, ours, "")
        give_test(watch, "127.0.0.2", ours)
    for _ in range(WINDOW):
        watch.looked_up(answer(ours))

    assert watch.has_vote
    assert watch.is_test_due(BEGAN)
    assert watch.no_answer == WINDOW


def test_a_test_is_due_every_five_minutes_and_every_minute_without_a_vote() -> None:
    watch = sound()
    assert not watch.is_test_due(BEGAN + TEST_EVERY - 1)
    assert watch.is_test_due(BEGAN + TEST_EVERY)

    give_test(watch, "", "")
    assert not watch.is_test_due(BEGAN + RETEST_EVERY - 1)
    assert watch.is_test_due(BEGAN + RETEST_EVERY)


def test_a_list_may_have_to_be_tested_at_once() -> None:
    watch = sound()
    watch.test_soon()

    assert watch.has_vote
    assert watch.is_test_due(BEGAN)


@pytest.mark.parametrize("word", ["refused (127.255.255.254)", "not a list (192.0.2.9)"])
def test_a_refusal_to_answer_about_a_client_costs_the_vote_at_once(word: str) -> None:
    watch = sound()
    watch.looked_up(answer(word))

    assert not watch.has_vote


def test_half_of_the_last_look_ups_without_an_answer_cost_the_vote() -> None:
    watch = sound()
    for number in range(WINDOW):
        assert watch.has_vote
        watch.looked_up(answer("timeout" if number % 2 else ""))

    assert not watch.has_vote


def test_answers_push_what_was_unanswered_out_of_sight() -> None:
    watch = sound()
    for _ in range(MOST_UNANSWERED - 1):
        watch.looked_up(answer("timeout"))
    for _ in range(WINDOW - MOST_UNANSWERED + 2):
        watch.looked_up(answer(""))
    watch.looked_up(answer("timeout"))

    assert watch.has_vote


def test_what_was_unanswered_is_forgotten_when_the_test_is_passed() -> None:
    watch = sound()
    for _ in range(MOST_UNANSWERED):
        watch.looked_up(answer("SERVFAIL"))
    assert why(watch) == f"{MOST_UNANSWERED} of its last {WINDOW} look-ups had no answer"

    give_test(watch)
    for _ in range(MOST_UNANSWERED - 1):
        watch.looked_up(answer("SERVFAIL"))
    assert watch.has_vote


def test_a_test_that_fails_forgets_nothing() -> None:
    watch = sound()
    for _ in range(MOST_UNANSWERED):
        watch.looked_up(answer("SERVFAIL"))
    give_test(watch, "timeout", "timeout")

    assert not watch.has_vote


def test_a_list_that_lists_our_friends_has_no_vote() -> None:
    watch = sound()
    ask_about_friends(watch, listed=5, others=10)

    assert not watch.has_vote
    assert why(watch) == "it lists 5 of 15 of our friends"


def test_a_list_that_lists_everybody_is_found_out_by_five_friends() -> None:
    watch, votes = sound(), []
    for network in NETWORKS[:5]:
        watch.friend(network, against=True, now=BEGAN)
        votes.append(watch.has_vote)

    assert votes == [True, True, True, True, False]


@pytest.mark.parametrize(("listed", "others"), [(4, 0), (4, 3), (5, 11), (16, 34)])
def test_a_few_friends_may_be_listed(listed: int, others: int) -> None:
    watch = sound()
    for number in reversed(range(listed + others)):  # the others first: what counts is their share in the end
        watch.friend(NETWORKS[number], against=number < listed, now=BEGAN)

    assert watch.has_vote


def test_all_friends_of_one_network_are_one_witness() -> None:
    watch = sound()
    for _ in range(10):
        watch.friend(NETWORKS[0], against=True, now=BEGAN)

    assert watch.has_vote
    assert watch.friends == (1, 1)


def test_a_test_does_not_make_good_that_friends_are_listed() -> None:
    watch = sound()
    ask_about_friends(watch, listed=5, others=0)
    give_test(watch)

    assert not watch.has_vote


def test_the_vote_is_back_when_friends_are_listed_no_more() -> None:
    watch = sound()
    ask_about_friends(watch, listed=5, others=0)
    back = []
    for number in range(5, 100):
        watch.friend(NETWORKS[number], against=False, now=BEGAN)
        if watch.has_vote:
            back.append(number)

    assert watch.friends == (0, FRIENDS)
    assert back[0] == 30  # 5 of 31


def test_a_vote_does_not_turn_with_each_friend() -> None:
    watch = sound()
    ask_about_friends(watch, listed=5, others=10)
    assert not watch.has_vote
    votes = []
    for number in range(15, 30):
        watch.friend(NETWORKS[number], against=number % 3 == 0, now=BEGAN)
        votes.append(watch.has_vote)

    assert not any(votes)


@pytest.mark.parametrize("blames", [True, False])
def test_what_it_said_of_friends_is_no_reproach_when_its_replies_are_worth_something_else(*, blames: bool) -> None:
    watch = sound()
    votes = []
    ask_about_friends(watch, listed=5, others=0)
    votes.append(watch.has_vote)
    watch.forget_friends(blames=blames)
    assert watch.friends == (0, 0)
    votes.append(watch.has_vote)
    ask_about_friends(watch, listed=5, others=0)
    votes.append(watch.has_vote)

    assert votes == [False, True, not blames]


def test_friends_of_yesterday_are_forgotten() -> None:
    watch = sound()
    ask_about_friends(watch, listed=5, others=0)
    watch.friend(NETWORKS[9], against=False, now=BEGAN + FRIENDS_REMEMBERED + 1)

    assert watch.has_vote
    assert watch.friends == (0, 1)


def test_a_list_that_recommends_cannot_contradict_us() -> None:
    watch = sound(blames=False)
    ask_about_friends(watch, listed=5, others=0)

    assert watch.has_vote
    assert watch.friends == (0, 0)


def test_it_counts_what_was_said() -> None:
    watch = sound()
    for word in ("127.0.0.4", "127.0.0.2", "", "timeout", "busy"):
        watch.looked_up(answer(word))

    assert (watch.asked, watch.listed, watch.no_answer) == (5, 2, 2)


WORDS = st.sampled_from(["127.0.0.2", "", "timeout", "busy", "lost", "refused (127.255.255.9)", "not a list (8.8.8.8)"])


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("test"), WORDS, WORDS),
            st.tuples(st.just("look-up"), WORDS, st.just("")),
            st.tuples(st.just("friend"), WORDS, st.integers(0, 99).map(str)),
        ),
        max_size=200,
    )
)
def test_whatever_happened_a_sound_list_comes_back(story: list[tuple[str, str, str]]) -> None:
    watch, now = new_watch(), BEGAN
    for what, first, second in story:
        now += 1
        if what == "test":
            give_test(watch, first, second, now)
        elif what == "look-up":
            watch.looked_up(answer(first, now))
        else:
            watch.friend(NETWORKS[int(second)], against=first == "127.0.0.2", now=now)
        assert watch.has_vote == (watch.complaint is None)
    give_test(watch, now=now)
    watch.friend(NETWORKS[0], against=False, now=now + FRIENDS_REMEMBERED + 1)

    assert watch.has_vote


def test_after_a_test_without_an_answer_the_next_one_comes_soon() -> None:
    watch = sound()
    watch.begin_test(1000.0)
    for point in (LISTED_POINT, UNLISTED_POINT):
        watch.tested(point, answer("timeout"))

    assert watch.has_vote
    assert not watch.is_test_due(1000.0 + RETEST_EVERY - 1)
    assert watch.is_test_due(1000.0 + RETEST_EVERY)
