"""Listening sockets of the front door: opening them, with a clear word for what can go wrong."""

import errno
import socket
from collections.abc import Awaitable, Callable, Iterable

import trio

from frontproxy.core.mistakes import Mistake, Mistaken

BACKLOG = 4096
Address = tuple[str, int]

_REMEDIES = {
    errno.EADDRINUSE: "stop the program that listens there (ss -ltnp shows it), or choose another port",
    errno.EACCES: "ports below 1024 need CAP_NET_BIND_SERVICE: start it by systemd, or choose a port above 1023",
    errno.EADDRNOTAVAIL: "use an address of this machine (ip addr shows them)",
    errno.EAFNOSUPPORT: "this machine has no IPv6; remove the address",
}


class CannotListen(Mistaken):
    """An address cannot be bound; `number` is the errno."""

    def __init__(self, address: Address, error: OSError, file: str) -> None:
        self.number = error.errno
        remedy = _REMEDIES.get(error.errno or 0, "choose another address")
        text = f"cannot listen on {address_text(address)}: {error.strerror or error}"
        super().__init__([Mistake(file, 0, "listen.addresses", text, remedy)])


def address_text(address: Address) -> str:
    """`192.0.2.1:25` or `[2001:db8::1]:25`."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Door:
    """One listening TCP socket, and whoever serves it."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._scope = trio.CancelScope()
        self.address: Address = sock.getsockname()[:2]
        """Where it really listens: port 0 has become a free one."""

    async def serve(self, listen: Callable[[socket.socket], Awaitable[None]]) -> None:
        """Let `listen` have the socket until the door is closed."""
        with self._scope:
            await listen(self._socket)

    def close(self) -> None:
        """Nobody comes in any more."""
        self._scope.cancel()
        trio.lowlevel.notify_closing(self._socket)
        self._socket.close()


def open_doors(addresses: Iterable[Address], file: str) -> dict[Address, Door]:
    """A door for each address, or none at all: raises CannotListen, naming the configuration file."""
    opened: dict[Address, Door] = {}
    try:
        for address in addresses:
            opened[address] = Door(open_door(address, file))
    except CannotListen:
        for door in opened.values():
            door.close()
        raise
    return opened


def open_door(address: Address, file: str) -> socket.socket:
    """A listening TCP socket; raises CannotListen, naming the configuration file."""
    try:
        return _listening(address)
    except OSError as error:
        raise CannotListen(address, error, file) from error


def _listening(address: Address) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock
