"""The kernel's notices: exact knowledge of when a session that was passed to a server has ended.

The kernel tells of the end of every TCP socket in our network namespace, without privilege and with nothing in the data
path. A session is recognised by its socket's cookie, read before the descriptor is passed. Two things can go wrong:
notices get lost when too many come at once, and a client that vanishes leaves its socket behind for minutes after the
server has let go of it. So the kernel can also be asked about one socket; a few a tick find what no notice told. And it
is asked once who is there already: servers may have sessions from a frontproxy before us.
"""

import ctypes
import select
import struct
import time
from collections.abc import Collection
from contextlib import ExitStack, suppress
from itertools import product
from socket import AF_INET, AF_INET6, AF_NETLINK, SO_RCVBUF, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_RAW, SOL_SOCKET, socket
from typing import NamedTuple, Self

from frontproxy.wire.sock_diag import (
    MOST_PORTS,
    NOTICE_GROUPS,
    NOTICE_SIZE,
    Holding,
    ended_cookie,
    holding,
    port_filter,
    present,
    question,
    roll_call,
)

AT_ONCE = 2000
"""Notices read in one tick; the others wait in the socket's buffer."""
BUFFER = 4 * 1024 * 1024
"""Bytes of notices the kernel may keep for us; it gives no more than net.core.rmem_max.

A notice takes 1,283 of them (Linux 6.18), and the kernel counts double what it gives: 332 notices fit into the usual
maximum of 212,992.
"""
PROOF_WITHIN = 0.5
"""Seconds a notice of our own may take at the start; it hardly ever takes a millisecond."""

_NETLINK_SOCK_DIAG = 4
_SO_ATTACH_FILTER = 26
_SO_DETACH_FILTER = 27
_SO_COOKIE = 57
_SO_BINDTOIFINDEX = 62
Endpoint = tuple[str, int]

_COOKIE = struct.Struct("=Q")
_INDEX = struct.Struct("=I")
_PROGRAM = struct.Struct("@HP")  # instructions, and where they stand
_INSTRUCTION_SIZE = 8
_ANSWER_SIZE = 1024
_PART_SIZE = 64 * 1024  # of the answer to a roll-call; the kernel makes parts of 32 kB at most


class NoNotices(Exception):
    """This kernel tells us nothing; the text says why."""


class SocketName(NamedTuple):
    """By what the kernel knows a connected TCP socket, whoever holds it. Never used again for another one."""

    cookie: int
    local: Endpoint
    remote: Endpoint
    """The other end of this very connection, be it the client or a trusted proxy."""
    interface: int = 0
    """The index of the one it is bound to, as every socket of a link-local client is; without it, it is not found."""

    @classmethod
    def of(cls, sock: socket, ends: tuple[Endpoint, Endpoint] | None = None) -> Self | None:
        """To be read while we hold the socket; None if it is not connected (any more).

        `ends`: its local and its remote address, if they are known already, which saves asking for them.
        """
        if ends is None and sock.family not in {AF_INET, AF_INET6}:
            return None
        try:
            (cookie,) = _COOKIE.unpack(sock.getsockopt(SOL_SOCKET, _SO_COOKIE, _COOKIE.size))
            (interface,) = _INDEX.unpack(sock.getsockopt(SOL_SOCKET, _SO_BINDTOIFINDEX, _INDEX.size))
            local, remote = ends or (sock.getsockname()[:2], sock.getpeername()[:2])
            return cls(cookie, local, remote, interface)
        except OSError:
            return None


