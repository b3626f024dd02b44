"""What was seen of a client survives the journal: the same facts give the same points."""

from contextlib import suppress
from typing import Literal, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontproxy.core.address import client_of, network_of, pack
from frontproxy.core.census import Crowd
from frontproxy.core.hearsay import NOTHING_HEARD, Hearsay, ListAnswer, NameAnswer
from frontproxy.core.history import ClientRecord, Keys, KnownName, Recalled
from frontproxy.core.level import NOTHING, Forgetting, Level
from frontproxy.core.provider import ProviderRecord, Witness
from frontproxy.core.recollection import recollect
from frontproxy.core.seen import Seen
from frontproxy.memory.journal_facts import Rotten, pack_seen, unpack_seen

WALL = 1.7e9
FORGETTING = Forgetting(30 * 86400, 7 * 86400, 25, 4)
PACKED = pack("192.0.2.1")
KEYS = Keys(PACKED, PACKED[:3], 64500)
LEVEL = Level(WALL - 86400, 9.0, 7.5, 0.5)
SHARE = Level(WALL - 86400, 4.0, 2.0, 0.25)
NAME = KnownName("mx-01.example.com", "example.com", WALL + 3600)
WITNESSES = tuple(Witness(bytes([10, 0, 0, number]), WALL - number) for number in range(4))
CLIENT = ClientRecord(LEVEL, SHARE, SHARE, SHARE, 2.0, NAME, 64500)
KNOWN_IN_EVERY_WAY = Recalled(KEYS, NAME, CLIENT, LEVEL, ProviderRecord(LEVEL, WITNESSES), LEVEL)
CALM = Crowd(1, 1.0, returned=False)


def seen(
    recalled: Recalled = KNOWN_IN_EVERY_WAY,
    hearsay: Hearsay = NOTHING_HEARD,
    voting: frozenset[str] = frozenset(),
    crowd: Crowd = CALM,
    *,
    packed: bytes = PACKED,
    early: bool = False,
) -> Seen:
    return Seen(packed, WALL, 77.0, recalled, hearsay, voting, crowd, early)


def there_and_back(facts: Seen) -> Seen:
    return unpack_seen(facts.packed, facts.wall, pack_seen(facts))


@pytest.mark.parametrize(
    "recalled",
    [
        Recalled(KEYS),
        Recalled(Keys(PACKED, PACKED[:3], 0), network=LEVEL),
        KNOWN_IN_EVERY_WAY,
        KNOWN_IN_EVERY_WAY._replace(provider=None),
        KNOWN_IN_EVERY_WAY._replace(provider=ProviderRecord(LEVEL, WITNESSES[:2])),
        KNOWN_IN_EVERY_WAY._replace(name=None, provider=None),
        KNOWN_IN_EVERY_WAY._replace(client=CLIENT._replace(asn=64501)),  # its shares are of another ASN
        KNOWN_IN_EVERY_WAY._replace(client=CLIENT._replace(name=KnownName("mx.example.net", "example.net", WALL))),
        Recalled(KEYS, NAME, None, None, ProviderRecord(LEVEL, WITNESSES), LEVEL),
        Recalled(KEYS, None, ClientRecord(LEVEL), LEVEL),
    ],
)
def test_history_is_worth_the_same_points(recalled: Recalled) -> None:
    found = there_and_back(seen(recalled)).recalled

    assert found.keys == recalled.keys
    before, after = (recollect(one, now=WALL, forgetting=FORGETTING) for one in (recalled, found))
    assert after == before


def test_who_is_its_own_witness_does_not_count_for_itself() -> None:
    others = (*WITNESSES[:2], Witness(PACKED, WALL))
    found = there_and_back(seen(KNOWN_IN_EVERY_WAY._replace(provider=ProviderRecord(LEVEL, others)))).recalled

    assert found.provider
    assert not found.provider.counts_for(PACKED, WALL, FORGETTING)


def test_what_lists_said_survives_if_it_counted() -> None:
    lists = tuple(
        ListAnswer(zone, cast('Literal["listed", "not listed"]', state), codes, 1.0, 2.0)
        for zone, state, codes in [
            ("zen.example", "listed", ("127.0.0.2", "127.0.0.10")),
            ("silenced.example", "listed", ("127.0.0.2",)),
            ("quiet.example", "not listed", ()),
        ]
    )
    found = there_and_back(seen(hearsay=Hearsay(lists), voting=frozenset({"zen.example", "quiet.example"})))

    assert [(answer.zone, answer.codes) for answer in found.hearsay.lists] == [
        ("zen.example", ("127.0.0.2", "127.0.0.10"))
    ]
    assert found.voting == {"zen.example"}


@pytest.mark.parametrize("is_access", [False, True])
@pytest.mark.parametrize(
    ("state", "name", "domain"),
    [
        ("confirmed", "mx.example.com", "example.com"),
        ("confirmed", "host-7.example.net", ""),
        ("unconfirmed", "liar.example", ""),
        ("missing", "", ""),
    ],
)
def test_what_was_told_of_its_name_survives(
    state: Literal["confirmed", "unconfirmed", "missing"], name: str, domain: str, *, is_access: bool
) -> None:
    told = NameAnswer(state, name, domain, is_access, 1.0, 2.0)
    known = KnownName(name, domain, WALL) if state == "confirmed" else KnownName("", "", WALL)
    found = there_and_back(seen(Recalled(KEYS, known), Hearsay((), told)))

    assert found.hearsay.name == told._replace(at=WALL, until=WALL)
    assert found.recalled.name == known


def test_manners_and_the_crowd_survive() -> None:
    facts = seen(crowd=Crowd(12, 61.5, returned=True), early=True)

    assert there_and_back(facts).crowd == facts.crowd
    assert there_and_back(facts).early
    assert there_and_back(seen(crowd=Crowd(10**6, 0.0, returned=False))).crowd.open_sessions == 2**16 - 1


def test_a_client_known_in_every_way_takes_about_200_bytes_and_a_stranger_few() -> None:
    assert len(pack_seen(seen())) <= 200
    assert len(pack_seen(seen(Recalled(KEYS)))) <= 16


def test_what_nobody_can_have_seen_is_rotten() -> None:
    facts = seen(Recalled(KEYS, None, ClientRecord(Level(WALL, 1.0, 5.0, 0.0))))

    with pytest.raises(Rotten):
        there_and_back(facts)


@given(st.binary(max_size=300), st.sampled_from([PACKED, pack("2001:db8::1")]))
def test_any_octets_are_facts_or_rotten(octets: bytes, packed: bytes) -> None:
    try:
        facts = unpack_seen(packed, WALL, octets)
    except Rotten:
        return
    assert recollect(facts.recalled, now=WALL, forgetting=FORGETTING).points < 1000


@given(st.integers(0, 300), st.integers(0, 255))
def test_a_damaged_octet_is_survived(at: int, octet: int) -> None:
    data = bytearray(pack_seen(seen(hearsay=Hearsay((ListAnswer("a.example", "listed", ("127.0.0.2",), 0, 1),)))))
    data[at % len(data)] = octet
    with suppress(Rotten):
        unpack_seen(PACKED, WALL, bytes(data))


def levels() -> st.SearchStrategy[Level]:
    units = st.floats(0, 2000, width=32)
    return st.builds(
        lambda t, good, bad, more: Level(WALL - t, good + bad + more, good, bad),
        st.integers(0, 10**8),
        units,
        units,
        units,
    )


@given(
    levels(),
    st.one_of(st.none(), levels()),
    st.one_of(st.none(), levels()),
    st.sampled_from(["192.0.2.1", "2001:db8::1"]),
)
def test_no_score_changes_by_a_thousandth(own: Level, network: Level | None, asn: Level | None, text: str) -> None:
    packed = pack(text)
    keys = Keys(client_of(packed), network_of(packed), 64500)
    recalled = Recalled(keys, None, ClientRecord(own, NOTHING, NOTHING, NOTHING, 0.0, None, 64500), network, None, asn)
    found = there_and_back(seen(recalled, packed=packed)).recalled

    before, after = (recollect(one, now=WALL, forgetting=FORGETTING).points for one in (recalled, found))
    assert after == pytest.approx(before, abs=1e-3)
