"""UNIX sockets for programs on this machine: binding one, knowing who has come, and reading lines of bounded length."""

import contextlib
import errno
import fcntl
import grp
import os
import pwd
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Protocol

import trio

_ACCEPT_PAUSE = 1.0


class Peer(Protocol):
    """A connected UNIX socket, Trio's or the standard library's."""

    def getsockopt(self, level: int, optname: int, buflen: int, /) -> bytes: ...


class InUseError(Exception):
    """Another program listens there."""


def bind_local(path: Path, *, mode: int, group: str = "", backlog: int = 128) -> socket.socket:
    """A listening UNIX socket at `path`; a socket file that nobody listens at any more is replaced.

    Raises InUseError if somebody does, OSError (with the path) if it cannot be made or another
    file is in the way, LookupError for an unknown group.
    """
    try:
        _make_folder(path.parent, group)
        with _only_one_at_a_time(path.parent):
            _remove_if_stale(path)
            return _bind(path, mode, group, backlog)
    except OSError as error:
        if error.errno and not error.filename:  # errors of sockets do not say where
            error.filename = str(path)
        raise


def _make_folder(folder: Path, group: str) -> None:
    """A folder of our own, that the group may pass through to reach the socket."""
    if folder.is_dir():
        return
    folder.mkdir(parents=True, mode=0o700)
    if group:
        os.chown(folder, -1, grp.getgrnam(group).gr_gid)
        folder.chmod(0o710)


def may_give(group: str) -> bool:
    """Whether we may give a socket to the group: only root may give it to any, others to those they are in."""
    return os.geteuid() == 0 or grp.getgrnam(group).gr_gid in {os.getegid(), *os.getgroups()}


def kept_out(folder: Path, group: str) -> list[str]:
    """A warning if members of the group cannot pass through the folder to the sockets in it."""
    if not group:
        return []
    found = folder.stat()
    if found.st_mode & 0o001 or (found.st_gid == grp.getgrnam(group).gr_gid and found.st_mode & 0o010):
        return []
    return [f"{folder} keeps the members of {group} from its sockets; chgrp {group} {folder} && chmod g+x {folder}"]


@contextlib.contextmanager
def _only_one_at_a_time(folder: Path) -> Iterator[None]:
    """Two programs that start at once must not take each other's new socket for a stale one."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _bind(path: Path, mode: int, group: str, backlog: int) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    umask = os.umask(0o777 & ~mode)
    try:
        sock.bind(str(path))
        if group:
            os.chown(path, -1, grp.getgrnam(group).gr_gid)
        sock.listen(backlog)
    except BaseException:
        sock.close()
        raise
    finally:
        os.umask(umask)
    return sock


def _remove_if_stale(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:  # also from a file of another kind, which may be precious
            if not path.is_socket():
                raise FileExistsError(errno.EEXIST, "a file that is not a socket is in the way", str(path)) from None
            path.unlink()
        except FileNotFoundError:
            return
        except BlockingIOError:
            raise InUseError(f"{path}: another program listens there") from None
        else:
            raise InUseError(f"{path}: another program listens there")


def remove_local(path: Path, sock: socket.socket) -> None:
    """Close a socket made by `bind_local` and remove its file."""
    sock.close()
    with contextlib.suppress(OSError):
        path.unlink()


def is_welcome(sock: Peer, group: str) -> bool:
    """The peer is root, our own user, or a member of `group` (if one is named)."""
    _pid, uid, gid = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    if uid in {0, os.geteuid()}:
        return True
    if not group:
        return False
    try:
        wanted = grp.getgrnam(group).gr_gid
        return gid == wanted or wanted in os.getgrouplist(pwd.getpwuid(uid).pw_name, gid)
    except KeyError:
        return False


async def serve_local(
    door: socket.socket,
    group: str,
    serve: Callable[[trio.socket.SocketType], Awaitable[None]],
    tell: Callable[..., None],
) -> None:
    """Let `serve` have every peer that is welcome, each in a task of its own, for ever; its socket is closed for it.

    `tell` is told (`state=`, and why) of those who are not, and when accepting fails.
    """
    listening = trio.socket.from_stdlib_socket(door)

    async def receive(peer: trio.socket.SocketType) -> None:
        with peer:
            if is_welcome(peer, group):
                await serve(peer)
            else:
                tell(state="refused", why="peer is neither root, nor our user, nor in the group")

    async with trio.open_nursery() as peers:
        while True:
            try:
                peer, _nobody = await listening.accept()
            except OSError as error:
                tell(state="accept_failed", error=error.strerror)
                await trio.sleep(_ACCEPT_PAUSE)
            else:
                peers.start_soon(receive, peer)


class Lines:
    """Splits what a peer sends into lines of at most `limit` bytes; remembers no more than one line."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._rest = b""
        self._skipping = False

    def feed(self, data: bytes) -> Iterator[bytes | None]:
        """The lines that are complete now, without their ends; None stands for a line that was too long."""
        *complete, rest = (self._rest + data).split(b"\n")
        for line in complete:
            if self._skipping or len(line) > self._limit:
                self._skipping = False
                yield None
            else:
                yield line.removesuffix(b"\r")
        if len(rest) > self._limit:
            self._skipping, rest = True, b""
        self._rest = rest
