"""Postfix's `pass` protocol: one connection carries one descriptor and a list of attributes.

The sender connects, and in one sendmsg sends a NUL byte that carries exactly one descriptor (SCM_RIGHTS), then
`name NUL value NUL` for each attribute, then one more NUL. Nothing is answered: the receiver closes the connection when
it has taken both, and that end-of-file means "a server process has your client". The four addresses are mandatory;
Postfix ignores names it does not know, and the bundled smtpd reads `session`, `score` and `stress` among them.
"""

from collections.abc import Mapping
from itertools import chain

CLIENT_ADDRESS = "client_address"
CLIENT_PORT = "client_port"
SERVER_ADDRESS = "server_address"
SERVER_PORT = "server_port"
MANDATORY = (CLIENT_ADDRESS, CLIENT_PORT, SERVER_ADDRESS, SERVER_PORT)

MESSAGE_LIMIT = 4096
"""Bytes a message may have, the first NUL included; ours have about 200."""


class PassProtocolError(ValueError):
    """The bytes are not a list of attributes, or one that is mandatory is missing."""


def encode(attributes: Mapping[str, str]) -> bytes:
    """The bytes of one handover, to be sent in one sendmsg together with the descriptor. Raises PassProtocolError."""
    for name in MANDATORY:
        if not attributes.get(name):
            raise PassProtocolError(f"{name} is missing")
    words = ["", *chain.from_iterable(attributes.items()), "", ""]
    text = "\0".join(words)
    if "" in attributes or text.count("\0") != len(words) - 1:
        wrong = next(name for name, value in attributes.items() if not name or "\0" in name + value)
        raise PassProtocolError(f"{wrong!r} cannot be sent")
    try:
        message = text.encode("ascii")
    except UnicodeEncodeError:
        raise PassProtocolError("an attribute is not ASCII") from None
    if len(message) > MESSAGE_LIMIT:
        raise PassProtocolError(f"the message has {len(message)} bytes, more than {MESSAGE_LIMIT}")
    return message


def decode(data: bytes) -> dict[str, str] | None:
    """The attributes, or None when the end of the list is still to come.

    Raises PassProtocolError for bytes that can never become a list, and for a list without its four addresses.
    """
    if data[:1] not in {b"", b"\0"}:
        raise PassProtocolError("the first byte is not NUL")
    end = _end_of_list(data[:MESSAGE_LIMIT])
    if end is None:
        if len(data) >= MESSAGE_LIMIT:
            raise PassProtocolError(f"no end of list in {MESSAGE_LIMIT} bytes")
        return None
    try:
        fields = data[1:end].decode("ascii").split("\0")[:-1]
    except UnicodeDecodeError:
        raise PassProtocolError("an attribute is not ASCII") from None
    attributes = dict(zip(fields[::2], fields[1::2], strict=True))
    for name in MANDATORY:
        if not attributes.get(name):
            raise PassProtocolError(f"{name} is missing")
    return attributes


def _end_of_list(data: bytes) -> int | None:
    """Where the empty name stands that ends the list; values may be empty, names may not."""
    position = 1
    while True:
        if data[position : position + 1] == b"\0":
            return position
        for _name_then_value in range(2):
            position = data.find(b"\0", position) + 1
            if position == 0:
                return None
