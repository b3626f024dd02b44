"""The line of look-ups: bounded, fair, and nobody is lost in it."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from frontproxy.lookup.line import Line


def test_places_and_shares_are_kept() -> None:
    line: Line[str] = Line(places=3, share=2, waiting=2)

    assert [line.take(subject) for subject in "aaabc"] == [True, True, False, True, False]
    assert line.wait("a", "a3")
    assert line.wait("c", "c1")
    assert not line.wait("c", "c2")
    assert len(line) == 3


def test_who_waits_gets_the_place_of_who_leaves() -> None:
    line: Line[str] = Line(places=2, share=1, waiting=9)
    line.take("a")
    line.take("b")
    for one in ("a2", "a3", "c1"):
        line.wait(one[0], one)

    assert line.leave("b") == "c1", "a has its share"
    assert line.leave("a") == "a2"
    assert not line.take("a")
    assert line.leave("a") == "a3"
    assert line.leave("a") is None
    assert line.take("b")


def test_subjects_take_turns() -> None:
    line: Line[str] = Line(places=1, share=1, waiting=9)
    line.take("x")
    for one in ("a1", "a2", "a3", "b1", "b2"):
        line.wait(one[0], one)
    served = []
    one = "x"
    while follower := line.leave(one[0]):
        one = follower
        served.append(one)

    assert served == ["a1", "b1", "a2", "b2", "a3"]


@given(st.lists(st.sampled_from("abc")), st.integers(1, 4), st.integers(1, 4), st.integers(0, 5))
def test_all_that_came_in_are_served_once(subjects: list[str], places: int, share: int, waiting: int) -> None:
    line: Line[str] = Line(places=places, share=share, waiting=waiting)
    holding: list[str] = []
    accepted = 0
    for subject in subjects:
        if line.take(subject):
            holding.append(subject)
            accepted += 1
        else:
            accepted += line.wait(subject, subject)
    served = 0
    while holding:
        assert len(line) == len(holding) <= places
        assert all(number <= share for number in Counter(holding).values())
        served += 1
        if follower := line.leave(holding.pop(0)):
            holding.append(follower)

    assert served == accepted
    assert len(line) == 0
