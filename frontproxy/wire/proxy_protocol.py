"""The PROXY protocol, versions 1 and 2: who the client is, told to a server by the proxy in front of it.

https://www.haproxy.org/download/2.6/doc/proxy-protocol.txt. The header comes before anything else on a connection.
Version 1 is a line of text; version 2 is a signature, four octets (version and command, family, length), the two
addresses and ports, and then typed values (TLVs). We send both, for TCP only; Postfix wants the header in one piece, at
most 536 octets of it. What we receive is read as strictly as the specification allows, since whoever can send a header
can claim any address.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton

Endpoint = tuple[str, int]
"""An address as text, without scope, and a port."""

UNIQUE_ID = 0x05
"""TLV type PP2_TYPE_UNIQUE_ID: we send the session's id."""
SCORE = 0xE0
"""TLV type of our own (0xE0 to 0xEF are left to applications): the score as text."""
POOL = 0xE1
"""TLV type of our own: the pool's name."""

SENT_LIMIT = 536
"""Octets a header of ours may have: Postfix looks at so many."""
RECEIVED_LIMIT = 4096
"""Octets a header may have that we read."""

_V1_LIMIT = 107
_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_STARTS = (b"PROXY TCP4 ", b"PROXY TCP6 ", b"PROXY UNKNOWN ", b"PROXY UNKNOWN\r\n", _SIGNATURE)
_V1_FAMILIES = {b"TCP4": AF_INET, b"TCP6": AF_INET6}
_LOCAL, _PROXY = 0x20, 0x21
_UNSPECIFIED, _TCP4, _TCP6 = 0x00, 0x11, 0x21
_MAPPED = bytes(10) + b"\xff\xff"
_TLV_HEAD = struct.Struct("!BH")


class ProxyHeaderError(ValueError):
    """The octets are no PROXY header that we take, or the addresses cannot be told in one; the text says why."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a header says. An IPv4 address in IPv6 clothes is told as IPv4; a port may be 0, as in the specification."""

    source: Endpoint | None
    """The client; None where the proxy speaks for itself (LOCAL) or does not know (UNKNOWN): a health check."""
    destination: Endpoint | None
    """Where the client connected to; None exactly when `source` is."""
    length: int
    """Octets of the header; what follows them is the client's."""


def encode_v1(source: Endpoint, destination: Endpoint) -> bytes:
    """A header of version 1. Addresses of two families are both told as IPv6. Raises ProxyHeaderError."""
    client, server = _packed_alike(source, destination)
    family, word = (AF_INET, "TCP4") if len(client) == 4 else (AF_INET6, "TCP6")
    addresses = f"{inet_ntop(family, client)} {inet_ntop(family, server)}"
    return f"PROXY {word} {addresses} {source[1]} {destination[1]}\r\n".encode("ascii")


def encode_v2(source: Endpoint, destination: Endpoint, tlvs: Iterable[tuple[int, bytes]] = ()) -> bytes:
    """A header of version 2 with TLVs, each a type and its value.

    Addresses of two families are both told as IPv6. Raises ProxyHeaderError, also when it were longer than SENT_LIMIT.
    """
    client, server = _packed_alike(source, destination)
    parts = [client, server, struct.pack("!HH", source[1], destination[1])]
    for kind, value in tlvs:
        if len(value) > SENT_LIMIT:
            raise ProxyHeaderError(f"TLV {kind:#04x} has {len(value)} octets")
        parts += _TLV_HEAD.pack(kind, len(value)), value
    block = b"".join(parts)
    length = len(_SIGNATURE) + 4 + len(block)
    if length > SENT_LIMIT:
        raise ProxyHeaderError(f"the header has {length} octets, more than {SENT_LIMIT}")
    family = _TCP4 if len(client) == 4 else _TCP6
    return _SIGNATURE + struct.pack("!BBH", _PROXY, family, len(block)) + block


def parse(data: bytes) -> Header | None:
    """The header that `data` begins with, of either version; None when more octets are needed.

    Raises ProxyHeaderError, and nothing else, for what cannot become a header; so a sender that never finishes one can
    make us keep RECEIVED_LIMIT octets at most.
    """
    if not any(start.startswith(data[: len(start)]) for start in _STARTS):
        raise ProxyHeaderError(f"no PROXY header but {data[:20]!a}")
    if data[:1] == b"P":
        return _parse_v1(data[:_V1_LIMIT])
    return _parse_v2(data) if len(data) > len(_SIGNATURE) else None


