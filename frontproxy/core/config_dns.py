"""The tables of config.toml about the DNS: `[dns]`, and the lists of `[[dnslist]]`."""

import re
from collections.abc import Mapping, Sequence
from ipaddress import IPv6Address, ip_address
from typing import Any, Final

from frontproxy.core.config_shapes import Shape, Wrong, array_of, flag, number, shown, text, whole
from frontproxy.core.config_sheet import Sheet
from frontproxy.core.config_terms import resolver
from frontproxy.core.config_values import Dns, DnsListSettings, ReplyPoints, TcpAddress
from frontproxy.core.reply_pattern import PatternError, parse_pattern
from frontproxy.core.toml_lines import KeyPath

_LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_DOMAIN: Final = re.compile(rf"(?:{_LABEL}\.)+(?![0-9]+$){_LABEL}")
"""At least two labels of at most 63 octets (RFC 1035 section 2.3.4); the last one is no number."""
_LONGEST_DOMAIN: Final = 253
_LONGEST_ZONE: Final = _LONGEST_DOMAIN - 64
"""A query for an IPv6 address puts 32 nibbles before the zone, each with its dot (RFC 5782 section 2.4)."""
_PORT: Final = re.compile(r"[1-9][0-9]{1,4}")
"""What may be a port; 2001:db8::1:1 is an address."""
_REPLIES: Final = 'write { "127.0.0.2-9" = -25 }'
_POINTS: Final = number(-100, 100)


def _server(value: Any) -> TcpAddress:
    """A DNS server that can be there; see `resolver`."""
    host, _, port = text(value).rpartition(":")
    if _PORT.fullmatch(port) and _is_ipv6(host):
        remedy = f'write "[{host}]:{port}"'
        if not _is_ipv6(value):
            raise Wrong((f"{shown(value)} has a port, but no brackets", remedy))
        what = f"{shown(value)} may be an address with a port, or without"
        raise Wrong((what, f'{remedy} for port {port}, or "[{value}]" if all of it is the address'))
    server = resolver(value)
    address = ip_address(server[0])
    if address.is_unspecified or address.is_multicast or server[0] == "255.255.255.255":
        raise Wrong((f"{shown(value)} is not the address of one server", 'write one, "127.0.0.1" for this machine'))
    return server


def _is_ipv6(host: str) -> bool:
    try:
        return not IPv6Address(host).scope_id
    except ValueError:
        return False


def _domain(value: Any) -> str:
    """A domain name, returned in lower case."""
    if _DOMAIN.fullmatch(text(value).lower()) and len(value) <= _LONGEST_DOMAIN:
        return str(value.lower())
    bare = value.strip(" .").lower()
    meant = f'write "{bare}"' if _DOMAIN.fullmatch(bare) else 'write a name such as "example.com"'
    raise Wrong((f"{shown(value)} is not a domain name", meant))


def _zone(value: Any) -> str:
    """The zone of a DNS list, in lower case."""
    bare = re.split("[=*]", text(value))[0]
    if bare != value and _DOMAIN.fullmatch(bare.lower()):  # postscreen's spelling: zone=127.0.0.2*3
        remedy = f'write zone = "{bare.lower()}", and the replies with their points under replies'
        raise Wrong((f"{shown(value)} is more than a zone", remedy))
    zone = _domain(value)
    if len(zone) > _LONGEST_ZONE:
        raise Wrong((f"the zone has {len(zone)} octets", f"write at most {_LONGEST_ZONE}, so that addresses fit"))
    return zone


def _replies(value: Any) -> dict[str, Any]:
    """A table of points by pattern, as it stands; `_read_replies` reads what is in it."""
    if not isinstance(value, dict):
        raise Wrong((f"{shown(value)} does not give points to replies", _REPLIES))
    if not value:
        raise Wrong(("without replies the list says nothing", _REPLIES))
    return value


_DNS: Final[Mapping[str, Shape]] = {
    "servers": array_of(_server),
    "lookups_per_second": whole(1, 1_000_000),
    "names": flag,
    "under_stress": flag,
    "generic": array_of(_domain, at_most=1000),
}
_DNSLIST: Final[Mapping[str, Shape]] = {"zone": _zone, "replies": _replies}


def read_dns(sheet: Sheet, table: Any) -> Dns:
    """`[dns]`."""
    return Dns(**sheet.read(("dns",), table, _DNS))


def read_dnslists(sheet: Sheet, tables: Any) -> tuple[DnsListSettings, ...]:
    """The lists, each in its place; a wrong one has a zone that cannot be, or lacks replies."""
    lists: list[DnsListSettings] = []
    for here, table in sheet.tables(("dnslist",), tables):
        values = sheet.read(here, table, _DNSLIST, needed=("zone", "replies"))
        zone = values.get("zone", f"list-{len(lists) + 1}.invalid")
        if zone in [settings.zone for settings in lists]:
            sheet.mistake(
                (*here, "zone"), f"there is another list {zone}", "put the replies of both into one [[dnslist]]"
            )
        lists.append(DnsListSettings(zone, _read_replies(sheet, (*here, "replies"), values.get("replies", {}))))
    return tuple(lists)


def _read_replies(sheet: Sheet, here: KeyPath, table: dict[str, Any]) -> tuple[ReplyPoints, ...]:
    replies = []
    for key, points in table.items():
        try:
            replies.append(_reply(key, points))
        except Wrong as wrong:
            sheet.mistake((*here, key), *wrong.complaints[0])
    _check_uses(sheet, here, replies)
    return tuple(replies)


def _reply(key: str, points: Any) -> ReplyPoints:
    if isinstance(points, dict):  # 127.0.0.2 = -25: TOML takes the dots for tables
        raise Wrong(("the replies are not in quotes", _REPLIES))
    try:
        return ReplyPoints(parse_pattern(key), _POINTS(points))
    except PatternError as error:
        raise Wrong((error.what, error.remedy)) from None


def _check_uses(sheet: Sheet, here: KeyPath, replies: Sequence[ReplyPoints]) -> None:
    """Of all the points for a reply the largest count, so an exception with fewer is none."""
    for reply in replies:
        for other in replies:
            if other.pattern.covers(reply.pattern) and other.weight > reply.weight:
                what = f"this has no effect: {other.pattern.text} = {other.points:g} weighs more"
                sheet.warn((*here, reply.pattern.text), what, "write ranges that do not overlap")
                break
