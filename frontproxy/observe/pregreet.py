"""Pregreet: whether a client talks before the greeting. Not one byte is consumed: the smtpd will answer them.

The teaser is the first line of a greeting that has not ended yet (RFC 5321 section 4.2.1): a mail server waits for its
last line, which the smtpd will say; much spam software takes it for the greeting, and talks.
"""

import contextlib
from socket import MSG_DONTWAIT, MSG_PEEK, socket
from typing import Literal

import trio

Manners = Literal["quiet", "early", "gone"]


def tease(sock: socket, text: str) -> None:
    """Send the first line of the greeting; `text` is what follows its code. Who has hung up will be seen later."""
    with contextlib.suppress(OSError):
        sock.send(f"220-{text}\r\n".encode("ascii", "replace"), MSG_DONTWAIT)


async def listen_for_pregreet(sock: socket) -> Literal["early", "gone"]:
    """Listen until the client talks early or hangs up; whoever is still quiet when this is cancelled has manners.

    The wait is level-triggered, so interest is dropped at the first event. The socket can be closed or given away
    afterwards without telling Trio.
    """
    try:
        while True:
            await trio.lowlevel.wait_readable(sock)
            manners = _peek(sock)
            if manners != "quiet":
                return manners
    finally:
        trio.lowlevel.notify_closing(sock)


def _peek(sock: socket) -> Manners:
    try:
        return "early" if sock.recv(1, MSG_PEEK | MSG_DONTWAIT) else "gone"
    except BlockingIOError:
        return "quiet"
    except OSError:
        return "gone"
