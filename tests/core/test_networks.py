"""A few networks: who lies in one of them."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from frontproxy.core.address import pack
from frontproxy.core.networks import Networks


def test_no_networks_hold_nobody() -> None:
    assert not Networks(()).hold(pack("192.0.2.1"))
    assert not Networks(()).hold(pack("::"))


@pytest.mark.parametrize(
    ("address", "is_held"),
    [
        ("192.0.2.0", True),
        ("192.0.2.255", True),
        ("192.0.3.0", False),
        ("::ffff:192.0.2.7", True),
        ("198.51.100.7", True),
        ("198.51.100.8", False),
        ("203.0.113.8", True),
        ("2001:db8::1", True),
        ("2001:db9::1", False),
        ("::192.0.2.7", False),
    ],
)
def test_an_address_lies_in_one_of_them_or_in_none(address: str, is_held: bool) -> None:
    networks = Networks(("192.0.2.0/24", "198.51.100.7/32", "2001:db8::/32", "::ffff:203.0.113.0/120"))

    assert networks.hold(pack(address)) is is_held


def test_everybody_is_everybody_of_one_family() -> None:
    everybody = Networks(("0.0.0.0/0",))

    assert everybody.hold(pack("255.255.255.255"))
    assert not everybody.hold(pack("::1"))


@given(st.ip_addresses(v=4), st.integers(0, 32), st.ip_addresses(v=6), st.integers(0, 128), st.ip_addresses())
def test_it_agrees_with_the_standard_library(
    short: IPv4Address, short_length: int, long: IPv6Address, long_length: int, anybody: IPv4Address | IPv6Address
) -> None:
    four = IPv4Network((short, short_length), strict=False)
    six = IPv6Network((long, long_length), strict=False)
    assume(six.network_address.ipv4_mapped is None)
    networks = Networks((str(four), str(six)))

    assert networks.hold(pack(str(four[-1])))
    assert networks.hold(pack(str(anybody))) is any(
        ip_address(pack(str(anybody))) in network for network in (four, six)
    )


@pytest.mark.parametrize("text", ["192.0.2.0", "192.0.2.0/33", "192.0.2.0/-1", "nobody/8", "::ffff:192.0.2.0/8", ""])
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Networks((text,))
