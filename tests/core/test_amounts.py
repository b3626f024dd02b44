"""What history knows is told in plain words, and no more than it knows."""

import pytest

from frontproxy.core.amounts import others_text, own_text
from frontproxy.core.history import unlearn
from frontproxy.core.level import Level
from tests.core.worlds import DAY, FORGETTING, START, TIMELESS, World


@pytest.mark.parametrize(
    ("n", "good", "bad", "text"),
    [
        (37.2, 8.4, 0, "about 37 good sessions"),
        (1.25, 1.25, 0, "about 1 good session"),
        (0.2, 0.2, 0, "good sessions worth less than one"),
        (12, 0, 9.1, "bad sessions worth about 12"),
        (0.3, 0, 0.3, "bad sessions worth less than one"),
        (37, 8.4, 1.0, "good and bad sessions worth about 37, of which 8.4 good and 1.0 bad still count"),
        (37, 8.4, 0.001, "good and bad sessions worth about 37, of which 8.4 good still count"),
        (37, 0.001, 8.4, "good and bad sessions worth about 37, of which 8.4 bad still count"),
        (37, 0.09, 0, "about 37 good sessions, nearly forgotten"),
        (37, 0, 0.09, "bad sessions worth about 37, nearly forgotten"),
        (37, 0.01, 0.02, "good and bad sessions worth about 37, nearly forgotten"),
        (1e6, 25, 0, "about 1000000 good sessions"),
    ],
)
def test_a_client_is_told_by_what_it_did_and_what_still_counts(n: float, good: float, bad: float, text: str) -> None:
    assert own_text(Level(START, n, good, bad), START, TIMELESS) == f"{text}, the last just now"


@pytest.mark.parametrize(
    ("days", "text"), [(0, "just now"), (1 / 24, "1 hour ago"), (13 / 24, "13 hours ago"), (2.5, "2 days ago")]
)
def test_the_last_session_is_told(days: float, text: str) -> None:
    assert own_text(Level(START, 3, 3, 0), START + days * DAY, FORGETTING) == f"about 3 good sessions, the last {text}"


@pytest.mark.parametrize(
    ("good", "bad", "text"),
    [
        (12.0, 0.0, "12.0 good sessions"),
        (0.0, 3.0, "3.0 bad sessions"),
        (8.4, 3.0, "8.4 good and 3.0 bad sessions"),
        (0.01, 0.04, "less than 0.1 sessions"),
    ],
)
def test_others_are_told_by_what_of_them_still_counts(good: float, bad: float, text: str) -> None:
    assert others_text((good, bad), "in its network") == f"other clients in its network still count as {text}"


def test_what_has_faded_was_there_all_the_same() -> None:
    """Bad sessions of long ago make that not all of them were good, however good the rest."""
    world = World()
    world.session("a", bad=4)
    world.days(1000)
    world.session("a", good=2)

    assert world.recollect("a").reasons[0].text.startswith("good and bad sessions worth about 6, of which 2.0 good ")


def test_bad_sessions_that_were_taken_back_are_told_no_more() -> None:
    world = World()
    world.session("a", good=2)
    world.session("a", bad=1.7)
    world.keep("a", unlearn(world.recall("a"), world.lesson, now=world.now, forgetting=FORGETTING))

    assert world.recollect("a").reasons[0].text == "about 2 good sessions, the last just now"
