"""Addresses: every way to write one becomes the same bytes, and every other text is refused."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontproxy.core.address import AddressError, client_of, client_text, network_of, pack, plain, unpack

_addresses = st.ip_addresses()
_pieces = st.sampled_from(["192.0.2.1", "::", ":", ".", "%", "%eth0", "ffff", "1", "\0", "\ud800", "é", " ", "/64"])
_texts = st.text(st.characters(exclude_categories=[]), max_size=30) | st.lists(_pieces, max_size=8).map("".join)


@pytest.mark.parametrize(
    ("text", "packed"),
    [
        ("192.0.2.1", b"\xc0\x00\x02\x01"),
        ("::ffff:192.0.2.1", b"\xc0\x00\x02\x01"),
        ("::FFFF:c000:201", b"\xc0\x00\x02\x01"),
        ("::ffff:192.0.2.1%eth0", b"\xc0\x00\x02\x01"),
        ("2001:db8::1", b"\x20\x01\x0d\xb8" + bytes(11) + b"\x01"),
        ("2001:DB8:0:0:0::1", b"\x20\x01\x0d\xb8" + bytes(11) + b"\x01"),
        ("fe80::1%eth0", b"\xfe\x80" + bytes(13) + b"\x01"),
        ("::192.0.2.1", bytes(12) + b"\xc0\x00\x02\x01"),
        ("::", bytes(16)),
    ],
)
def test_an_address_has_one_packed_form(text: str, packed: bytes) -> None:
    assert pack(text) == packed


@pytest.mark.parametrize(
    "text",
    ["", "localhost", "192.0.2", "192.0.2.256", "192.0.2.1 ", "192.0.2.1%eth0", "192.0.2.0/24", "[::1]", "1::1::", "%"],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(AddressError, match="is not an IPv4 or IPv6 address"):
        pack(text)


def test_a_refusal_shows_the_text_escaped_and_cut() -> None:
    with pytest.raises(AddressError) as caught:
        pack("\x1b[2J:é" + "x" * 1000)

    assert str(caught.value) == r"'\x1b[2J:\xe9" + "x" * 54 + "' is not an IPv4 or IPv6 address"


@given(_texts)
def test_any_text_is_an_address_or_refused(text: str) -> None:
    try:
        packed = pack(text)
    except AddressError as error:
        refusal = str(error)
        assert refusal.isprintable()
    else:
        assert len(packed) in {4, 16}
        assert pack(unpack(packed)) == packed


@given(_addresses)
def test_packing_and_unpacking_agree_with_the_standard_library(address: IPv4Address | IPv6Address) -> None:
    mapped = getattr(address, "ipv4_mapped", None)

    packed = pack(str(address))

    assert packed == (mapped or address).packed
    assert ip_address(unpack(packed)) == (mapped or address)


@pytest.mark.parametrize(
    ("text", "client", "network"),
    [
        ("192.0.2.1", "192.0.2.1", "192.0.2.0/24"),
        ("::ffff:192.0.2.1", "192.0.2.1", "192.0.2.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", "2001:db8:1::/48"),
        ("::1", "::/64", "::/48"),
    ],
)
def test_a_client_is_written_as_people_do_and_its_network_is_around_it(text: str, client: str, network: str) -> None:
    packed = pack(text)

    assert client_text(client_of(packed)) == client
    bits = network_of(packed)
    assert ip_network((bits.ljust(len(packed), b"\0"), 8 * len(bits))) == ip_network(network)


@given(_addresses, _addresses)
def test_clients_are_told_apart_by_address_or_by_64_bits(
    one: IPv4Address | IPv6Address, other: IPv4Address | IPv6Address
) -> None:
    first, second = pack(str(one)), pack(str(other))
    bits = 4 if len(first) == 4 else 8

    assert (client_of(first) == client_of(second)) == (len(first) == len(second) and first[:bits] == second[:bits])


@given(_addresses)
def test_a_client_lies_within_its_network(address: IPv4Address | IPv6Address) -> None:
    packed = pack(str(address))

    assert client_of(packed).startswith(network_of(packed))


@pytest.mark.parametrize(
    ("text", "written"),
    [("::ffff:192.0.2.1", "192.0.2.1"), ("fe80::1%eth0", "fe80::1"), ("2001:DB8::1", "2001:db8::1")],
)
def test_our_own_addresses_are_written_plainly(text: str, written: str) -> None:
    assert plain(text) == written
