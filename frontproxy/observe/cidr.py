"""Lines of a CIDR file: one network or address, and a comment.

A network is `(packed, length)`: its first address with 4 or 16 bytes, and the length of its prefix in bits. A plain
tuple, since a list has a million of them. An IPv4 network in IPv6 clothes (`::ffff:192.0.2.0/120`) is the IPv4 network.
"""

from collections.abc import Iterator
from ipaddress import ip_interface
from socket import AF_INET, AF_INET6, inet_pton
from typing import TextIO

Network = tuple[bytes, int]

LINE_LIMIT = 1000
"""Characters of one line, its end counted; the longest network takes 49, the rest is comment."""

_LENGTHS = {str(length): length for length in range(129)}
_MAPPED = bytes(10) + b"\xff\xff"
_MASKS = {
    AF_INET: tuple((1 << (32 - length)) - 1 for length in range(33)),
    AF_INET6: tuple((1 << (128 - length)) - 1 for length in range(129)),
}
_FORM = "write a network or an address: 192.0.2.0/24, 192.0.2.1, 2001:db8::/32"


class CidrError(ValueError):
    """The text is no network; says what is wrong with it, and what to do."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what}; {remedy}")
        self.what = what
        self.remedy = remedy


class NotText(Exception):
    """The file holds bytes that no text has, or a line without an end: not worth reading on."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(what)
        self.line = line
        self.what = what


def parse_network(text: str) -> Network:
    """The network that `text` writes, without blanks or comment around it. Raises CidrError and nothing else."""
    address, slash, length_text = text.partition("/")
    family = AF_INET6 if ":" in address else AF_INET
    masks = _MASKS[family]
    try:
        packed = inet_pton(family, address)
        length = _LENGTHS[length_text] if slash else len(masks) - 1
        host_bits = int.from_bytes(packed) & masks[length]
    except (OSError, ValueError, LookupError):
        raise _explained(text) from None
    if host_bits:
        raise _explained(text)
    if length >= 96 and packed.startswith(_MAPPED):
        return packed[12:], length - 96
    return packed, length


def numbered_lines(file: TextIO) -> Iterator[tuple[int, str]]:
    """The lines of a CIDR file that say something, with their numbers, without comments and blanks.

    Reads no more than LINE_LIMIT characters at once; raises NotText at a NUL, or at a longer line.
    """
    number = 0
    while line := file.readline(LINE_LIMIT):
        number += 1
        if len(line) == LINE_LIMIT and not line.endswith("\n"):
            raise NotText(number, f"the line is longer than {LINE_LIMIT - 1} characters")
        if "\0" in line:
            raise NotText(number, "a NUL: this is not a text file")
        if text := line.partition("#")[0].strip():
            yield number, text


def _explained(text: str) -> CidrError:
    """Why `text` is no network; slow, and only asked about lines that are wrong."""
    words = text.split()
    shown = ascii(text) if len(text) <= 60 else ascii(text[:60]) + "..."
    if len(words) > 1 and _means_something(words[0]):
        return CidrError(
            f"{shown} has more than a network on its line",
            f"write {words[0]} alone; what a list is worth stands in the configuration",
        )
    if not _means_something(text):
        return CidrError(f"{shown} is not a network", _FORM)
    interface = ip_interface(text)
    if "%" in text:
        return CidrError(f"{shown} has a scope, and a network has none", f"write {text.partition('%')[0]}")
    if str(interface.network.prefixlen) != text.partition("/")[2]:
        return CidrError(f"{shown} does not give the length of its prefix in bits", f"write {interface.network}")
    return CidrError(f"{shown} has bits set after its prefix", f"write {interface.network}, or the address alone")


def _means_something(text: str) -> bool:
    try:
        ip_interface(text)
    except ValueError:
        return False
    return True
