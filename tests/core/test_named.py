"""Names as evidence: confirmed, unconfirmed, missing, or that of an access line."""

from dataclasses import replace
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontproxy.core.config import Points
from frontproxy.core.hearsay import NameAnswer
from frontproxy.core.named import reason_of
from frontproxy.core.verdict import Reason

POINTS = Points(name_confirmed=0.5, name_unconfirmed=-1.0, name_missing=-3.0, name_access=-4.0)

State = Literal["confirmed", "unconfirmed", "missing", "no answer"]


def answer(state: State, name: str = "", *, is_access: bool = False) -> NameAnswer:
    return NameAnswer(state, name, "", is_access, at=0.0, until=60.0)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (
            answer("confirmed", "mx.example.com"),
            Reason("name:confirmed", 0.5, "its name is mx.example.com, which leads back to it"),
        ),
        (
            answer("confirmed", "dyn-1.example.com", is_access=True),
            Reason("name:access", -4.0, "its name dyn-1.example.com looks like that of an access line"),
        ),
        (
            answer("unconfirmed", "mx.example.com"),
            Reason("name:unconfirmed", -1.0, "its name mx.example.com does not lead back to it"),
        ),
        (
            answer("unconfirmed", "dyn-1.example.com", is_access=True),
            Reason("name:unconfirmed", -1.0, "its name dyn-1.example.com does not lead back to it"),
        ),
        (answer("unconfirmed"), Reason("name:unconfirmed", -1.0, "its name is not one that a host may have")),
        (answer("missing"), Reason("name:missing", -3.0, "it has no name")),
    ],
)
def test_a_name_is_one_reason(said: NameAnswer, reason: Reason) -> None:
    assert reason_of(said, POINTS, doubt=1.0) == (reason,)


def test_no_answer_is_no_evidence() -> None:
    assert reason_of(answer("no answer"), POINTS, doubt=1.0) == ()


def test_what_is_worth_nothing_is_no_reason() -> None:
    assert reason_of(answer("missing"), replace(POINTS, name_missing=0.0), doubt=1.0) == ()


def test_a_friend_of_ours_loses_nothing_by_its_name() -> None:
    (missing,) = reason_of(answer("missing"), POINTS, doubt=0.0)
    (confirmed,) = reason_of(answer("confirmed", "mx.example.com"), POINTS, doubt=0.0)

    assert (missing.points, confirmed.points) == (0.0, 0.5)
    assert missing.text == "it has no name; does not count, as we know good of it ourselves"


def test_a_long_name_is_told_by_its_end() -> None:
    (reason,) = reason_of(answer("confirmed", "x" * 60 + "." + "y" * 60 + ".example.com"), POINTS, doubt=1.0)

    assert len(reason.text) < 130
    assert ".example.com, which" in reason.text


@given(st.sampled_from(("confirmed", "unconfirmed", "missing", "no answer")), st.booleans(), st.floats(0, 1))
def test_a_name_is_at_most_one_reason_of_its_points(state: State, is_access: bool, doubt: float) -> None:
    reasons = reason_of(answer(state, "a.example", is_access=is_access), POINTS, doubt=doubt)

    assert all(-4.0 <= reason.points <= 0.5 for reason in reasons)
    assert len(reasons) == (state != "no answer")
