"""Listening sockets of the front door: opening them, with a clear word for what can go wrong.

A door is a TCP address, the path of a UNIX socket where other programs pass clients to us, or a socket that systemd has
opened for us. A reload keeps the doors that the new Setup wants as well.
"""

import errno
import os
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import trio

from frontproxy.core.config_values import Listen
from frontproxy.core.mistakes import Mistake, Mistaken
from frontproxy.local import InUseError, bind_local, remove_local

BACKLOG = 4096
Address = tuple[str, int] | Path
"""Where a door is: host and port, or the path of a UNIX socket."""

_PORTS = {
    errno.EADDRINUSE: "stop the program that listens there (ss -ltnp shows it), or choose another port",
    errno.EACCES: "ports below 1024 need CAP_NET_BIND_SERVICE: start it by systemd, or choose a port above 1023",
    errno.EADDRNOTAVAIL: "use an address of this machine (ip addr shows them)",
    errno.EAFNOSUPPORT: "this machine has no IPv6; remove the address",
}
_PATHS = {
    errno.EADDRINUSE: "stop the program that listens there (ss -lxp shows it), or choose another path",
    errno.EACCES: "let our user write in its folder, or choose another path",
    errno.EEXIST: "move the file away, or choose another path",
}


class CannotListen(Mistaken):
    """A door cannot be opened; `number` is the errno."""

    def __init__(self, address: Address, error: OSError, file: str) -> None:
        self.number = error.errno
        remedies, other = (_PATHS, "path") if isinstance(address, Path) else (_PORTS, "address")
        remedy = remedies.get(error.errno or 0, f"choose another {other}")
        text = f"cannot listen on {address_text(address)}: {error.strerror or error}"
        super().__init__([Mistake(file, 0, "listen.addresses", text, remedy)])


def address_text(address: Address) -> str:
    """As config.toml spells it: `192.0.2.1:25`, `[2001:db8::1]:25` or `pass:/path`."""
    if isinstance(address, Path):
        return f"pass:{address}"
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Door:
    """One listening socket, and whoever serves it. A door at a path of our own takes its socket file with it."""

    def __init__(self, sock: socket.socket, path: Path | None = None) -> None:
        self._socket = sock
        self._path = path
        self._scope = trio.CancelScope()
        self.address = _address_of(sock)
        """Where it really listens: port 0 has become a free one."""

    async def serve(self, listen: Callable[[socket.socket], Awaitable[None]]) -> None:
        """Let `listen` have the socket until the door is closed."""
        with self._scope:
            await listen(self._socket)

    def close(self) -> None:
        """Nobody comes in any more."""
        self._scope.cancel()
        trio.lowlevel.notify_closing(self._socket)
        if self._path is None:
            self._socket.close()
        else:
            remove_local(self._path, self._socket)


def doors_for(
    listen: Listen,
    file: str,
    *,
    opened: Mapping[Address, Door] | None = None,
    inherited: Sequence[socket.socket] = (),
) -> dict[Address, Door]:
    """All doors that `listen` names, by the address that it gives them: those of `opened` that are among them, the
    others new. `inherited` are the listening sockets from systemd; a door gets a copy, so they can be used again.

    Either all can be had, or none is opened: raises Mistaken, naming the configuration file.
    """
    doors: dict[Address, Door] = {}
    fresh: list[Door] = []
    try:
        for address, opener in _openers(listen, file, inherited).items():
            if opened is not None and address in opened:
                doors[address] = opened[address]
            else:
                doors[address] = opener()
                fresh.append(doors[address])
    except Mistaken:
        for door in fresh:
            door.close()
        raise
    return doors


def _openers(listen: Listen, file: str, inherited: Sequence[socket.socket]) -> dict[Address, Callable[[], Door]]:
    """How each door is opened. What systemd has opened already is not opened a second time."""
    openers: dict[Address, Callable[[], Door]] = {}
    openers |= {address: partial(_open_tcp, address, file) for address in listen.addresses}
    openers |= {path: partial(_open_pass, path, file) for path in listen.pass_sockets}
    if listen.from_systemd:
        if not inherited:
            what, remedy = "systemd passed no listening socket", "start frontproxy by frontproxy.socket"
            raise Mistaken([Mistake(file, 0, "listen.addresses", what, remedy)])
        openers |= {_address_of(sock): partial(_copy, sock, file) for sock in inherited}
    return openers


def _address_of(sock: socket.socket) -> Address:
    name = sock.getsockname()
    return Path(os.fsdecode(name)) if sock.family == socket.AF_UNIX else name[:2]


def _copy(sock: socket.socket, file: str) -> Door:
    try:
        return Door(sock.dup())
    except OSError as error:
        raise CannotListen(_address_of(sock), error, file) from error


def _open_pass(path: Path, file: str) -> Door:
    """Who may pass clients to us is up to the folder, as with Postfix's own sockets."""
    try:
        return Door(bind_local(path, mode=0o666, backlog=BACKLOG), path)
    except InUseError:
        error = OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        raise CannotListen(path, error, file) from None
    except OSError as error:
        raise CannotListen(path, error, file) from error


def _open_tcp(address: tuple[str, int], file: str) -> Door:
    try:
        return Door(_listening(address))
    except OSError as error:
        raise CannotListen(address, error, file) from error


def _listening(address: tuple[str, int]) -> socket.socket:
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
