"""Records survive the way to the disk, and what rots there says nothing."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontproxy.core.history import ClientRecord, KnownName
from frontproxy.core.level import NOTHING, Level
from frontproxy.core.provider import ProviderRecord, Witness
from frontproxy.memory.rows import CLIENT, HOST_AT, NETWORK, Record, Row, level_of, packed, provider_key, unpack

NOW = 1.7e9
KEY = CLIENT + b"\xc0\x00\x02\x01"
PROVIDER_KEY = provider_key(64500, "example.com")
NAME = KnownName("mx.example.com", "example.com", NOW + 3600)
SHARE = Level(NOW, 7.0, 3.0, 0.5)
RECORD = ClientRecord(Level(NOW, 9, 8.5, 0.25), SHARE, SHARE, SHARE, 2.5, NAME, 64500)
ROTTEN = [
    (NOW, 1e39, 1.0, 0.0),  # more than single precision holds
    (NOW, 2.0**41, 1.0, 0.0),
    (NOW, math.inf, 1.0, 0.0),
    (NOW, math.nan, 1.0, 0.0),
    (NOW, -1.0, 0.0, 0.0),
    (NOW, 1.0, 2.0, 0.0),
    (NOW, 1.0, 0.0, -1.0),
]


def levels() -> st.SearchStrategy[Level]:
    times = st.integers(0, 2**32 - 1).map(float)
    units = st.floats(0, 1e4, width=32)
    return st.tuples(times, units, units).map(lambda parts: Level(parts[0], parts[1] + parts[2], parts[1], parts[2]))


@pytest.mark.parametrize(
    ("key", "record"),
    [
        (KEY, RECORD),
        (KEY, RECORD._replace(name=KnownName("dsl-7.example.net", "", NOW), provider_share=NOTHING)),
        (KEY, RECORD._replace(name=None, provider_share=NOTHING)),
        (KEY, RECORD._replace(asn=2**32 - 1)),
        (KEY, ClientRecord()),
        (NETWORK + b"\xc0\x00\x02", Level(NOW, 4, 1, 3)),
        (PROVIDER_KEY, ProviderRecord(SHARE)),
        (PROVIDER_KEY, ProviderRecord(SHARE, (Witness(b"4444", NOW), Witness(b"88888888", NOW + 1)))),
    ],
)
def test_what_was_packed_is_unpacked(key: bytes, record: Record) -> None:
    assert unpack(packed(key, record)) == record


@given(levels(), levels(), levels(), levels(), st.floats(0, 20, width=32), st.booleans())
def test_shares_are_the_same_but_for_rounding(
    own: Level, network: Level, provider: Level, asn: Level, spent: float, named: bool
) -> None:
    record = ClientRecord(own, network, provider, asn, spent, NAME if named else None)
    found = unpack(packed(KEY, record))

    assert isinstance(found, ClientRecord)
    assert (found.own, found.name) == (own, record.name)
    assert found.spent == pytest.approx(spent, abs=0.0005)
    pairs = [(network, found.network_share), (asn, found.asn_share)]
    for share, kept in [*pairs, (provider if named else NOTHING, found.provider_share)]:
        assert (kept.t, kept.good, kept.bad) == (share.t, share.good, share.bad)
        assert kept.n == pytest.approx(share.n, rel=1e-7)


@pytest.mark.parametrize(("name", "domain"), [("", ""), ("x" * 256, ""), ("mx.example.com", "x" * 300)])
def test_a_name_that_is_none_or_too_long_is_not_kept(name: str, domain: str) -> None:
    found = unpack(packed(KEY, RECORD._replace(name=KnownName(name, domain, NOW))))

    assert isinstance(found, ClientRecord)
    assert found.name is None
    assert found.own == RECORD.own


@pytest.mark.parametrize(("t", "kept"), [(-1.0, 0.0), (math.nan, 0.0), (1e300, 2.0**32 - 1), (NOW + 0.9, NOW)])
def test_times_are_whole_seconds_within_four_bytes(t: float, kept: float) -> None:
    found = unpack(packed(KEY, RECORD._replace(own=Level(t, 1, 1, 0), name=NAME._replace(until=t))))

    assert isinstance(found, ClientRecord)
    assert found.own.t == kept
    assert found.name
    assert found.name.until == kept


@given(
    st.sampled_from([KEY, PROVIDER_KEY]),
    st.floats(),
    st.floats(),
    st.floats(),
    st.binary(max_size=120) | st.none(),
    st.binary(max_size=40) | st.none(),
)
def test_whatever_is_on_the_disk_unpacks_to_something_sane(
    key: bytes, n: float, good: float, bad: float, more: bytes | None, provider: bytes | None
) -> None:
    record = unpack((key, NOW, n, good, bad, more, provider))

    level = level_of(record)
    assert 0 <= level.good <= level.n <= 2**40
    assert packed(key, record)
    if isinstance(record, ClientRecord):
        assert 0 <= record.spent <= 20
        assert record.name is None or record.name.name.isprintable()
        assert record.name is None or record.name.name.endswith(record.name.domain)


@pytest.mark.parametrize(("t", "n", "good", "bad"), [*ROTTEN, (2.0**32, 1.0, 1.0, 0.0), (math.nan, 1.0, 1.0, 0.0)])
@pytest.mark.parametrize("key", [KEY, NETWORK + b"\xc0\x00\x02", PROVIDER_KEY])
def test_a_level_that_nobody_can_have_is_nothing(key: bytes, t: float, n: float, good: float, bad: float) -> None:
    assert level_of(unpack((key, t, n, good, bad, None, None))) == NOTHING


@pytest.mark.parametrize("rotten", [Level(*numbers) for numbers in ROTTEN])
def test_what_has_rotted_in_memory_is_written_as_nothing(rotten: Level) -> None:
    own = unpack(packed(KEY, RECORD._replace(own=rotten)))
    shares = unpack(packed(KEY, RECORD._replace(network_share=rotten, provider_share=rotten, asn_share=rotten)))

    assert own == RECORD._replace(own=NOTHING)
    assert shares == RECORD._replace(network_share=NOTHING, provider_share=NOTHING, asn_share=NOTHING)


@pytest.mark.parametrize("spent", [-1.0, 1e39, 21.0, math.inf, math.nan])
def test_what_nobody_can_have_spent_is_nothing(spent: float) -> None:
    found = unpack(packed(KEY, RECORD._replace(spent=spent)))

    assert found == RECORD._replace(spent=0.0)


@pytest.mark.parametrize("provider", [b"", b"p", b"p\0\0\xfb\xf4\xff", b"p\0\0\xfb\xf4\n"])
def test_a_provider_that_rotted_gives_no_domain(provider: bytes) -> None:
    found = unpack((*packed(KEY, RECORD)[:6], provider))

    assert isinstance(found, ClientRecord)
    assert found.own == RECORD.own
    assert found.name is None or not found.name.domain


def test_a_row_cut_short_keeps_what_is_whole() -> None:
    key, t, n, good, bad, more, provider = packed(KEY, RECORD)
    assert more

    def cut(length: int, named: bytes | None = provider) -> Row:
        return key, t, n, good, bad, more[:length], named

    assert unpack(cut(10)) == ClientRecord(RECORD.own)
    assert unpack(cut(33)) == ClientRecord(RECORD.own)
    nameless = RECORD._replace(name=None, provider_share=NOTHING)
    for length in range(34, HOST_AT):
        found = unpack(cut(length))
        assert isinstance(found, ClientRecord)
        assert found._replace(asn=64500) == nameless
    found = unpack(cut(HOST_AT))
    assert isinstance(found, ClientRecord)
    assert found.name == NAME._replace(name=NAME.domain)
