"""A session as it arrives: its connection, who is at the other end, and what is known of it already."""

import socket
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Client:
    """Who is at the other end, by the word of whoever passed the session."""

    address: str
    port: int
    session: str = ""
    """The id that came with the handover."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """What a session begins with."""

    connection: socket.socket
    """Connected, and not blocking."""
    client: Client
    stress: bool
    early: bool
    """The client has sent something before our greeting."""


def from_tcp(connection: socket.socket, *, stress: bool) -> Arrival | None:
    """A client that connected to us directly; None, and closed, when it is gone already."""
    try:
        connection.setblocking(False)
        address, port = connection.getpeername()[:2]
    except OSError:
        connection.close()
        return None
    client = Client(address.partition("%")[0].removeprefix("::ffff:"), port)
    return Arrival(connection, client, stress, talks_early(connection))


def talks_early(connection: socket.socket) -> bool:
    """Whether input waits on a connection that does not block; nothing is consumed."""
    try:
        return bool(connection.recv(1, socket.MSG_PEEK))
    except OSError:
        return False
