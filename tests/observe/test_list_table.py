"""The flat table of networks, against `ipaddress` and brute force."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from itertools import pairwise

from hypothesis import example, given, settings
from hypothesis import strategies as st

from frontproxy.observe.cidr import parse_network
from frontproxy.observe.list_table import Table, TableBuilder

AnyNetwork = IPv4Network | IPv6Network
AnyAddress = IPv4Address | IPv6Address

# Few bits that may be set, in few places, so that random networks nest, touch and repeat.
_bits4 = st.sampled_from([0, 1, 2, 3, 0x80, 0xC000_0200, 0xC000_0280, 0x8000_0000, 0xFFFF_FFFE, 0xFFFF_FFFF])
_bits6 = st.builds(
    lambda high, low: high << 64 | low,
    st.sampled_from([0, 1, 0x2001_0DB8 << 32, (1 << 64) - 2, (1 << 64) - 1]),
    st.sampled_from([0, 1, 1 << 63, 3 << 62, (1 << 64) - 2, (1 << 64) - 1]),
)
_networks = st.one_of(
    st.builds(lambda bits, length: IPv4Network((bits, length), strict=False), _bits4, st.integers(0, 32)),
    st.builds(lambda bits, length: IPv6Network((bits, length), strict=False), _bits6, st.integers(0, 128)),
    st.builds(
        lambda bits, length: IPv4Network((bits, length), strict=False), st.integers(0, 2**32 - 1), st.integers(0, 32)
    ),
)
_lists = st.lists(st.lists(_networks, max_size=12), max_size=4)


def _table(lists: list[list[AnyNetwork]]) -> Table:
    builder = TableBuilder()
    for position, networks in enumerate(lists):
        builder.add(position, (parse_network(str(network)) for network in networks))
    return builder.build()


def _found(table: Table, address: AnyAddress) -> list[tuple[int, int]]:
    return [(member >> 8, member & 0xFF) for member in table.members(table.set_of(address.packed))]


def _expected(lists: list[list[AnyNetwork]], address: AnyAddress) -> list[tuple[int, int]]:
    longest = [max((net.prefixlen for net in networks if address in net), default=-1) for networks in lists]
    return [(position, length) for position, length in enumerate(longest) if length >= 0]


def _edges(lists: list[list[AnyNetwork]]) -> set[AnyAddress]:
    """Every address where an answer may change, and its neighbours."""
    edges: set[AnyAddress] = {ip_address("0.0.0.0"), ip_address("255.255.255.255"), ip_address("::")}
    for network in (network for networks in lists for network in networks):
        kind = IPv4Address if network.version == 4 else IPv6Address
        for end in (network.network_address, network.broadcast_address):
            numbers = range(max(0, int(end) - 1), min(2**network.max_prefixlen - 1, int(end) + 1) + 1)
            edges.update(kind(number) for number in numbers)
    return edges


def _is_mapped(network: AnyNetwork) -> bool:
    return network.version == 6 and network.network_address.packed.startswith(bytes(10) + b"\xff\xff")


@settings(max_examples=50)
@given(_lists)
@example([[ip_network("2001:db8::8000:0:0:0/65"), ip_network("2001:db8::/64")], [ip_network("2001:db8::1/128")]])
@example([[ip_network("0.0.0.0/0")], [ip_network("255.255.255.255/32"), ip_network("255.255.255.255/32")]])
@example([[ip_network("192.0.2.0/25"), ip_network("192.0.2.128/25")]])
def test_every_address_finds_what_brute_force_finds(lists: list[list[AnyNetwork]]) -> None:
    lists = [[network for network in networks if not _is_mapped(network)] for networks in lists]
    table = _table(lists)

    for address in _edges(lists):
        assert _found(table, address) == _expected(lists, address)


@settings(max_examples=50)
@given(_lists)
def test_points_ascend_and_say_nothing_twice(lists: list[list[AnyNetwork]]) -> None:
    table = _table(lists)
    points6 = list(zip(table.high, table.low, strict=True))

    assert list(table.ipv4) == sorted(set(table.ipv4))
    assert points6 == sorted(set(points6))
    for numbers in (table.ipv4_set, table.ipv6_set):
        assert all(one != next_one for one, next_one in pairwise(numbers))


def test_neighbours_of_one_list_share_an_interval() -> None:
    table = _table([[ip_network("192.0.2.0/25"), ip_network("192.0.2.128/25")]])

    assert len(table.ipv4) == 3


def test_networks_of_one_kind_share_a_set() -> None:
    table = _table([[ip_network((number << 12, 24)) for number in range(1, 500)]])

    assert len(table.bound) == 3


def test_repetitions_count_as_entries() -> None:
    builder = TableBuilder()
    builder.add(0, [parse_network("192.0.2.0/24")] * 3)

    assert builder.entries == 3