class KernelNotices:
    """Reads notices and asks questions; nothing here waits, and no trouble of the kernel's raises."""

    def __init__(self, notices: socket, questions: socket) -> None:
        self._notices = notices
        self._questions = questions
        self._buffer = bytearray(NOTICE_SIZE)
        self.lost = 0
        """How often notices were lost because too many came at once; each time calls for questions."""

    @classmethod
    def open(cls, *, buffer: int = BUFFER) -> Self:
        """Begin to listen. Takes a moment: the kernel must first prove itself. Raises NoNotices."""
        with ExitStack() as sockets:
            try:
                notices = sockets.enter_context(_netlink(NOTICE_GROUPS, buffer))
                questions = sockets.enter_context(_netlink(0, _ANSWER_SIZE))
            except OSError as error:
                raise NoNotices(f"the kernel has no notices for us ({error.strerror})") from None
            opened = cls(notices, questions)
            opened.prove()
            sockets.pop_all()
        return opened

    def close(self) -> None:
        """Hear no more."""
        self._notices.close()
        self._questions.close()

    def ended(self) -> list[int]:
        """Cookies of TCP sockets that have ended since the last call, at most AT_ONCE; most are not ours to know."""
        cookies = []
        for _ in range(AT_ONCE):
            try:
                size = self._notices.recv_into(self._buffer)
            except BlockingIOError:
                break
            except OSError:  # ENOBUFS: told once, ahead of what is in the buffer
                self.lost += 1
                continue
            if size == NOTICE_SIZE:
                cookies.append(ended_cookie(self._buffer))
        return cookies

    def only_ports(self, ports: Collection[int]) -> bool:
        """Have notices only of sockets with these local ports: the others then cost us nothing, and no room.

        With no ports, or more than MOST_PORTS, all notices come. Returns whether they are filtered now.
        """
        with suppress(OSError):
            if 0 < len(ports) <= MOST_PORTS:
                _attach(self._notices, port_filter(ports))
                return True
        with suppress(OSError):  # ENOENT: there was none
            self._notices.setsockopt(SOL_SOCKET, _SO_DETACH_FILTER, 0)
        return False

    def ask(self, name: SocketName) -> Holding:
        """Is the socket held by some process? About ten microseconds; the kernel answers before `send` returns."""
        try:
            self._questions.send(question(name.cookie, name.local, name.remote, name.interface))
            while (told := holding(self._questions.recv(_ANSWER_SIZE), name.cookie)) is None:
                pass
        except OSError:
            return Holding.UNTOLD
        return told

    def held_on(self, ports: Collection[int]) -> list[SocketName]:
        """All connections with these local ports that some process holds, as far as the kernel tells.

        Not those that wait to be accepted. A few microseconds for each connection there is.
        """
        names: list[SocketName] = []
        with suppress(OSError), _netlink(0, _PART_SIZE) as questions:
            for family, port in product((AF_INET, AF_INET6), ports):
                questions.send(roll_call(family, port))
                more = True
                while more:
                    sockets, more = present(questions.recv(_PART_SIZE))
                    names += [SocketName(*held) for held in sockets]
        return names

    def prove(self) -> None:
        """Not every kernel that takes our questions answers them: end a connection of our own, and hear of it."""
        try:
            ours, theirs = _connection()
        except OSError as error:
            raise NoNotices(f"no connection to ourselves to try them with ({error.strerror or error})") from None
        with ours, theirs:
            name = SocketName.of(ours)
            if name is None or self.ask(name) is not Holding.HELD:
                raise NoNotices("the kernel does not answer questions about sockets")
        if not self._hears_of(name.cookie, time.monotonic() + PROOF_WITHIN):
            raise NoNotices("the kernel sends no notices of sockets that end")

    def _hears_of(self, cookie: int, deadline: float) -> bool:
        readable = select.poll()
        readable.register(self._notices, select.POLLIN)
        while cookie not in self.ended():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            readable.poll(left * 1000)
        return True


def _netlink(groups: int, buffer: int) -> socket:
    sock = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, _NETLINK_SOCK_DIAG)
    try:
        sock.setsockopt(SOL_SOCKET, SO_RCVBUF, buffer)
        sock.bind((0, groups))
    except OSError:
        sock.close()
        raise
    return sock


def _connection() -> tuple[socket, socket]:
    """Both ends of a connection over loopback."""
    with socket() as door, ExitStack() as sockets:
        client = sockets.enter_context(socket())
        for sock in (door, client):
            sock.settimeout(PROOF_WITHIN)  # a firewall may be in between even here
        door.bind(("127.0.0.1", 0))
        door.listen(1)
        client.connect(door.getsockname())
        server, _client = door.accept()
        sockets.pop_all()
    return server, client


def _attach(sock: socket, instructions: bytes) -> None:
    code = ctypes.create_string_buffer(instructions, len(instructions))
    program = _PROGRAM.pack(len(instructions) // _INSTRUCTION_SIZE, ctypes.addressof(code))
    sock.setsockopt(SOL_SOCKET, _SO_ATTACH_FILTER, program)
