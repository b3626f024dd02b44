"""Questions and replies of the DNS in wire form; dnspython's own messages are the other side."""

import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rrset
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from frontproxy.lookup import dns_wire
from frontproxy.lookup.dns_wire import AAAA, CHAIN_LIMIT, CNAME, NAMES_LIMIT, PTR, RECORDS_LIMIT, A, Malformed, Reply
from tests.lookup.fake_dns import SOA, Query

NAME = "2.0.0.127.bl.example"
ASKED = dns_wire.question(NAME, A)
LISTED = b"\x7f\0\0\x02"


def query(name: str = NAME, kind: int = A) -> Query:
    """Our question as a name server sees it."""
    return Query(dns_wire.query(7, dns_wire.question(name, kind)), lambda _reply: None)


def read(message: bytes, kind: int = A) -> Reply:
    """What we make of a reply."""
    asked = dns_wire.question(NAME, kind)
    assert dns_wire.answers(message, asked)
    return dns_wire.read(message, asked)


def test_a_question_is_what_dnspython_would_ask() -> None:
    theirs = dns.message.make_query(NAME, "A", id=7)

    assert dns_wire.query(7, ASKED) == theirs.to_wire()
    assert dns_wire.number_of(theirs.to_wire()) == 7


@pytest.mark.parametrize("name", ["", ".", "a.", "a..b", "a" * 64, "a." * 127 + "b"])
def test_a_name_that_cannot_be_asked_for_is_refused(name: str) -> None:
    with pytest.raises(Malformed):
        dns_wire.question(name, A)


def test_the_longest_name_can_be_asked_for() -> None:
    name = "a." * 126 + "b"

    assert dns.message.from_wire(dns_wire.query(7, dns_wire.question(name, A))).question[0].name == dns.name.from_text(
        name
    )


def test_records_are_read_in_their_order() -> None:
    reply = b"".join([query().wire[:6], b"\0\2\0\0\0\0", ASKED, *[_record(code) for code in (9, 2)]])

    assert read(b"\0\7\x80\0" + reply[4:]) == Reply((b"\x7f\0\0\x09", LISTED), 60)


def _record(code: int) -> bytes:
    return b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x7f\0\0" + bytes([code])


def test_case_does_not_matter() -> None:
    reply = query().reply(f"{NAME}. 60 IN A 127.0.0.2").replace(b"\2bl\7example", b"\2BL\7eXample")

    assert read(reply) == Reply((LISTED,), 60)


def test_an_alias_is_followed_and_the_least_ttl_holds() -> None:
    reply = query().reply(
        f"{NAME}. 300 IN CNAME a.example.", "b.example. 50 IN A 127.0.0.2", "a.example. 200 IN CNAME B.example."
    )

    assert read(reply) == Reply((LISTED,), 50)


def test_an_alias_may_lead_nowhere() -> None:
    reply = query().reply(f"{NAME}. 30 IN CNAME a.example.", rcode="NXDOMAIN", authority=SOA)

    assert read(reply) == Reply((), 30)


def test_aliases_without_end_are_malformed() -> None:
    with pytest.raises(Malformed):
        read(query().reply(f"{NAME}. 1 IN CNAME a.example.", f"a.example. 1 IN CNAME {NAME}."))
    chain = [f"{number}.example. 1 IN CNAME {number + 1}.example." for number in range(CHAIN_LIMIT)]
    with pytest.raises(Malformed):
        read(query().reply(f"{NAME}. 1 IN CNAME 0.example.", *chain, f"{CHAIN_LIMIT}.example. 1 IN A 127.0.0.2"))


def test_records_of_others_are_left_alone() -> None:
    reply = query().reply(
        "other.example. 9 IN A 127.0.0.9", f"{NAME}. 9 IN TXT text", f"{NAME}. 9 CH A a. 1", authority=SOA
    )

    assert read(reply) == Reply((), 60)


@pytest.mark.parametrize(
    ("authority", "ttl"),
    [
        (SOA, 60),
        (SOA.replace(" 900 ", " 10 "), 10),
        (SOA.replace(" 60", " 4294967295"), 0),
        ("", 0),
        ("bl.example. 900 IN NS ns.example.", 0),
    ],
)
@pytest.mark.parametrize("rcode", ["NXDOMAIN", "NOERROR"])
def test_nothing_holds_as_long_as_the_soa_says(authority: str, ttl: int, rcode: str) -> None:
    assert read(query().reply(rcode=rcode, authority=authority)) == Reply((), ttl)


def test_a_ttl_beyond_all_is_none() -> None:
    reply = query().reply(f"{NAME}. 60 IN A 127.0.0.2").replace(b"\0\0\0\x3c", b"\xff\0\0\x3c")

    assert read(reply) == Reply((LISTED,), 0)


