"""Tables whose first match counts, as lists where each network stands for itself.

Two networks either lie in each other or have nothing in common, so what an earlier rule has decided can be taken out of
a later network exactly, at the price of more and smaller networks.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network
from typing import Literal

IpNetwork = IPv4Network | IPv6Network
Action = Literal["own", "permit", "reject", "dunno"]
Rule = tuple[IpNetwork, Action]


def first_matches(rules: Iterable[Rule]) -> dict[Action, list[IpNetwork]]:
    """The networks of each action, in the order of the rules; no address is in those of two actions."""
    decided: dict[IpNetwork, Action] = {}
    in_order: dict[int, list[IpNetwork]] = {4: [], 6: []}
    found: dict[Action, list[IpNetwork]] = {"own": [], "permit": [], "reject": [], "dunno": []}
    for network, action in rules:
        if any(network.supernet(new_prefix=length) in decided for length in range(network.prefixlen + 1)):
            continue
        inner = _inside(network, in_order[network.version])
        found[action] += _without(network, [hole for hole in inner if decided[hole] != action])
        decided[network] = action
        insort(in_order[network.version], network)
    return found


def _inside(network: IpNetwork, in_order: list[IpNetwork]) -> list[IpNetwork]:
    """Those of the sorted networks that lie in a network."""
    first = last = bisect_left(in_order, network)
    while last < len(in_order) and in_order[last].network_address in network:
        last += 1
    return in_order[first:last]


def _without(network: IpNetwork, holes: list[IpNetwork]) -> list[IpNetwork]:
    if not holes:
        return [network]
    if network in holes:
        return []
    return [
        piece
        for half in network.subnets()
        for piece in _without(half, [hole for hole in holes if hole.network_address in half])
    ]
