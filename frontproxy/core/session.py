"""A session: one client's connection, from accept to the last byte, as far as it is ours."""

from dataclasses import dataclass
from socket import socket

from frontproxy.core.verdict import Verdict


@dataclass(slots=True, eq=False)
class Session:
    """What is carried along while a session is judged, waits and is given away. Times are monotonic seconds."""

    id: str
    socket: socket
    packed: bytes
    """The client's address (`core.address.pack`)."""
    client: bytes
    """The client it belongs to (`core.address.client_of`)."""
    address: str
    port: int
    server: tuple[str, int]
    accepted: float
    verdict: Verdict
    is_direct: bool = False
    """The socket connects these very addresses: nobody in between has told us of them."""
    early: bool = False
    ungreeted_by: tuple[str, ...] = ()
    """Servers that it was relayed to, and that did not greet it."""