def _parse_v1(data: bytes) -> Header | None:
    line, end, _rest = data.partition(b"\r\n")
    if b"\n" in line:
        raise ProxyHeaderError("a line feed within the header's line")
    if not end:
        if len(data) >= _V1_LIMIT:
            raise ProxyHeaderError(f"no end of line in {_V1_LIMIT} octets")
        return None
    length = len(line) + len(end)
    family = _V1_FAMILIES.get(line[6:10])
    if family is None:  # UNKNOWN: whatever else its line says is to be ignored
        return Header(None, None, length)
    words = line[11:].split(b" ")
    if len(words) != 4:
        raise ProxyHeaderError(f"not two addresses and two ports: {line[11:]!a}")
    source, destination, source_port, destination_port = words
    return Header(
        (_v1_address(source, family), _v1_port(source_port)),
        (_v1_address(destination, family), _v1_port(destination_port)),
        length,
    )


def _v1_address(word: bytes, family: int) -> str:
    try:
        return _text(inet_pton(family, word.decode("ascii")))
    except (OSError, ValueError):
        raise ProxyHeaderError(f"{word!a} is not an address of the family it is said to be") from None


def _v1_port(word: bytes) -> int:
    if word.isdigit() and len(word) <= 5 and (word[:1] != b"0" or word == b"0") and int(word) <= 0xFFFF:
        return int(word)
    raise ProxyHeaderError(f"{word!a} is not a port")


def _parse_v2(data: bytes) -> Header | None:
    command = data[12]
    if command not in {_LOCAL, _PROXY}:
        raise ProxyHeaderError(f"version and command {command:#04x} are unknown")
    if command == _PROXY and len(data) > 13 and data[13] not in {_UNSPECIFIED, _TCP4, _TCP6}:
        raise ProxyHeaderError(f"address family and protocol {data[13]:#04x} are not TCP")
    if len(data) < 16:
        return None
    length = 16 + int.from_bytes(data[14:16], "big")
    if length > RECEIVED_LIMIT:
        raise ProxyHeaderError(f"the header has {length} octets, more than {RECEIVED_LIMIT}")
    is_told = command == _PROXY and data[13] != _UNSPECIFIED
    if is_told and length < 16 + (12 if data[13] == _TCP4 else 36):
        raise ProxyHeaderError(f"no room for the addresses in {length} octets")
    if len(data) < length:
        return None
    if not is_told:  # LOCAL and unspecified: the rest is to be skipped unread
        return Header(None, None, length)
    return _v2_told(data[16:length], size=4 if data[13] == _TCP4 else 16, length=length)


def _v2_told(block: bytes, *, size: int, length: int) -> Header:
    """The header whose addresses have `size` octets each."""
    source_port, destination_port = struct.unpack_from("!HH", block, 2 * size)
    _check_tlvs(block, 2 * size + 4)
    return Header(
        (_text(block[:size]), source_port),
        (_text(block[size : 2 * size]), destination_port),
        length,
    )


def _check_tlvs(block: bytes, position: int) -> None:
    """TLVs fill the block from here to its end. Their values tell us nothing: whoever sends them may claim anything."""
    while position < len(block):
        if position + _TLV_HEAD.size > len(block):
            raise ProxyHeaderError("a TLV without its length")
        kind, size = _TLV_HEAD.unpack_from(block, position)
        position += _TLV_HEAD.size + size
        if position > len(block):
            raise ProxyHeaderError(f"TLV {kind:#04x} is longer than the header")


def _text(packed: bytes) -> str:
    if packed.startswith(_MAPPED) and len(packed) == 16:
        packed = packed[12:]
    return inet_ntop(AF_INET if len(packed) == 4 else AF_INET6, packed)


def _packed_alike(source: Endpoint, destination: Endpoint) -> tuple[bytes, bytes]:
    """Both addresses packed, in one family: a header has room for one, and Postfix takes no UNKNOWN."""
    client, server = _packed(source), _packed(destination)
    if len(client) != len(server):
        client, server = (_MAPPED + client)[-16:], (_MAPPED + server)[-16:]
    return client, server


def _packed(endpoint: Endpoint) -> bytes:
    text, port = endpoint
    if not 0 <= port <= 0xFFFF:
        raise ProxyHeaderError(f"{port} is not a port")
    try:
        packed = inet_pton(AF_INET6 if ":" in text else AF_INET, text.partition("%")[0])
    except (OSError, ValueError):
        raise ProxyHeaderError(f"{text[:60]!a} is not an IPv4 or IPv6 address") from None
    return packed[12:] if packed.startswith(_MAPPED) else packed
