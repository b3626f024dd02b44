"""Who goes where instead: counted by how many sessions each recorded one stands for."""

import pytest

from frontproxy.core.verdict import Reason, Route, Verdict
from frontproxy.memory.journal_rows import UNTOLD, End, Entry, entry_of
from frontproxy.preview import changes as module
from frontproxy.preview.changes import Changes, Sessions, kind_of
from tests.memory.journals import WALL, session

POOLS = ("nice", "hostile")
GOOD, BAD = End("quit", 1.0, 0.0, 1), End("quit", 0.0, 2.0)


def entry(address: str = "192.0.2.1", *, score: float = 0.0, stands_for: float = 1, end: End = UNTOLD) -> Entry:
    found = entry_of(session(address, score=score).verdict, "nice" if score >= 5 else "hostile", stands_for)
    assert found
    return found._replace(end=end)


def observed(address: str = "192.0.2.1", *, would: str = "hostile", end: End = UNTOLD) -> Entry:
    """A session in observe mode, which was sent to the first pool whatever the rules said."""
    return entry(address, end=end)._replace(pool="nice", route="nice", would=would)


def verdict(route: str, score: float = 0.0) -> Verdict:
    reasons = (Reason("history", score, ""),) if score else ()
    return Verdict("", score, reasons, Route(pool=route) if route in POOLS else Route(reply=route), settled=False)


def test_sessions_are_counted_by_what_they_stand_for_and_how_they_ended() -> None:
    changes = Changes(POOLS)
    changes.note(entry(stands_for=10, end=GOOD), verdict("nice", 6.0))
    changes.note(entry(stands_for=5, end=BAD), verdict("nice", 6.0))
    changes.note(entry(stands_for=2), verdict("421 later"))
    changes.note(entry(score=9.0, end=GOOD), verdict("nice", 9.0))

    assert changes.changed() == [("hostile", "nice", Sessions(10, 5, 0)), ("hostile", "421 later", Sessions(0, 0, 2))]
    assert changes.total() == Sessions(11, 5, 2)
    assert changes.went_to("nice") == Sessions(1, 0, 0)
    assert changes.would_go_to("nice") == Sessions(11, 5, 0)


def test_what_was_observed_went_to_the_first_pool_and_now_goes_where_the_rules_send_it() -> None:
    changes = Changes(POOLS)
    changes.note(observed(end=GOOD), verdict("hostile"))
    changes.note(observed("192.0.2.2", end=BAD), verdict("hostile"))
    changes.note(observed("192.0.2.3", would="421 later", end=BAD), verdict("421 later", -20.0))
    changes.note(observed("192.0.2.4", would="nice", end=GOOD), verdict("nice", 9.0))

    assert changes.changed() == [("nice", "hostile", Sessions(1, 1, 0)), ("nice", "421 later", Sessions(0, 1, 0))]
    assert (changes.went_to("nice"), changes.would_go_to("nice")) == (Sessions(2, 2, 0), Sessions(1, 0, 0))
    assert changes.turned_away == Sessions(0, 1, 0)
    assert changes.observed == 4
    assert [one.client for one in changes.worse()] == ["192.0.2.3", "192.0.2.1", "192.0.2.2"]


def test_the_mode_of_the_new_configuration_changes_nothing() -> None:
    changes = Changes(POOLS)
    changes.note(observed(), verdict("nice")._replace(would=Route(pool="hostile")))

    assert changes.changed() == [("nice", "hostile", Sessions(0, 0, 1))]


def test_of_clients_whose_score_stays_those_with_good_sessions_come_first_with_all_reasons() -> None:
    changes = Changes(POOLS)
    changes.note(observed("192.0.2.1")._replace(stands_for=9, score=2.00004, reasons="history:2.0"), verdict("nice"))
    for number, end in ((2, BAD), (2, BAD), (2, BAD), (3, GOOD), (3, BAD), (4, UNTOLD)):
        found = observed(f"192.0.2.{number}", end=end)._replace(score=2 + number / 1e6, reasons="history:2.0")
        changes.note(found, verdict("hostile", 2.0))

    assert [(one.client, one.sessions, one.good) for one in changes.worse()] == [
        ("192.0.2.3", 2, 1),
        ("192.0.2.2", 3, 0),
        ("192.0.2.4", 1, 0),
    ]
    assert changes.worse()[0].reasons == ("history:2.0",)


@pytest.mark.parametrize(
    ("end", "kind"),
    [
        (GOOD, "good"),
        (BAD, "bad"),
        (End("lost", 0.5, 0.5), "bad"),
        (End("quit", 1.0, 0.3), "good"),
        (End("quit"), "unknown"),
        (End("refused"), "unknown"),
    ],
)
def test_a_session_was_what_its_outcome_counted_more(end: End, kind: str) -> None:
    assert kind_of(entry(end=end)) == kind


def test_the_clients_most_affected_come_first_with_what_has_changed() -> None:
    changes = Changes(POOLS)
    changes.note(entry("192.0.2.1"), verdict("nice", 6.0))
    changes.note(entry("192.0.2.2"), verdict("nice", 8.0))
    changes.note(entry("192.0.2.2", stands_for=3), verdict("nice", 8.0))
    changes.note(entry("192.0.2.3", score=9.0), verdict("hostile", 2.0))
    changes.note(entry("192.0.2.4", score=9.0), verdict("421 later", -20.0))
    changes.note(entry("192.0.2.5", score=9.0), verdict("nice", 5.0))

    assert [(one.client, one.sessions) for one in changes.better()] == [("192.0.2.2", 4), ("192.0.2.1", 1)]
    assert [one.client for one in changes.worse()] == ["192.0.2.4", "192.0.2.3"]
    assert changes.worse()[1].reasons == ("-history:9.0", "+history:2.0")
    assert (changes.worse()[1].score, changes.worse()[1].score_after) == (9.0, 2.0)


def test_the_clients_that_are_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CLIENTS_KEPT", 3)
    changes = Changes(POOLS)
    for number in range(5):
        changes.note(entry(f"192.0.2.{number}"), verdict("nice", 6.0))

    assert len(changes.better()) == 3
    assert changes.total().unknown == 5


def test_the_span_of_time_is_told() -> None:
    changes = Changes(POOLS)
    for step in (5, 0, 9):
        found = entry()
        changes.note(found._replace(seen=found.seen._replace(wall=WALL + step)), verdict("hostile"))

    assert (changes.first, changes.last) == (WALL, WALL + 9)
