"""What `score` tells of hearsay."""

from frontproxy.core.explained import hearsay_answer
from frontproxy.core.hearsay import NOTHING_HEARD, Hearsay, ListAnswer, NameAnswer
from frontproxy.core.verdict import Reason

NOW = 1000.0
LISTED = ListAnswer("bl.example", "listed", ("127.0.0.2",), at=940.0, until=1240.0)
SILENT = ListAnswer("dead.example", "no answer", (), at=990.0, until=1020.0, why="timeout")
NAMED = NameAnswer("confirmed", "mx.example.org", "example.org", is_access=False, at=900.0, until=4500.0)


def test_every_list_is_told_of_and_what_it_said_and_is_worth() -> None:
    answer = hearsay_answer(
        Hearsay((LISTED, SILENT)),
        ["bl.example", "dead.example", "new.example"],
        [Reason("dnslist:bl.example", -12.5, "")],
        silenced={"new.example": "its test is under way"},
        now=NOW,
    )

    assert answer["dnslists"] == [
        {
            "zone": "bl.example",
            "said": "listed",
            "codes": ["127.0.0.2"],
            "age": 60.0,
            "holds": 240.0,
            "points": -12.5,
            "vote": True,
            "why": None,
        },
        {
            "zone": "dead.example",
            "said": "no answer",
            "codes": [],
            "age": 10.0,
            "holds": 20.0,
            "points": 0.0,
            "vote": True,
            "why": "timeout",
        },
        {
            "zone": "new.example",
            "said": "not asked",
            "codes": [],
            "age": None,
            "holds": None,
            "points": 0.0,
            "vote": False,
            "why": "its test is under way",
        },
    ]
    assert answer["name"] is None


def test_a_name_is_told_of_with_its_domain() -> None:
    answer = hearsay_answer(Hearsay(name=NAMED), [], [Reason("name:confirmed", 0.5, "")], silenced={}, now=NOW)

    assert answer["name"] == {
        "said": "confirmed",
        "name": "mx.example.org",
        "domain": "example.org",
        "access": False,
        "age": 100.0,
        "holds": 3500.0,
        "points": 0.5,
        "why": None,
    }


def test_where_nothing_was_heard_nothing_is_claimed() -> None:
    assert hearsay_answer(NOTHING_HEARD, [], [], silenced={}, now=NOW) == {"dnslists": [], "name": None}
