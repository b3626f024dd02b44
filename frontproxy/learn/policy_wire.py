"""Postfix's policy protocol (SMTPD_POLICY_README): requests cut from a stream, what they say, answers."""

from collections.abc import Iterator, Mapping
from typing import Final

from frontproxy.core.address import AddressError, pack, unpack
from frontproxy.learn.garbage import Garbage

REQUEST_LIMIT: Final = 32 * 1024
"""Octets of one request. Postfix's hold some 35 attributes, of which a client can make four 2 kB long."""
ATTRIBUTES_LIMIT: Final = 100
"""Attributes of one request."""
_KIND: Final = b"smtpd_access_policy"
_OPENING: Final = b"request=" + _KIND + b"\n"
Attributes = Mapping[bytes, bytes]
Client = tuple[str, int]
"""Address and port."""


class Requests:
    """Cuts what a mail server sends into requests; remembers no more than one that is not complete."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[dict[bytes, bytes]]:
        """The attributes of each request that is complete now. Raises Garbage."""
        *texts, self._rest = (self._rest + data).split(b"\n\n")
        for text in texts:
            yield _attributes(text)
        if len(self._rest) > REQUEST_LIMIT or not _OPENING.startswith(self._rest[: len(_OPENING)]):
            self._rest = b""
            raise Garbage("a request that does not end, or does not begin as one")


def _attributes(text: bytes) -> dict[bytes, bytes]:
    """Of two attributes with one name the first counts: what a client supplies comes after what Postfix knows."""
    lines = text.split(b"\n")
    if len(text) > REQUEST_LIMIT or len(lines) > ATTRIBUTES_LIMIT:
        raise Garbage(f"a request of {len(text)} octets and {len(lines)} lines")
    attributes: dict[bytes, bytes] = {}
    for line in lines:
        name, equals, value = line.partition(b"=")
        if not equals or not name:
            raise Garbage("a line that is no attribute")
        attributes.setdefault(name, value)
    if attributes.get(b"request") != _KIND:
        raise Garbage("a request for something else")
    return attributes


def client_of(attributes: Attributes) -> Client | None:
    """The client a request is about; port 0 if Postfix does not tell it; None for one without an IP address."""
    try:
        address = unpack(pack(attributes.get(b"client_address", b"").decode("ascii", "replace")))
    except AddressError:
        return None
    port = number_of(attributes, b"client_port")
    return address, port if port <= 65535 else 0


def number_of(attributes: Attributes, name: bytes) -> int:
    """A whole number; 0 if there is none, or none that makes sense."""
    text = attributes.get(name, b"")
    return int(text) if text.isdigit() and len(text) <= 9 else 0


def answer(action: str) -> bytes:
    """An answer: one action of access(5), one line of ASCII."""
    return b"action=" + action.encode("ascii") + b"\n\n"


DUNNO: Final = answer("DUNNO")
"""No opinion: Postfix goes on as if nobody had been asked."""
