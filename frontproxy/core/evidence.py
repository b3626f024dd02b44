"""Evidence: what is known of a client at one moment, each piece with the points it is worth.

Who observes turns the world into values (`frontproxy/observe`, `frontproxy/memory`, the census); here the values become
reasons. An observer that failed contributes nothing.
"""

import json
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from frontproxy.core.config import ListSettings, NetworkEvidence, Points
from frontproxy.core.config_values import FieldValue
from frontproxy.core.seen import Seen
from frontproxy.core.verdict import Reason

DECIDING = frozenset({"deny", "own", "relay", "probe"})
"""Kinds of list that decide by themselves; the others only weigh."""

MANY_OPEN = 10
"""Open sessions of one client that cost nothing."""
MANY_A_MINUTE = 60.0
"""Connections of one client in a minute that cost nothing."""
CENSUS_LIMIT = 4.0
"""What many sessions and a high rate can cost together: less than what makes a friend of long standing."""

_OTHERS = frozenset({"provider", "network", "asn", "name:confirmed", "returned"})
_ROOM_LEFT = 0.5
"""So many points below `listen.settled` others may bring a client, and no further."""

_NO_FIELDS: Mapping[str, FieldValue] = MappingProxyType({})
_NO_LABEL = re.compile(r"[^A-Za-z0-9.=/+@_-]")
_LABEL_LIMIT = 80


class Listed(NamedTuple):
    """A client stands on one of the operator's lists."""

    settings: ListSettings
    prefix_length: int
    """Of the longest network of that list that holds the client."""


class Evidence(NamedTuple):
    """All that judging takes into account about one client."""

    address: str
    reasons: tuple[Reason, ...]
    lists: tuple[Listed, ...] = ()
    known: bool = False
    early: bool = False
    asn: int = 0
    country: str = ""
    open_sessions: int = 0
    rate: float = 0.0
    listed: tuple[str, ...] = ()
    name: str = ""
    domain: str = ""
    vouched: float = 0.0
    """Points of the client's own good record alone, and of the operator's lists that speak for it."""
    seen: Seen | None = None
    """The facts behind it."""

    @property
    def score(self) -> float:
        """The sum of what the evidence is worth, in decibans."""
        score = 0.0
        for reason in self.reasons:
            score += reason.points
        return score

    def decided_by(self) -> Listed | None:
        """The deciding list with the longest network around the client; among equals the first in the file."""
        decides: Listed | None = None
        for listed in self.lists:
            if listed.settings.kind in DECIDING and (decides is None or listed.prefix_length > decides.prefix_length):
                decides = listed
        return decides


def from_lists(lists: Sequence[Listed]) -> tuple[Reason, ...]:
    """One reason for each list; a deciding one has no points, and its text says what it decides."""
    return tuple([_from_list(listed.settings) for listed in lists])


def _from_list(settings: ListSettings) -> Reason:
    name = f"list:{settings.name}"
    if settings.kind == "deny":
        return Reason(name, 0.0, f"on your list {settings.name}: refused")
    if settings.kind in DECIDING:
        return Reason(name, 0.0, f"on your list {settings.name} ({settings.kind}): always served, never learned")
    return Reason(name, settings.points, f"on your list {settings.name}")


def from_place(
    asn: int, country: str, networks: Sequence[NetworkEvidence], fields: Mapping[str, FieldValue] = _NO_FIELDS
) -> tuple[Reason, ...]:
    """What the operator thinks of the client's ASN, its country, or what else databases say: a reason for each entry.

    `fields` are the latter, by path. A value is printed as the operator wrote it, never as a database has it.
    """
    reasons: tuple[Reason, ...] = ()
    for network in networks:
        if asn and asn in network.asn:
            reasons += (Reason(f"asn:{asn}", network.points, f"its network is AS{asn}"),)
        elif country and country in network.country:
            reasons += (Reason(f"country:{country}", network.points, f"its network is in {country}"),)
        elif network.where and (said := _said(network.where, fields)):
            reasons += (_from_field(*said, network.points),)
    return reasons


def _from_field(path: str, value: FieldValue, points: float) -> Reason:
    """The name is a label, easily searched for in a log; the text has the value as TOML writes it."""
    written = json.dumps(value)
    label = _NO_LABEL.sub("_", f"{path}={value if isinstance(value, str) else written}")
    shown = written if len(written) <= _LABEL_LIMIT else f"{written[:_LABEL_LIMIT]}..."
    return Reason(f"geo:{label[:_LABEL_LIMIT]}", points, f"a database says of its network: {path} is {shown}")


def _said(
    where: Sequence[tuple[str, Sequence[FieldValue]]], fields: Mapping[str, FieldValue]
) -> tuple[str, FieldValue] | None:
    """The first of these fields that has one of its values, and which."""
    for path, values in where:
        if (found := fields.get(path)) is not None:
            for value in values:
                # True is 1 in Python; to an operator a yes is no number.
                if value == found and isinstance(value, bool) is isinstance(found, bool):
                    return path, value
    return None


def from_others(reasons: Sequence[Reason], settled: float) -> tuple[Reason, ...]:
    """What takes points back, so that neighbours, a name, coming back and recommendations alone make no friend.

    Only a DNS list that by itself is worth so much makes friends, if the operator has configured one.
    """
    recommended = [reason.points for reason in reasons if reason.points > 0.0 and reason.name.startswith("dnslist:")]
    limit = max([settled - _ROOM_LEFT, *recommended])
    excess = sum(recommended) + sum([reason.points for reason in reasons if reason.name in _OTHERS]) - limit
    if excess <= 0.0:
        return ()
    text = f"neighbours, its name, coming back and recommendations count at most {limit:g} points together"
    return (Reason("others", -excess, text),)


def from_census(open_sessions: int, rate: float, points: Points) -> tuple[Reason, ...]:
    """A crowd of one client: points for each session beyond ten, for each connection a minute beyond sixty."""
    reasons: tuple[Reason, ...] = ()
    left = CENSUS_LIMIT
    if open_sessions > MANY_OPEN:
        worth = max(points.open_sessions * (open_sessions - MANY_OPEN), -left)
        left += min(worth, 0.0)
        reasons += (Reason("open_sessions", worth, f"{open_sessions} sessions open at once"),)
    if rate > MANY_A_MINUTE and left > 0:
        worth = max(points.rate * (rate - MANY_A_MINUTE), -left)
        reasons += (Reason("rate", worth, f"{rate:.0f} connections in the last minute"),)
    return reasons


def from_manners(*, early: bool, returned: bool, points: Points) -> tuple[Reason, ...]:
    """How it behaved at the door."""
    reasons: tuple[Reason, ...] = ()
    if early:
        reasons += (Reason("pregreet", points.pregreet, "talked before the greeting"),)
    if returned:
        reasons += (Reason("returned", points.returned, "came back after we had asked it to"),)
    return reasons
