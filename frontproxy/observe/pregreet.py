"""Pregreet: whether a client talks before the greeting. Not one byte is consumed: the smtpd will answer them."""

from socket import MSG_DONTWAIT, MSG_PEEK, socket
from typing import Literal

import trio

Manners = Literal["quiet", "early", "gone"]


async def listen_for_pregreet(sock: socket, *, deadline: float) -> Manners:
    """Listen until `deadline` (Trio's clock): it was quiet, it talked early, or it hung up.

    The wait is level-triggered, so interest is dropped at the first event. The socket can be closed or given away
    afterwards without telling Trio.
    """
    manners: Manners = "quiet"
    try:
        with trio.move_on_at(deadline):
            await trio.lowlevel.wait_readable(sock)
            manners = _peek(sock)
    finally:
        trio.lowlevel.notify_closing(sock)
    return manners


def _peek(sock: socket) -> Manners:
    try:
        return "early" if sock.recv(1, MSG_PEEK | MSG_DONTWAIT) else "gone"
    except BlockingIOError:
        return "quiet"
    except OSError:
        return "gone"