@pytest.mark.parametrize("rcode", ["SERVFAIL", "REFUSED", "NOTIMP", "FORMERR", "YXDOMAIN"])
def test_other_codes_are_errors(rcode: str) -> None:
    assert read(query().reply(f"{NAME}. 60 IN A 127.0.0.2", rcode=rcode)) == Reply(error=rcode)


def test_a_name_that_does_not_exist_has_no_records() -> None:
    with pytest.raises(Malformed):
        read(query().reply(f"{NAME}. 60 IN A 127.0.0.2", rcode="NXDOMAIN"))


def test_host_names_cannot_hide_dots() -> None:
    message = query(kind=PTR).reply(f"{NAME}. 60 IN PTR a\\.b.\\009c.Test.")

    assert read(message, PTR) == Reply(("a\\.b.\\009c.Test",), 60)


def test_addresses_of_version_6_are_read() -> None:
    message = query(kind=AAAA).reply(f"{NAME}. 60 IN AAAA 2001:db8::1")

    assert read(message, AAAA).records == (bytes.fromhex("20010db8000000000000000000000001"),)


def test_an_alias_may_be_asked_for() -> None:
    assert read(query(kind=CNAME).reply(f"{NAME}. 60 IN CNAME a.example."), CNAME).records == ("a.example",)


def test_no_more_than_so_many_records_are_read() -> None:
    many = [f"{NAME}. 60 IN A 127.0.{number >> 8}.{number & 255}" for number in range(RECORDS_LIMIT + 1)]
    message = query().reply(*many, authority=SOA)

    assert len(read(message).records) == RECORDS_LIMIT


def test_no_more_than_so_many_names_are_read() -> None:
    many = [f"{NAME}. 60 IN PTR host-{number}.example." for number in range(200)]

    assert len(read(query(kind=PTR).reply(*many), PTR).records) == NAMES_LIMIT - 1


def test_behind_so_many_records_no_soa_is_looked_for() -> None:
    soa = b"\xc0\x0c\0\6\0\1\0\0\0\x3c\0\x16" + bytes(21) + b"\x09"

    def with_others(count: int) -> bytes:
        others = b"".join(b"\1x\0" + _record(number)[2:] for number in range(count))
        return b"\0\7\x80\0\0\1" + bytes([0, count]) + b"\0\1\0\0" + ASKED + others + soa

    assert read(with_others(NAMES_LIMIT - 2)) == Reply((), 9)
    assert read(with_others(NAMES_LIMIT)) == Reply((), 0)


def test_a_truncated_reply_is_known() -> None:
    assert dns_wire.is_truncated(query().reply(truncated=True))
    assert not dns_wire.is_truncated(query().reply())


VALID = query().reply(
    f"{NAME}. 300 IN CNAME a.bl.example.", "a.bl.example. 50 IN A 127.0.0.2", "a.bl.example. 60 IN A 127.0.0.3"
)
NEGATIVE = query().reply(rcode="NXDOMAIN", authority=SOA)


@given(
    st.sampled_from([VALID, NEGATIVE]),
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=4),
    st.none() | st.integers(0, 200),
    st.binary(max_size=20),
)
def test_a_spoilt_reply_is_read_or_malformed(
    message: bytes, octets: list[tuple[int, int]], end: int | None, more: bytes
) -> None:
    spoilt = bytearray(message)
    for at, octet in octets:
        spoilt[at % len(spoilt)] = octet
    _is_harmless(bytes(spoilt[:end]) + more)


@given(st.binary(max_size=300))
@example(b"\xc0\x0c\0\1\0\1\0\0\0\1\xff\xff")
@example(b"\xc0\x0c\0\5\0\1\0\0\0\1\0\2\xc0\x0c")
def test_any_records_are_read_or_malformed(records: bytes) -> None:
    _is_harmless(b"\0\7\x80\0\0\1\0\5\0\5\0\0" + ASKED + records)


def _is_harmless(message: bytes) -> None:
    if not dns_wire.answers(message, ASKED):
        return
    dns_wire.is_truncated(message)
    try:
        reply = dns_wire.read(message, ASKED)
    except Malformed:
        return
    assert all(isinstance(address, bytes) and len(address) == 4 for address in reply.records)
    assert 0 <= reply.ttl < 2**31
    assert not (reply.error and reply.records)


@given(st.binary(max_size=300))
def test_any_datagram_can_be_looked_at(message: bytes) -> None:
    assert dns_wire.number_of(message) < 65536
    assert not dns_wire.answers(message, ASKED)
