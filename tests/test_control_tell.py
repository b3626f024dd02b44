"""Verdicts that come later: what they count, what they take back, and how the verb refuses."""

from typing import Any

import pytest

from frontproxy import control
from frontproxy.control import Refused
from frontproxy.core.history import Lesson
from tests.houses import FORWARDER, MONITOR, STRANGER, WALL, House, controls_of, house, outcome

__all__ = ["house"]

V6 = "2001:db8:0:1::25"


async def ask(house: House, request: str) -> dict[str, Any]:
    return await control.answer(controls_of(house), request.split())


def session(house: House, client: str, *, messages: int = 1) -> None:
    """A session that ended well; its place is free again."""
    house.outcomes.hear(outcome(house.given(client), messages=messages))


async def test_a_good_word_counts_like_a_message(house: House) -> None:
    answer = await ask(house, f"tell {STRANGER} good")

    assert answer == {
        "client": STRANGER,
        "good": 1.0,
        "bad": 0.0,
        "taken_back": 0.0,
        "score_before": 0.0,
        "score": 3.01,
        "standing": "stranger",
    }
    assert house.knowledge(STRANGER) == (1.0, 0.0)


async def test_a_bad_word_counts_like_spam_and_takes_back_what_the_last_session_earned(house: House) -> None:
    session(house, STRANGER, messages=2)

    answer = await ask(house, f"tell {STRANGER} bad")

    assert (answer["good"], answer["bad"]) == (0.0, 2.0)
    assert answer["taken_back"] == pytest.approx(1.25 / 1.04**2, abs=0.01)  # the new evidence has displaced some
    assert answer["score_before"] > 0 > answer["score"]
    assert house.knowledge(STRANGER) == (0.0, 2.0)


async def test_what_a_session_earned_is_taken_back_once(house: House) -> None:
    session(house, STRANGER)
    session(house, STRANGER, messages=5)
    session(house, "198.51.100.1")
    await ask(house, f"tell {STRANGER} good --weight 8")  # there is more to take, and it is not touched

    taken = [(await ask(house, f"tell {STRANGER} bad --weight 0.1"))["taken_back"] for _word in range(3)]

    assert taken == [2.0, 1.0, 0.0]  # the latest first
    assert house.knowledge("198.51.100.1") == (1.0, 0.0)


async def test_what_time_has_taken_is_not_taken_again(house: House) -> None:
    given = house.given(STRANGER)
    house.outcomes.hear(outcome(given, messages=1))
    given.given_at -= house.proxy.setup.forgetting.good_half_life

    assert (await ask(house, f"tell {STRANGER} bad --weight 0.1"))["taken_back"] == 0.5


async def test_a_session_that_is_not_over_has_earned_nothing(house: House) -> None:
    house.given(STRANGER)

    assert (await ask(house, f"tell {STRANGER} bad"))["taken_back"] == 0


async def test_a_good_word_takes_nothing_back(house: House) -> None:
    session(house, STRANGER)

    assert (await ask(house, f"tell {STRANGER} good"))["taken_back"] == 0
    assert (await ask(house, f"tell {STRANGER} bad"))["taken_back"] > 0


async def test_no_more_is_taken_back_than_the_day_allowed(house: House) -> None:
    for _session in range(6):
        session(house, STRANGER, messages=5)  # twelve units, of which ten count

    assert (await ask(house, f"tell {STRANGER} bad --weight 0.1"))["taken_back"] == pytest.approx(2)


async def test_good_words_too_have_a_limit_a_day(house: House) -> None:
    answers = [await ask(house, f"tell {STRANGER} good --weight 8") for _word in range(3)]

    assert answers[0]["good"] == 8
    assert house.knowledge(STRANGER)[0] == pytest.approx(10)


async def test_bad_words_are_not_bounded_like_a_session(house: House) -> None:
    answer = await ask(house, f"tell {STRANGER} bad --weight 8")

    assert answer["bad"] == 8
    assert house.knowledge(STRANGER) == (0.0, 8.0)


async def test_a_forwarder_answers_for_a_tenth(house: House) -> None:
    session(house, FORWARDER)

    answer = await ask(house, f"tell {FORWARDER} bad")

    assert (answer["bad"], answer["taken_back"]) == (0.2, 0.1)
    assert answer["standing"] == "friend"
    assert (await ask(house, f"tell {FORWARDER} good"))["good"] == 1


async def test_who_is_never_learned_is_refused(house: House) -> None:
    with pytest.raises(
        Refused, match=r"is on a list of kind own, relay or probe, and such are never learned"
    ) as caught:
        await ask(house, f"tell {MONITOR} bad")

    assert caught.value.code == "failed"
    assert house.knowledge(MONITOR) == (0.0, 0.0)


async def test_an_ipv6_address_means_its_network(house: House) -> None:
    answer = await ask(house, f"tell {V6} bad")

    assert answer["client"] == "2001:db8:0:1::/64"
    assert (await ask(house, "tell 2001:db8:0:1::99 bad"))["score_before"] == answer["score"] < 0


async def test_it_is_logged_with_its_reason_escaped(house: House) -> None:
    text = 'a user\n" because=x'
    await control.answer(controls_of(house), ["tell", STRANGER, "bad", "--weight", "0.5", "--because", text])

    (line,) = house.log.about("told")
    assert line.startswith(f"event=told client={STRANGER} kind=bad weight=0.5 because=")
    assert "\n" not in line
    assert line.count(" because=") == 1


async def test_the_journal_keeps_what_was_told(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    lessons: list[Lesson] = []
    monkeypatch.setattr(house.proxy.journal, "learned", lessons.append)
    await ask(house, f"tell {STRANGER} bad")

    (lesson,) = lessons
    assert lesson.bad == 2
    assert lesson.t == WALL


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        ("", "usage", "usage: tell CLIENT good|bad [--weight N] [--because TEXT]"),
        (STRANGER, "usage", "usage: tell"),
        (f"{STRANGER} good bad", "usage", "usage: tell"),
        (f"{STRANGER} spam", "usage", "'spam' is neither good nor bad; usage: tell"),
        ("mail.example good", "bad_address", "'mail.example' is not an IPv4"),
        ("192.0.2.0/24 good", "bad_address", "is not an IPv4"),
        (f"{STRANGER} bad --weight", "usage", "--weight '' is no number from 0.1 to 8"),
        (f"{STRANGER} bad --weight much", "usage", "--weight 'much' is no number"),
        (f"{STRANGER} bad --weight 0.09", "usage", "is no number from 0.1 to 8"),
        (f"{STRANGER} bad --weight 8.1", "usage", "is no number from 0.1 to 8"),
        (f"{STRANGER} bad --weight -1", "usage", "is no number from 0.1 to 8"),
        (f"{STRANGER} bad --weight nan", "usage", "is no number from 0.1 to 8"),
        (f"{STRANGER} bad --weight inf", "usage", "is no number from 0.1 to 8"),
        (f"{STRANGER} bad --for 1h", "usage", "'--for' is no option; usage: tell"),
        (f"{STRANGER} bad --because {'x' * 201}", "usage", "--because has 201 characters; 200 are the most"),
    ],
)
async def test_a_word_that_makes_no_sense_teaches_nothing(house: House, words: str, code: str, told: str) -> None:
    with pytest.raises(Refused) as caught:
        await ask(house, f"tell {words}")

    assert caught.value.code == code
    assert told in str(caught.value)
    assert house.knowledge(STRANGER) == (0.0, 0.0)
