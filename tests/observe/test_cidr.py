"""Lines of a CIDR file."""

import io
from contextlib import suppress
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from frontproxy.core.address import pack
from frontproxy.observe.cidr import LINE_LIMIT, CidrError, NotText, numbered_lines, parse_network


@pytest.mark.parametrize(
    ("text", "address", "length"),
    [
        ("192.0.2.0/24", "192.0.2.0", 24),
        ("192.0.2.1", "192.0.2.1", 32),
        ("0.0.0.0/0", "0.0.0.0", 0),
        ("2001:db8::/32", "2001:db8::", 32),
        ("2001:DB8::1", "2001:db8::1", 128),
        ("::/0", "::", 0),
    ],
)
def test_a_network_or_an_address_is_read(text: str, address: str, length: int) -> None:
    assert parse_network(text) == (pack(address), length)


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
        ("::ffff:192.0.2.1", "192.0.2.1/32"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
    ],
)
def test_ipv4_in_ipv6_clothes_is_ipv4(text: str, network: str) -> None:
    assert parse_network(text) == parse_network(network)


@pytest.mark.parametrize(
    ("text", "what", "remedy"),
    [
        ("192.0.2.1/24", "bits set after its prefix", "192.0.2.0/24"),
        ("2001:db8::1/32", "bits set after its prefix", "2001:db8::/32"),
        ("::ffff:0:0/90", "bits set after its prefix", "::ffc0:0:0/90"),
        ("192.0.2.0/24 permit", "more than a network", "192.0.2.0/24 alone"),
        ("192.0.2.7/24\treject spam", "more than a network", "192.0.2.7/24 alone"),
        ("10.0.0.0/255.0.0.0", "length of its prefix", "10.0.0.0/8"),
        ("10.0.0.0/08", "length of its prefix", "10.0.0.0/8"),
        ("fe80::1%eth0", "scope", "fe80::1"),
        ("192.0.2", "not a network", "192.0.2.0/24"),
        ("192.0.2.0/33", "not a network", "192.0.2.0/24"),
        ("192.0.2.0/", "not a network", "192.0.2.0/24"),
        ("192.0.2.0/+24", "not a network", "192.0.2.0/24"),
        ("192.0.2.0/٢٤", "not a network", "192.0.2.0/24"),
        ("192.0.2.1-192.0.2.9", "not a network", "192.0.2.0/24"),
        ("192.0.2.010", "not a network", "192.0.2.0/24"),
        ("2001:db8::/129", "not a network", "2001:db8::/32"),
        ("example.com", "not a network", "192.0.2.0/24"),
        ("/24", "not a network", "192.0.2.0/24"),
    ],
)
def test_what_is_no_network_comes_with_a_remedy(text: str, what: str, remedy: str) -> None:
    with pytest.raises(CidrError) as caught:
        parse_network(text)

    assert what in caught.value.what
    assert remedy in caught.value.remedy


def test_a_hostile_line_is_shown_short_and_escaped() -> None:
    with pytest.raises(CidrError) as caught:
        parse_network("\x1b[2J\udcff" + "x" * 900)

    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 250


@given(st.text() | st.text("0129af:./% \t-"))
@example("1.2.3.4/\ud800")
@example("::%\0/128")
def test_no_text_raises_anything_but_its_mistake(text: str) -> None:
    with suppress(CidrError):
        packed, length = parse_network(text)
        assert 0 <= length <= len(packed) * 8


@given(st.ip_addresses(), st.integers(0, 128))
def test_every_network_that_python_writes_is_read(address: object, length: int) -> None:
    network = ip_network((str(address), min(length, ip_address(str(address)).max_prefixlen)), strict=False)

    packed, found = parse_network(str(network))

    mapped = (
        network.version == 6
        and network.prefixlen >= 96
        and network.network_address.packed[:12] == bytes(10) + b"\xff\xff"
    )
    assert packed == (network.network_address.packed[12:] if mapped else network.network_address.packed)
    assert found == network.prefixlen - 96 * mapped


@given(st.ip_addresses(v=4), st.integers(0, 31))
def test_the_remedy_for_host_bits_is_a_network(address: object, length: int) -> None:
    try:
        parse_network(f"{address}/{length}")
    except CidrError as error:
        parse_network(error.remedy.split(",")[0].removeprefix("write "))


def test_comments_blanks_and_the_ends_of_lines_are_not_part_of_a_network() -> None:
    file = io.StringIO("# ours\n\n 192.0.2.1 # mx\r\n\t\n2001:db8::1#", newline=None)

    assert list(numbered_lines(file)) == [(3, "192.0.2.1"), (5, "2001:db8::1")]


@pytest.mark.parametrize("end", ["\n", ""])
def test_a_line_of_just_the_limit_is_read_and_a_longer_one_is_not(end: str) -> None:
    line = "192.0.2.1 #".ljust(LINE_LIMIT - 1, "x")

    assert list(numbered_lines(io.StringIO(line + end))) == [(1, "192.0.2.1")]
    with pytest.raises(NotText):
        list(numbered_lines(io.StringIO(line + "x" + end)))


def test_a_nul_is_not_text() -> None:
    with pytest.raises(NotText) as caught:
        list(numbered_lines(io.StringIO("192.0.2.1\n\0\n")))

    assert caught.value.line == 2
