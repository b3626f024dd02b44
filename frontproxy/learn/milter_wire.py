"""The milter protocol as the passive milter speaks it: packets cut from a stream, what is negotiated, what they say.

The vocabulary is kilter.protocol's: packet letters, flags, the packets of negotiation and of our one answer. The
packets of a session are read here: kilter's readers decode names as IDNA and macros as ASCII, so that a reverse name
such as `xn--zz`, or a recipient in UTF-8, would end the session with an exception; and they are slow (CPU for a session
of one message: 76 us, 152 us with kilter's state machine; here 17 us with all the counting).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from kilter.protocol import messages
from kilter.protocol.buffer import SimpleBuffer
from kilter.protocol.core import NR_FLAG_MAP
from kilter.protocol.messages import ActionFlags, ProtocolFlags, Stage

from frontproxy.core.address import AddressError, pack, unpack
from frontproxy.learn.garbage import Garbage

PACKET_LIMIT: Final = 16 * 1024
"""Octets of one packet. Postfix's largest holds one SMTP command (2,048) or one reply of its own."""

NEGOTIATE: Final = messages.Negotiate.ident
MACRO: Final = messages.Macro.ident
CONNECT: Final = messages.Connect.ident
MAIL: Final = messages.EnvelopeFrom.ident
RECIPIENT: Final = messages.EnvelopeRecipient.ident
UNKNOWN: Final = messages.Unknown.ident
END_OF_MESSAGE: Final = messages.EndOfMessage.ident
CLOSE: Final = messages.Close.ident
_LETTERS: Final = frozenset(
    [
        *(NEGOTIATE, MACRO, CONNECT, MAIL, RECIPIENT, UNKNOWN, END_OF_MESSAGE, CLOSE),
        *(messages.Helo.ident, messages.Data.ident, messages.Header.ident, messages.EndOfHeaders.ident),
        *(messages.Body.ident, messages.Abort.ident),
    ]
)

_WANTED: Final = (
    ProtocolFlags.RCPT_REJ
    | ProtocolFlags.NO_HELO
    | ProtocolFlags.NO_BODY
    | ProtocolFlags.NO_HDRS
    | ProtocolFlags.NO_EOH
    | ProtocolFlags.NR_CONN
    | ProtocolFlags.NR_HELO
    | ProtocolFlags.NR_MAIL
    | ProtocolFlags.NR_RCPT
    | ProtocolFlags.NR_DATA
    | ProtocolFlags.NR_UNKN
)
"""Refused recipients, nothing of the content, and no waiting for us but at the end of a message."""
_MACROS: Final = {
    Stage.CONNECT: (),
    Stage.HELO: (),
    Stage.ENVELOPE_FROM: ("{auth_authen}", "{tls_version}"),
    Stage.ENVELOPE_RECIPIENT: ("{rcpt_mailer}", "{rcpt_host}", "{rcpt_addr}"),
    Stage.DATA: (),
    Stage.END_MESSAGE: (),
}
_HEADER: Final = struct.Struct("!LB")
OFFER: Final = 12
"""Octets of an offer: version, actions, protocol flags."""


class MilterError(Garbage):
    """What came is not the milter protocol."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """What was negotiated with the mail server."""

    reply: bytes
    """The packet that tells it."""
    answered: frozenset[int]
    """Letters of the packets that it waits for us to answer."""


class Packets:
    """Cuts what a mail server sends into packets; remembers no more than one that is not complete."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Letter and content of each packet that is complete now. Raises MilterError."""
        if self._rest:
            data = self._rest + data
        start, end = 0, len(data)
        while end - start >= _HEADER.size:
            length, letter = _HEADER.unpack_from(data, start)
            if letter not in _LETTERS or not 1 <= length <= PACKET_LIMIT:
                self._rest = b""
                raise MilterError(f"a packet {bytes([letter])!a} of {length} octets")
            stop = start + 4 + length
            if stop > end:
                break
            yield letter, data[start + _HEADER.size : stop]
            start = stop
        self._rest = data[start:]


def _packed(message: messages.Message) -> bytes:
    buffer = SimpleBuffer(1024)
    message.pack(buffer)
    return buffer[:].tobytes()


GO_ON: Final = _packed(messages.Continue())
"""The only answer we ever give."""


@lru_cache(maxsize=16)  # a mail server always offers the same
def agree(offer: bytes) -> Agreement:
    """What we make of an offer: we ask for no more than it holds. Raises MilterError."""
    if len(offer) != OFFER:
        raise MilterError(f"an offer of {len(offer)} octets")
    theirs = messages.Negotiate.from_buffer(memoryview(offer))
    flags = _WANTED & theirs.protocol_flags
    has_macros = ActionFlags.SETSYMLIST in theirs.action_flags
    ours = messages.Negotiate(
        version=min(theirs.version, 6),
        action_flags=ActionFlags.SETSYMLIST if has_macros else ActionFlags.NONE,
        protocol_flags=flags,
        macros=_MACROS if has_macros else {},
    )
    waited_for = [letter for letter, flag in NR_FLAG_MAP.items() if flag not in flags]
    return Agreement(_packed(ours), frozenset([*waited_for, END_OF_MESSAGE]))


def client_of(content: bytes) -> tuple[str, int] | None:
    """Address and port of a connect packet; None for a client without an IP address (UNIX socket, unknown).

    Raises MilterError.
    """
    _name, _, place = content.partition(b"\0")
    family = place[:1]
    if family in {messages.Family.UNKNOWN.value, messages.Family.UNIX.value}:
        return None
    if family not in {messages.Family.INET.value, messages.Family.INET6.value} or len(place) < 4 or place[-1]:
        raise MilterError("a connect packet that cannot be read")
    text = place[3:-1].decode("ascii", "backslashreplace")
    try:
        return unpack(pack(text)), int.from_bytes(place[1:3], "big")
    except AddressError as error:
        raise MilterError(str(error)) from None


def macros_of(content: bytes) -> dict[bytes, bytes]:
    """Names and values of a macro packet, whatever octets clients put into them."""
    words = content[1:].split(b"\0")
    return dict(zip(words[0::2], words[1::2], strict=False))
