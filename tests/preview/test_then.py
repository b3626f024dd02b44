"""A recorded session is judged as it was, and under another configuration as that says."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from frontproxy.core.address import pack
from frontproxy.core.census import Crowd
from frontproxy.core.hearsay import NOTHING_HEARD, Hearsay, ListAnswer, NameAnswer
from frontproxy.core.history import ClientRecord, Keys, KnownName, Recalled
from frontproxy.core.level import NOTHING, Level
from frontproxy.core.provider import ProviderRecord, Witness
from frontproxy.core.seen import Seen
from frontproxy.core.verdict import Verdict
from frontproxy.memory.journal_rows import Entry, entry_from, entry_of, entry_row
from frontproxy.preview.then import Then
from tests.houses import FOE, FRIEND, LISTS, STRANGER, House, house, outcome, setup_of

__all__ = ["house"]

WALL = 1.7e9
LISTED = """
[[dnslist]]
zone = "zen.example"
replies = { "127.0.0.2" = -10 }
"""
LEVEL = Level(WALL - 3600, 6.0, 6.0, 0.0)
NAME = KnownName("mx.example.com", "example.com", WALL + 60)
PACKED = pack("203.0.113.9")
PROVIDER = ProviderRecord(Level(WALL, 20.0, 18.0, 0.0), tuple(Witness(bytes([one]), WALL) for one in range(4)))
CLIENT = ClientRecord(LEVEL, name=NAME)
CALM = Crowd(1, 1.0, returned=False)
RECALLED = Recalled(Keys(PACKED, PACKED[:3], 0), NAME, CLIENT, LEVEL, PROVIDER)


def entry(
    recalled: Recalled = RECALLED,
    *,
    hearsay: Hearsay = NOTHING_HEARD,
    crowd: Crowd = CALM,
    route: str = "hostile",
    pinned: bool = False,
    stress: tuple[str, ...] = (),
) -> Entry:
    voting = frozenset(answer.zone for answer in hearsay.lists)
    seen = Seen(PACKED, WALL, WALL, recalled, hearsay, voting, crowd, early=False)
    return Entry(1, route, route, "", 0.0, pinned, stress, "", seen)


@pytest.fixture
def judged(tmp_path: Path) -> Callable[..., Verdict]:
    """The verdict on an entry under a configuration with such text."""

    def judge(text: str, recorded: Entry) -> Verdict:
        return Then(setup_of(tmp_path, text)).judge(recorded)

    return judge


def points(verdict: Verdict) -> dict[str, float]:
    return {reason.name: reason.points for reason in verdict.reasons}


@pytest.mark.parametrize("client", [FRIEND, FOE, STRANGER, "203.0.113.9", "2001:db8::1"])
def test_the_same_configuration_gives_the_same_verdict(house: House, client: str) -> None:
    for _session in range(3):
        given = house.given(client)
        house.smtpds[given.pool].take()
        house.outcomes.hear(outcome(given, messages=1))
    given = house.given(client)
    recorded = entry_of(given.session.verdict, given.pool, 1)
    assert recorded

    again = Then(house.proxy.setup).judge(entry_from((1, *entry_row(recorded))))

    before = given.session.verdict
    assert again.score == pytest.approx(before.score, abs=1e-4)
    assert again._replace(score=0, reasons=(), seen=None) == before._replace(score=0, reasons=(), seen=None)
    assert [(one.name, one.text) for one in again.reasons] == [(one.name, one.text) for one in before.reasons]


def test_new_points_and_new_lists_count(judged: Callable[..., Verdict]) -> None:
    returned = entry(Recalled(RECALLED.keys), crowd=Crowd(1, 1.0, returned=True))

    assert judged("", returned).score == 3
    assert judged("[points]\nreturned = 4\n", returned).score == 4
    listed = '[[list]]\nname = "partners"\nkind = "points"\nnetworks = ["203.0.113.0/24"]\npoints = 20\n'
    assert judged(listed, returned).route.pool == "nice"


def test_what_a_dns_list_said_counts_if_the_configuration_asks_it(judged: Callable[..., Verdict]) -> None:
    listed = entry(
        Recalled(RECALLED.keys), hearsay=Hearsay((ListAnswer("zen.example", "listed", ("127.0.0.2",), WALL, WALL),))
    )

    assert judged(LISTED, listed).score == -10
    assert judged("", listed).score == 0


def test_names_count_if_the_configuration_wants_them(judged: Callable[..., Verdict]) -> None:
    nameless = entry(
        Recalled(RECALLED.keys),
        hearsay=Hearsay((), NameAnswer("missing", "", "", is_access=False, at=WALL, until=WALL)),
    )

    assert points(judged("", nameless)) == {"name:missing": -3}
    assert judged("[dns]\nnames = false\n", nameless).score == 0


def test_a_domain_that_has_become_generic_is_no_provider(judged: Callable[..., Verdict]) -> None:
    assert "provider" in points(judged("", entry()))
    assert "provider" not in points(judged('[dns]\ngeneric = ["example.com"]\n', entry()))


def test_another_asn_has_no_history(judged: Callable[..., Verdict]) -> None:
    """The databases of the new configuration do not know the ASN that was recorded."""
    elsewhere = RECALLED._replace(keys=RECALLED.keys._replace(asn=64500), provider=PROVIDER, asn=LEVEL, network=None)

    assert points(judged("", entry(elsewhere))).keys() == {"history"}


def test_a_pin_holds_if_its_pool_is_there(judged: Callable[..., Verdict]) -> None:
    stranger = Recalled(RECALLED.keys)

    assert judged("", entry(stranger, route="nice", pinned=True)).route.pool == "nice"
    assert judged("", entry(stranger, route="gone", pinned=True)).route.pool == "hostile"
    observed = entry(stranger, route="nice", pinned=True)._replace(would="hostile")
    assert judged("", observed).route.pool == "hostile"


def test_stress_is_as_it_was(judged: Callable[..., Verdict]) -> None:
    foe = Recalled(RECALLED.keys, None, ClientRecord(Level(WALL, 40.0, 0.0, 30.0)), NOTHING)

    assert judged("", entry(foe, stress=("nice", "gone"))).route.reply.startswith("421")
    assert judged("", entry(foe, stress=("gone",))).route.pool == "hostile"
    assert judged("", entry(foe)).route.pool == "hostile"


def test_in_observe_mode_the_rules_are_asked(judged: Callable[..., Verdict]) -> None:
    would = judged(f'mode = "observe"\n{LISTS}', entry()).would

    assert would
    assert would.pool == "nice"


def test_judging_again_takes_its_time_from_the_record(judged: Callable[..., Verdict]) -> None:
    """The record is three years old by now; its evidence is not."""
    assert time.time() - WALL > 86400
    assert points(judged("", entry()))["history"] > 3
