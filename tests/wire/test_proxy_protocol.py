"""The PROXY protocol: the octets of the specification, and whatever comes in pieces or as garbage is never misread."""

import struct
from ipaddress import IPv4Address, IPv6Address
from socket import AF_INET6, inet_ntop

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontproxy.wire.proxy_protocol import (
    POOL,
    RECEIVED_LIMIT,
    SCORE,
    SENT_LIMIT,
    UNIQUE_ID,
    Endpoint,
    Header,
    ProxyHeaderError,
    encode_v1,
    encode_v2,
    parse,
)

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V1 = b"PROXY TCP4 192.0.2.1 198.51.100.25 4711 25\r\n"
V2 = SIGNATURE + b"\x21\x11\x00\x0c" + bytes([192, 0, 2, 1, 198, 51, 100, 25]) + b"\x12\x67\x00\x19"
SOURCE, DESTINATION = ("192.0.2.1", 4711), ("198.51.100.25", 25)
TOLD = (SOURCE, DESTINATION)


def is_no_ipv4(address: str) -> bool:
    """It is not an IPv4 address in IPv6 clothes."""
    return IPv6Address(address).ipv4_mapped is None


_ports = st.integers(0, 65535)
_ipv4 = st.tuples(st.ip_addresses(v=4).map(str), _ports)
_packed = st.binary(min_size=16, max_size=16) | st.integers(0, 2**64).map(lambda value: value.to_bytes(16, "big"))
_ipv6 = st.tuples(_packed.map(lambda packed: inet_ntop(AF_INET6, packed)).filter(is_no_ipv4), _ports)
_endpoints = _ipv4 | _ipv6
_tlvs = st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=40)), max_size=8)
_headers = st.builds(encode_v1, _endpoints, _endpoints) | st.builds(encode_v2, _endpoints, _endpoints, _tlvs)


def v2(command: int, family: int, block: bytes) -> bytes:
    """A header of version 2, of whatever may stand in it."""
    return SIGNATURE + struct.pack("!BBH", command, family, len(block)) + block


_v2_garbage = st.builds(
    v2, st.sampled_from([0x20, 0x21, 0x22, 0x31]), st.sampled_from([0, 0x11, 0x21, 0x31, 0x12]), st.binary(max_size=60)
)
_words = st.sampled_from(
    [b"PROXY ", b"TCP4 ", b"TCP6 ", b"UNKNOWN", b" ", b"1.2.3.4 ", b"::1 ", b"25 ", b"25", b"\r", b"\n", b"\r\n", b"\0"]
)
_pieces = _words | st.sampled_from([V1, V2, V1[:-1], V2[:-1], SIGNATURE, b"x" * 110]) | st.binary(max_size=5)
_garbage = st.binary(max_size=200) | _v2_garbage | st.lists(_pieces, max_size=12).map(b"".join)


def told(data: bytes) -> Header | str | None:
    try:
        return parse(data)
    except ProxyHeaderError as error:
        return str(error)


@pytest.mark.parametrize(
    ("source", "destination", "line"),
    [
        (SOURCE, DESTINATION, V1),
        (("::ffff:192.0.2.1", 4711), DESTINATION, V1),
        (("2001:DB8:0::1", 1), ("2001:db8::25", 25), b"PROXY TCP6 2001:db8::1 2001:db8::25 1 25\r\n"),
        (SOURCE, ("2001:db8::25", 25), b"PROXY TCP6 ::ffff:192.0.2.1 2001:db8::25 4711 25\r\n"),
        (("2001:db8::1", 1), DESTINATION, b"PROXY TCP6 2001:db8::1 ::ffff:198.51.100.25 1 25\r\n"),
        (("fe80::1%eth0", 1), ("fe80::2", 25), b"PROXY TCP6 fe80::1 fe80::2 1 25\r\n"),
    ],
)
def test_version_1_is_one_line(source: Endpoint, destination: Endpoint, line: bytes) -> None:
    assert encode_v1(source, destination) == line


def test_version_2_has_the_octets_of_the_specification() -> None:
    assert encode_v2(SOURCE, DESTINATION) == V2
    assert encode_v2(SOURCE, DESTINATION, [(UNIQUE_ID, b"id"), (SCORE, b"-1.5"), (POOL, b"nice")]) == (
        V2.replace(b"\x00\x0c", b"\x00\x1f") + b"\x05\x00\x02id" + b"\xe0\x00\x04-1.5" + b"\xe1\x00\x04nice"
    )


def test_two_families_become_ipv6_in_version_2() -> None:
    block = encode_v2(SOURCE, ("2001:db8::25", 25))[12:]

    assert block[:4] == b"\x21\x21\x00\x24"
    assert block[4:20] == IPv6Address("::ffff:192.0.2.1").packed
    assert block[20:36] == IPv6Address("2001:db8::25").packed


