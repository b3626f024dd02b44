"""Addresses as packed bytes, and the keys that history and the census know clients by.

A packed address has 4 bytes (IPv4) or 16 (IPv6); an IPv4 address in IPv6 clothes (`::ffff:192.0.2.1`) is IPv4. A client
is an IPv4 address or an IPv6 /64, since one host owns all of a /64; its network is the /24 or the /48 around it.
"""

from functools import lru_cache
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton

_MAPPED = bytes(10) + b"\xff\xff"


class AddressError(ValueError):
    """The text is no IPv4 or IPv6 address."""


def pack(text: str) -> bytes:
    """The packed form of an address as the kernel or a person writes it; a scope (`%eth0`) is dropped."""
    try:
        if ":" not in text:
            return inet_pton(AF_INET, text)
        packed = inet_pton(AF_INET6, text.partition("%")[0])
    except (OSError, UnicodeEncodeError, ValueError):
        raise AddressError(f"{text[:60]!a} is not an IPv4 or IPv6 address") from None
    return packed[12:] if packed.startswith(_MAPPED) else packed


def unpack(packed: bytes) -> str:
    """The text of a packed address."""
    return inet_ntop(AF_INET if len(packed) == 4 else AF_INET6, packed)


@lru_cache(maxsize=256)
def plain(text: str) -> str:
    """One of our own addresses as we write it: without scope, and IPv4 as IPv4. Raises AddressError."""
    return unpack(pack(text))


def client_of(packed: bytes) -> bytes:
    """The client an address belongs to: its 4 bytes (IPv4), or the first 8 (an IPv6 /64)."""
    return packed if len(packed) == 4 else packed[:8]


def network_of(packed: bytes) -> bytes:
    """The network around an address: 3 bytes (an IPv4 /24), or 6 (an IPv6 /48)."""
    return packed[:3] if len(packed) == 4 else packed[:6]


def client_text(client: bytes) -> str:
    """How people write a client: `192.0.2.1` or `2001:db8:0:1::/64`."""
    return unpack(client) if len(client) == 4 else unpack(client.ljust(16, b"\0")) + "/64"
