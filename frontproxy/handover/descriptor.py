"""Handover by descriptor: a server process gets the client by Postfix's `pass` protocol, and we are out of it."""

import errno
import struct
from socket import AF_UNIX, SCM_RIGHTS, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM, SOL_SOCKET, socket

from frontproxy.core.session import Session
from frontproxy.wire import pass_protocol

_AT_ONCE = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC
_DESCRIPTOR = struct.Struct("@i")
_SHORT_OF = {errno.ENOBUFS, errno.ENOMEM, errno.ETOOMANYREFS}  # what this machine lacks, or unix(7) does not allow us

_MAY_NOT_ENTER = "; our user needs the group that may enter its folder, postdrop for Postfix's public/"


class Saturated(Exception):
    """The backend lives, but its backlog is full, or something that a handover needs has run out for a moment."""


class Unreachable(Exception):
    """Nobody answers at the backend's socket; the text says why."""


def message_for(session: Session, *, stress: bool) -> bytes:
    """The attributes of one handover; the last three are for the bundled smtpd, Postfix ignores them."""
    server_address, server_port = session.server
    return pass_protocol.encode(
        {
            pass_protocol.CLIENT_ADDRESS: session.address,
            pass_protocol.CLIENT_PORT: str(session.port),
            pass_protocol.SERVER_ADDRESS: server_address,
            pass_protocol.SERVER_PORT: str(server_port),
            "session": session.id,
            "score": f"{session.verdict.score:.1f}",
            "stress": "yes" if stress else "",
        }
    )


def hand_over(client: socket, path: str, message: bytes) -> socket:
    """Pass the client's descriptor to the server at `path`; the client's socket stays the caller's to close.

    Returns the handover connection: its end-of-file says that a server process has taken the session. All is sent in
    one sendmsg right after connect, since a sender that stalls blocks the whole service (Postfix). The connect is raw
    and non-blocking, since EAGAIN is how a full backlog shows. Raises Saturated or Unreachable.
    """
    try:
        connection = socket(AF_UNIX, _AT_ONCE)
    except OSError as error:  # no descriptor is free; there may be one in a moment
        raise Saturated(f"{path}: {error.strerror}") from None
    try:
        connection.connect(path)
        connection.sendmsg([message], [(SOL_SOCKET, SCM_RIGHTS, _DESCRIPTOR.pack(client.fileno()))])
    except BlockingIOError:
        connection.close()
        raise Saturated(path) from None
    except OSError as error:
        connection.close()
        if error.errno in _SHORT_OF:
            raise Saturated(f"{path}: {error.strerror}") from None
        hint = _MAY_NOT_ENTER if error.errno == errno.EACCES else ""
        raise Unreachable(f"{path}: {error.strerror}{hint}") from error
    return connection
