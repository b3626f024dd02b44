"""A session that several feeds tell of counts once, by what they know of it together."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontproxy.core import retold
from frontproxy.core.outcome import Weight, weigh
from frontproxy.core.retold import TOLERANCE, Retold, Told, difference, merged
from frontproxy.wire.outcome_line import OutcomeLine

CLIENT, OTHER = b"\xc0\x00\x02\x01", b"\xc0\x00\x02\x02"
ENDED = 1.7e9
NOTHING = Weight(0.0, 0.0, "")


def told_of(**facts: Any) -> OutcomeLine:
    return OutcomeLine(**{"client": "192.0.2.1", "port": 4711, "ended": ENDED, "end": "quit", **facts})


counts = st.integers(0, 4)
lines = st.builds(
    told_of,
    end=st.sampled_from(["quit", "lost", "timeout", "errors"]),
    stage=st.sampled_from(["command", "data"]),
    messages=counts,
    refused=counts,
    relay=counts,
    content_refused=counts,
    bad_commands=counts,
    null_sender=st.booleans(),
    early=st.booleans(),
    http=st.booleans(),
)


def test_the_larger_count_and_what_is_true_stand() -> None:
    milter = told_of(recipients=2, messages=1, tls=True)
    log = told_of(ended=ENDED + 1, recipients=1, content_refused=3, null_sender=True)

    assert merged(milter, log) == told_of(recipients=2, messages=1, tls=True, content_refused=3, null_sender=True)


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [
        (("quit", "command"), ("lost", "data"), ("lost", "data")),
        (("timeout", "connect"), ("quit", "command"), ("timeout", "connect")),
        (("lost", "command"), ("timeout", "data"), ("lost", "command")),
        (("timeout", "command"), ("timeout", "data"), ("timeout", "data")),
        (("timeout", "data"), ("timeout", "command"), ("timeout", "data")),
        (("quit", "command"), ("quit", "command"), ("quit", "command")),
    ],
)
def test_an_end_that_is_no_quit_stands_with_its_stage(
    first: tuple[str, str], second: tuple[str, str], together: tuple[str, str]
) -> None:
    found = merged(*(told_of(end=end, stage=stage) for end, stage in (first, second)))

    assert (found.end, found.stage) == together


@given(lines, lines)
def test_what_was_told_already_adds_nothing(first: OutcomeLine, second: OutcomeLine) -> None:
    together = merged(first, second)

    assert merged(together, first) == merged(together, second) == together


@given(st.lists(lines, min_size=1, max_size=4))
def test_in_all_the_whole_is_taught_but_bad_is_never_taken_back(feeds: list[OutcomeLine]) -> None:
    weight = weigh(feeds[0])
    told = Told(feeds[0], weight)
    good, bad, most = weight.good, weight.bad, weight.bad
    for line in feeds[1:]:
        told, more = told.and_told(line, weigh)
        good += more.good - more.taken_back
        bad += more.bad
        most = max(most, weigh(told.line).bad)

    assert good == pytest.approx(weigh(told.line).good)
    assert bad == pytest.approx(most)


def test_what_counts_more_is_learned_and_good_that_counts_less_taken_back() -> None:
    before, now = Weight(1.0, 0.5, "1 message accepted"), Weight(0.25, 2.0, "refused")

    assert difference(before, now) == Weight(0.0, 1.5, "refused", taken_back=0.75)
    assert difference(now, before) == Weight(0.75, 0.0, "1 message accepted")
    assert difference(now, replace(now, good=0.25 + 1e-12)) == NOTHING


@pytest.mark.parametrize("later", [-TOLERANCE, -0.3, 0, 0.3, TOLERANCE])
def test_a_foreign_session_told_by_two_feeds_is_one(later: float) -> None:
    sessions, told = Retold(), Told(told_of(), NOTHING)
    assert sessions.find(CLIENT, told_of()) is None
    sessions.keep(CLIENT, told)

    assert sessions.find(CLIENT, told_of(ended=ENDED + later)) is told


@pytest.mark.parametrize(
    ("packed", "port", "ended"),
    [(OTHER, 4711, ENDED), (CLIENT, 4712, ENDED), (CLIENT, 4711, ENDED + TOLERANCE + 1)],
)
def test_another_foreign_session_is_not(packed: bytes, port: int, ended: float) -> None:
    sessions = Retold()
    sessions.keep(CLIENT, Told(told_of(), NOTHING))

    assert sessions.find(packed, told_of(port=port, ended=ended)) is None


def test_a_feed_that_knows_no_port_is_believed_each_time() -> None:
    sessions = Retold()
    sessions.keep(CLIENT, Told(told_of(port=0), NOTHING))

    assert sessions.find(CLIENT, told_of(port=0)) is None


def test_what_is_remembered_is_bounded_and_the_oldest_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retold, "REMEMBERED", 3)
    sessions = Retold()
    for port, later in ((1, 0), (2, 0), (3, 0), (1, 60), (4, 0)):
        sessions.keep(CLIENT, Told(told_of(port=port, ended=ENDED + later), NOTHING))

    known = [port for port in (1, 2, 3, 4) if sessions.find(CLIENT, told_of(port=port, ended=ENDED + 60 * (port == 1)))]
    assert known == [1, 3, 4]
