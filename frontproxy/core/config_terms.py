"""The shapes of values that belong to mail and networks: addresses, networks, backends, replies, rules."""

import re
from ipaddress import IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Any, Final

from frontproxy.core.address import AddressError, pack, unpack
from frontproxy.core.config_shapes import Wrong, name, path, shown, text
from frontproxy.core.config_values import Backend, TcpAddress
from frontproxy.core.rules import Rule, RuleError, compile_rule

_HOST_AND_PORT: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+)):([0-9]{1,5})")
_NETWORK: Final = re.compile(r"[0-9A-Fa-f:.]+(/[0-9]{1,3})?")
_REPLY: Final = re.compile(r"([45])[0-5][0-9] ([45])\.[0-9]{1,3}\.[0-9]{1,3} [ -~]*[!-~]")
_LONGEST_REPLY: Final = 510
"""RFC 5321 section 4.5.3.1.5: 512 octets with CR and LF."""
_TEASER: Final = re.compile(r"[ -~]{0,200}")
_COUNTRY: Final = re.compile(r"[A-Z]{2}")
_TCP: Final = re.compile(r"([^?]*)(?:\?proxy=(v1|v2|none))?")
SYSTEMD: Final = "systemd"
"""As an address to listen on: the sockets that systemd passes."""


def listening(value: Any) -> TcpAddress | Path | str:
    """Where connections come in: an address and a port, "pass:/path" (a path), or "systemd"."""
    if text(value).startswith("pass:"):
        return path(value.removeprefix("pass:"))
    return SYSTEMD if value == SYSTEMD else address(value)


def feed_door(value: Any) -> TcpAddress | Path:
    """Where a feed listens: "127.0.0.1:10032" or "unix:/path"."""
    if text(value).startswith("unix:"):
        return path(value.removeprefix("unix:"))
    return _with_port(value)


def address(value: Any) -> TcpAddress:
    """An address and a port: "127.0.0.1:2525" or "[::1]:2525"; port 0 is any free one."""
    form = _HOST_AND_PORT.fullmatch(text(value))
    if not form:
        remedy = 'write "127.0.0.1:2525" or "[::1]:2525" (an address, not a name)'
        raise Wrong((f"{shown(value)} is not an address and a port", remedy))
    host, port = form[1] or form[2], int(form[3])
    try:
        packed = pack(host)
    except AddressError:
        raise Wrong((f"{shown(host)} is not an IP address", "write an IPv4 address, or an IPv6 one in [ ]")) from None
    if port > 65535:
        raise Wrong((f"{port} is not a port", "write a port from 1 to 65535"))
    return unpack(packed), port


def _with_port(value: Any) -> TcpAddress:
    host, port = address(value)
    if port == 0:
        raise Wrong((f"{shown(value)} has no port that another program could know", "write a port from 1 to 65535"))
    return host, port


def resolver(value: Any) -> TcpAddress:
    """A DNS server: "192.0.2.53", "2001:db8::53", "127.0.0.1:5353" or "[::1]:5353"; the port is 53 if none is named."""
    if _HOST_AND_PORT.fullmatch(text(value)):
        return _with_port(value)
    bare = value[1:-1] if value.startswith("[") and value.endswith("]") else value
    try:
        packed = pack(bare.replace("%", " "))  # a scope would be lost
    except AddressError:
        remedy = 'write "192.0.2.53", or with a port "127.0.0.1:5353" (an address, not a name)'
        raise Wrong((f"{shown(value)} is not a DNS server", remedy)) from None
    return unpack(packed), 53


def network(value: Any) -> str:
    """A network in CIDR notation, or a single address; returned in its usual spelling."""
    wrong = Wrong((f"{shown(value)} is not a network", 'write "192.0.2.0/24", "2001:db8::/32" or an address'))
    if not _NETWORK.fullmatch(text(value)):
        raise wrong
    try:
        found = ip_network(value, strict=False)
    except ValueError:
        raise wrong from None
    given = value.partition("/")[0]
    if ip_address(given) != found.network_address:
        remedy = f'write "{found}" for the network, or "{given}" for the one address'
        raise Wrong((f"{shown(value)} has bits set beyond its prefix", remedy))
    if isinstance(found, IPv6Network) and found.network_address.ipv4_mapped:
        raise Wrong((f"{shown(value)} is IPv4 in IPv6 clothes", 'write it as IPv4: "192.0.2.0/24"'))
    return str(found)


def backend(value: Any) -> Backend:
    """An smtpd service: "bundled:NAME", "pass:/path/of/socket" (not yet resolved) or "tcp:ADDRESS:PORT?proxy=v2"."""
    kind, _, target = text(value).partition(":")
    match kind:
        case "bundled":
            return Backend("bundled", name(target))
        case "pass":
            return Backend("pass", str(path(target)))
        case "tcp":
            return _tcp(value, target)
    remedy = 'write "bundled:NAME", "pass:/path/of/socket" or "tcp:192.0.2.1:25?proxy=v2"'
    raise Wrong((f"{shown(value)} is not a backend", remedy))


def _tcp(value: Any, target: str) -> Backend:
    form = _TCP.fullmatch(target)
    if form is None:
        raise Wrong((f"{shown(value)} is not a backend", 'write "tcp:192.0.2.1:25?proxy=v2" (or v1, or none)'))
    if form[2] is None:
        what = f"{shown(value)} does not say which PROXY header the server expects"
        raise Wrong((what, 'add "?proxy=v2", "?proxy=v1", or "?proxy=none" if it expects none'))
    return Backend("tcp", target, server=_with_port(form[1]), proxy=form[2])  # type: ignore[arg-type]  # the pattern


def reply(value: Any) -> str:
    """A refusal for a client: "421 4.3.2 Try again later"."""
    form = _REPLY.fullmatch(value) if isinstance(value, str) else None
    if not form:
        remedy = 'write one line of ASCII: a 4xx or 5xx code, an enhanced code and a text, "421 4.3.2 Try again later"'
        raise Wrong((f"{shown(value)} is not an SMTP refusal", remedy))
    if form[1] != form[2]:
        raise Wrong((f"{shown(value)} says {form[1]}xx and {form[2]}.x.x at once", "let both codes start alike"))
    if len(value) > _LONGEST_REPLY:
        raise Wrong((f"the reply has {len(value)} octets", f"write at most {_LONGEST_REPLY} (RFC 5321)"))
    return str(value)


def teaser(value: Any) -> str:
    """What follows "220-" in a line before the greeting; empty for no such line."""
    if not isinstance(value, str) or not _TEASER.fullmatch(value):
        remedy = 'write one line of at most 200 ASCII characters, such as "mx.example.com"'
        raise Wrong((f"{shown(value)} cannot be said to a client", remedy))
    if value.startswith("220"):
        raise Wrong((f"{shown(value)} has the code of the reply in it", "leave it out; 220- is put before the text"))
    if value and not value.strip():
        raise Wrong((f"{shown(value)} says nothing", 'write what the line says, or "" for no such line'))
    return value


def rule(value: Any) -> Rule:
    """The `when` of a route."""
    if not isinstance(value, str):
        raise Wrong((f"{shown(value)} is not a rule", 'write a rule in quotes, such as "score >= 5"'))
    try:
        return compile_rule(value)
    except RuleError as error:
        raise Wrong((f"column {error.column}: {error.what}", error.remedy)) from None


def country(value: Any) -> str:
    """A country as MaxMind's databases name it: two capital letters (ISO 3166)."""
    if _COUNTRY.fullmatch(text(value)):
        return str(value)
    raise Wrong((f"{shown(value)} is not a country", 'write two capital letters, such as "DE"'))
