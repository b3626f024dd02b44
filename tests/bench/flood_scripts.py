"""What the flood's clients say: scripts that yield words and are sent the reply to them.

A script is a generator. What it yields is said as it is; each complete reply of the server, without its line end, is
sent into it (of a reply in several lines the last one). When it returns, the client hangs up, and what it returns is
how the session went.
"""

import itertools
from collections.abc import Callable, Generator

from tests.real.postfix import DOMAIN

Script = Generator[bytes, bytes, str]

SERVED = "served"
"""What `known` returns when its message was accepted and its QUIT answered."""
_HELLO = b"EHLO client.example.org\r\n"
_FROM = b"MAIL FROM:<somebody@example.org>\r\n"
_MESSAGE = (
    (b"", b"220"),
    (_HELLO, b"250"),
    (_FROM, b"250"),
    (f"RCPT TO:<user@{DOMAIN}>\r\n".encode(), b"250"),
    (b"DATA\r\n", b"354"),
    (b"Subject: hello\r\n\r\nHello.\r\n.\r\n", b"250"),
    (b"QUIT\r\n", b"221"),
)


def known() -> Script:
    """A known client's session: one message, QUIT; a reply that is not the good one ends it."""
    for words, good in _MESSAGE:
        reply = yield words
        if not reply.startswith(good):
            return reply.decode("ascii", "replace")
    return SERVED


def idle() -> Script:
    """Connect and hold: never a word."""
    while True:
        yield b""


def guesser() -> Script:
    """Ask for one unknown recipient after the other, until thrown out."""
    words = itertools.chain((b"", _HELLO, _FROM), map(_recipient, itertools.count(1)))
    while True:
        yield next(words)


def early_talker() -> Script:
    """Say everything before the greeting, as spam software does, then hold."""
    yield _HELLO + _FROM + _recipient(1)
    while True:
        yield b""


STRANGERS: dict[str, Callable[[], Script]] = {"idle": idle, "guesser": guesser, "early talker": early_talker}
"""The kinds of strangers, in equal parts."""


def _recipient(number: int) -> bytes:
    return f"RCPT TO:<guess{number}@{DOMAIN}>\r\n".encode()