@given(_endpoints, _endpoints, _tlvs)
def test_what_was_sent_is_what_arrives(source: Endpoint, destination: Endpoint, tlvs: list[tuple[int, bytes]]) -> None:
    for header in (encode_v1(source, destination), encode_v2(source, destination, tlvs)):
        assert parse(header + b"EHLO client\r\n") == Header(source, destination, len(header))


@given(_headers)
def test_no_prefix_of_a_header_is_a_header_or_a_mistake(header: bytes) -> None:
    assert {parse(header[:cut]) for cut in range(len(header))} == {None}


@given(_headers)
def test_a_header_of_ours_fits_into_what_postfix_looks_at(header: bytes) -> None:
    assert len(header) <= SENT_LIMIT


@given(_garbage, st.data())
def test_what_a_prefix_has_told_is_never_taken_back(garbage: bytes, data: st.DataObject) -> None:
    early = told(garbage[: data.draw(st.integers(0, len(garbage)))])

    assert early is None or early == told(garbage) or (isinstance(early, str) and isinstance(told(garbage), str))


@given(_garbage)
def test_what_is_read_as_a_header_has_valid_addresses_and_lies_within_the_octets(garbage: bytes) -> None:
    header = told(garbage)

    if isinstance(header, Header):
        assert 0 < header.length <= len(garbage)
        for endpoint in (header.source, header.destination):
            if endpoint is not None:
                address, port = endpoint
                assert (IPv6Address if ":" in address else IPv4Address)(address)
                assert 0 <= port <= 65535


@pytest.mark.parametrize(
    ("data", "source", "destination"),
    [
        (b"PROXY TCP4 255.255.255.255 0.0.0.0 65535 0\r\n", ("255.255.255.255", 65535), ("0.0.0.0", 0)),
        (b"PROXY TCP6 2001:DB8::1 ::1 1 25\r\n", ("2001:db8::1", 1), ("::1", 25)),
        (b"PROXY TCP6 ::ffff:192.0.2.1 2001:db8::25 1 25\r\n", ("192.0.2.1", 1), ("2001:db8::25", 25)),
        (b"PROXY TCP6" + b" ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" * 2 + b" 65535 65535\r\n",)
        + (("ffff:" * 7 + "ffff", 65535),) * 2,
        (
            v2(0x21, 0x21, IPv6Address("::ffff:192.0.2.1").packed + bytes(15) + b"\1\0\1\0\x19"),
            ("192.0.2.1", 1),
            ("::1", 25),
        ),
        (v2(0x21, 0x11, V2[16:] + b"\x04\x00\x00" + b"\x03\x00\x04abcd"), *TOLD),
        (v2(0x21, 0x11, V2[16:] + b"\xee\x0f\xe1" + bytes(RECEIVED_LIMIT - 16 - 12 - 3)), *TOLD),
    ],
)
def test_headers_that_others_may_send(data: bytes, source: Endpoint, destination: Endpoint) -> None:
    assert parse(data) == Header(source, destination, len(data))


@pytest.mark.parametrize(
    "data",
    [
        b"PROXY UNKNOWN\r\n",
        b"PROXY UNKNOWN ffff::1 whatever \xff\r\r\n",
        b"PROXY UNKNOWN " + b"x" * 91 + b"\r\n",
        v2(0x20, 0x00, b""),
        v2(0x20, 0x11, b""),
        v2(0x20, 0xFF, b"what stands here is skipped"),
        v2(0x21, 0x00, b""),
        v2(0x21, 0x00, b"what stands here is skipped"),
    ],
)
def test_a_proxy_that_speaks_for_itself_tells_no_client(data: bytes) -> None:
    assert parse(data + b"EHLO") == Header(None, None, len(data))
    assert {parse(data[:cut]) for cut in range(len(data))} == {None}


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"E", "no PROXY header but b'E'"),
        (b"proxy TCP4 ", "no PROXY header but b'proxy TCP4 '"),
        (b"PROXY TCP5", "no PROXY header but b'PROXY TCP5'"),
        (b"PROXY  TCP4", "no PROXY header but b'PROXY  TCP4'"),
        (b"PROXY UNKNOWNS", "no PROXY header but b'PROXY UNKNOWNS'"),
        (b"\r\n\r\n\0\r\nQUIT\r", r"no PROXY header but b'\r\n\r\n\x00\r\nQUIT\r'"),
        (b"\r\n\r\nEHLO", r"no PROXY header but b'\r\n\r\nEHLO'"),
        (b"PROXY TCP4 1.2.3.4\n", "a line feed within the header's line"),
        (b"PROXY TCP4 " + b"1" * 96, "no end of line in 107 octets"),
        (b"PROXY TCP4 " + b"1" * 95 + b"\r\n", "no end of line in 107 octets"),
        (V1.replace(b" 25\r", b"\r"), "not two addresses and two ports: b'192.0.2.1 198.51.100.25 4711'"),
        (V1.replace(b"25\r", b"25 \r"), "not two addresses and two ports: b'192.0.2.1 198.51.100.25 4711 25 '"),
        (V1.replace(b" 4711", b"  4711"), "not two addresses and two ports: b'192.0.2.1 198.51.100.25  4711 25'"),
        (V1.replace(b"4711", b"0471"), "b'0471' is not a port"),
        (V1.replace(b"4711", b"65536"), "b'65536' is not a port"),
        (V1.replace(b"4711", b"+471"), "b'+471' is not a port"),
        (V1.replace(b"4711", b""), "b'' is not a port"),
        (V1.replace(b"4711", b"00"), "b'00' is not a port"),
        (V1.replace(b"4711", b"\xb2"), r"b'\xb2' is not a port"),
        (V1.replace(b"192.0.2.1", b"192.0.2.01"), "b'192.0.2.01' is not an address of the family it is said to be"),
        (V1.replace(b"192.0.2.1", b"192.0.2"), "b'192.0.2' is not an address of the family it is said to be"),
        (V1.replace(b"192.0.2.1", b"2001:db8::1"), "b'2001:db8::1' is not an address of the family it is said to be"),
        (V1.replace(b"192.0.2.1", b"1.2.3.4\0"), r"b'1.2.3.4\x00' is not an address of the family it is said to be"),
        (V1.replace(b"TCP4", b"TCP6"), "b'192.0.2.1' is not an address of the family it is said to be"),
        (b"PROXY TCP6 fe80::1%lo ::1 1 25\r\n", "b'fe80::1%lo' is not an address of the family it is said to be"),
        (b"PROXY TCP6 ::1 \xff 1 25\r\n", r"b'\xff' is not an address of the family it is said to be"),
        (SIGNATURE + b"\x11", "version and command 0x11 are unknown"),
        (SIGNATURE + b"\x22", "version and command 0x22 are unknown"),
        (SIGNATURE + b"\x21\x01", "address family and protocol 0x01 are not TCP"),
        (SIGNATURE + b"\x21\x10", "address family and protocol 0x10 are not TCP"),
        (SIGNATURE + b"\x21\x12", "address family and protocol 0x12 are not TCP"),
        (SIGNATURE + b"\x21\x22", "address family and protocol 0x22 are not TCP"),
        (SIGNATURE + b"\x21\x31", "address family and protocol 0x31 are not TCP"),
        (SIGNATURE + b"\x21\x32", "address family and protocol 0x32 are not TCP"),
        (SIGNATURE + b"\x21\x41", "address family and protocol 0x41 are not TCP"),
        (SIGNATURE + b"\x21\x11\x00\x0b", "no room for the addresses in 27 octets"),
        (SIGNATURE + b"\x21\x21\x00\x23", "no room for the addresses in 51 octets"),
        (SIGNATURE + b"\x21\x11\x0f\xf1", "the header has 4097 octets, more than 4096"),
        (SIGNATURE + b"\x20\x00\xff\xff", "the header has 65551 octets, more than 4096"),
        (v2(0x21, 0x11, V2[16:] + b"\x05\x00"), "a TLV without its length"),
        (v2(0x21, 0x11, V2[16:] + b"\x05\x00\x02a"), "TLV 0x05 is longer than the header"),
        (v2(0x21, 0x11, V2[16:] + b"\x05\x00\x01ab"), "a TLV without its length"),
    ],
)
def test_octets_that_cannot_become_a_header_are_refused(data: bytes, why: str) -> None:
    assert told(data) == why


@pytest.mark.parametrize(
    ("source", "tlvs", "why"),
    [
        (("", 1), [], "'' is not an IPv4 or IPv6 address"),
        (("mx.example.com", 1), [], "'mx.example.com' is not an IPv4 or IPv6 address"),
        (("192.0.2.1\r\n", 1), [], r"'192.0.2.1\r\n' is not an IPv4 or IPv6 address"),
        (("192.0.2.1\0", 1), [], r"'192.0.2.1\x00' is not an IPv4 or IPv6 address"),
        (("\ud800", 1), [], r"'\ud800' is not an IPv4 or IPv6 address"),
        (("192.0.2.1", -1), [], "-1 is not a port"),
        (("192.0.2.1", 65536), [], "65536 is not a port"),
        (SOURCE, [(UNIQUE_ID, b"x" * 70_000)], "TLV 0x05 has 70000 octets"),
        (SOURCE, [(UNIQUE_ID, b"x" * 300), (POOL, b"y" * 203)], "the header has 537 octets, more than 536"),
    ],
)
def test_what_the_other_side_could_not_read_is_not_sent(
    source: Endpoint, tlvs: list[tuple[int, bytes]], why: str
) -> None:
    with pytest.raises(ProxyHeaderError) as error:
        encode_v2(source, DESTINATION, tlvs)
    assert str(error.value) == why


def test_the_longest_header_that_is_sent_can_be_read() -> None:
    header = encode_v2(SOURCE, DESTINATION, [(UNIQUE_ID, b"x" * 300), (POOL, b"y" * 202)])

    assert len(header) == SENT_LIMIT
    assert parse(header) == Header(*TOLD, SENT_LIMIT)
