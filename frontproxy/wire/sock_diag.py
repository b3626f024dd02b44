"""The kernel's account of TCP sockets (sock_diag over netlink): notices of those that ended, questions about others.

A notice says that a socket has ended: its connection is over, and no process holds it. A question names one socket by
its addresses and by its cookie, the number under which the kernel knows it (SO_COOKIE) and which is never used again.
A roll-call asks for all connections with one local port.
All layouts are those of linux/inet_diag.h; numbers are in the machine's own byte order, ports and addresses in the
network's.
"""

import enum
import errno
import struct
from collections.abc import Collection
from socket import AF_INET, AF_INET6, IPPROTO_TCP, inet_ntop, inet_pton
from typing import NamedTuple

NOTICE_GROUPS = 1 << 0 | 1 << 2
"""The multicast groups that tell of the end of TCP sockets, those of IPv4 and those of IPv6."""
NOTICE_SIZE = 68
"""Bytes at the beginning of a notice that are read here; a whole one has some 400."""
MOST_PORTS = 64
"""Ports that one filter can name."""

_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence number, port id
_ERROR = 2
_BY_FAMILY = 20
_REQUEST = 1
_DUMP = 0x300
_ALIGNED = 4

_SUBJECT = struct.Struct("=BBBxI")  # family, protocol, extensions, pad, states
_ANY_STATE = 0xFFFFFFFF
_ESTABLISHED, _FIN_WAIT_1, _FIN_WAIT_2, _CLOSE_WAIT, _LAST_ACK, _CLOSING = 1, 4, 5, 8, 9, 11
_CONNECTED = sum(1 << state for state in (_ESTABLISHED, _FIN_WAIT_1, _FIN_WAIT_2, _CLOSE_WAIT, _LAST_ACK, _CLOSING))
_PORTS = struct.Struct("!HH")
_ENDS_SIZE = 48
_TELL_APART = struct.Struct("=III")  # interface, and the cookie, its low half first on every machine

_FAMILY_AT, _PORTS_AT, _LOCAL_AT, _REMOTE_AT, _TELL_APART_AT = 16, 20, 24, 40, 56
_ADDRESS_SIZES: dict[int, int] = {AF_INET: 4, AF_INET6: 16}
_COOKIE = struct.Struct("=II")
_COOKIE_AT = 60
_INODE = struct.Struct("=I")
_INODE_AT = 84
_ERRNO = struct.Struct("=i")

_INSTRUCTION = struct.Struct("=HBBI")  # code, jump if true, jump if false, operand
_LOAD_HALF, _JUMP_IF_EQUAL, _RETURN = 0x28, 0x15, 0x06
_LOCAL_PORT_AT = 20


class Holding(enum.Enum):
    """What the kernel answers about a socket."""

    HELD = "a process has it open, or it is on its way to one"
    LET_GO = "no process has it any more; the connection is still being wound up"
    NOT_FOUND = "no connection: it is over, or was reset, which its server may not have noticed yet"
    UNTOLD = "the kernel gave no answer"


class HeldSocket(NamedTuple):
    """A connected TCP socket that some process has open."""

    cookie: int
    local: tuple[str, int]
    remote: tuple[str, int]
    interface: int
    """The index of the one it is bound to, or 0."""


def ended_cookie(notice: bytes | bytearray) -> int:
    """The cookie of the socket that has ended. The notice has at least NOTICE_SIZE bytes."""
    low, high = _COOKIE.unpack_from(notice, _COOKIE_AT)
    return int(low | high << 32)


def question(cookie: int, local: tuple[str, int], remote: tuple[str, int], interface: int = 0) -> bytes:
    """Ask about one socket; `interface` is the index of the one it is bound to. Raises OSError for a bad address."""
    family = AF_INET6 if ":" in local[0] else AF_INET
    low, high = cookie & 0xFFFFFFFF, cookie >> 32
    ends = b"".join(
        [
            _PORTS.pack(local[1], remote[1]),
            _packed(family, local[0]),
            _packed(family, remote[0]),
            _TELL_APART.pack(interface, low, high),
        ]
    )
    return _request(_REQUEST, low, _SUBJECT.pack(family, IPPROTO_TCP, 0, _ANY_STATE) + ends)


def roll_call(family: int, port: int) -> bytes:
    """Ask for all connections with this local port; `family` is AF_INET or AF_INET6. The answer has many parts."""
    ends = _PORTS.pack(port, 0).ljust(_ENDS_SIZE, b"\0")
    return _request(_REQUEST | _DUMP, 0, _SUBJECT.pack(family, IPPROTO_TCP, 0, _CONNECTED) + ends)


def _request(flags: int, sequence: int, body: bytes) -> bytes:
    return _HEADER.pack(_HEADER.size + len(body), _BY_FAMILY, flags, sequence, 0) + body


def present(part: bytes) -> tuple[list[HeldSocket], bool]:
    """What one part of the answer to a roll-call tells: the sockets that processes hold, and whether more parts follow.

    A connection in a listening socket's backlog is held by nobody yet, and one whose server has closed it by nobody any
    more.
    """
    sockets: list[HeldSocket] = []
    at = 0
    while len(part) - at >= _HEADER.size:
        length, kind, _flags, _sequence, _port = _HEADER.unpack_from(part, at)
        if kind != _BY_FAMILY or not _INODE_AT + _INODE.size <= length <= len(part) - at:
            return sockets, False  # the end, or an error
        (inode,) = _INODE.unpack_from(part, at + _INODE_AT)
        if inode and (family := part[at + _FAMILY_AT]) in _ADDRESS_SIZES:
            sockets.append(_socket_at(part, at, family))
        at += length + -length % _ALIGNED
    return sockets, at > 0


def _socket_at(part: bytes, at: int, family: int) -> HeldSocket:
    size = _ADDRESS_SIZES[family]
    local, remote = (inet_ntop(family, part[at + start : at + start + size]) for start in (_LOCAL_AT, _REMOTE_AT))
    local_port, remote_port = _PORTS.unpack_from(part, at + _PORTS_AT)
    interface, low, high = _TELL_APART.unpack_from(part, at + _TELL_APART_AT)
    return HeldSocket(low | high << 32, (local, local_port), (remote, remote_port), interface)


def holding(answer: bytes, cookie: int) -> Holding | None:
    """What an answer says about the socket with this cookie; None if it is not about it."""
    if len(answer) < _HEADER.size + _ERRNO.size:
        return None
    _length, kind, _flags, sequence, _port = _HEADER.unpack_from(answer)
    if sequence != cookie & 0xFFFFFFFF:
        return None
    if kind == _ERROR:
        (error,) = _ERRNO.unpack_from(answer, _HEADER.size)
        return Holding.NOT_FOUND if -error in {errno.ENOENT, errno.ESTALE} else Holding.UNTOLD
    if kind != _BY_FAMILY or len(answer) < _INODE_AT + _INODE.size or ended_cookie(answer) != cookie:
        return None
    (inode,) = _INODE.unpack_from(answer, _INODE_AT)
    return Holding.HELD if inode else Holding.LET_GO


def port_filter(ports: Collection[int]) -> bytes:
    """A classic BPF program that lets through the notices of sockets with one of these local ports (MOST_PORTS)."""
    instructions = [(_LOAD_HALF, 0, 0, _LOCAL_PORT_AT)]
    for left, port in zip(range(len(ports), 0, -1), sorted(ports), strict=True):
        instructions.append((_JUMP_IF_EQUAL, left, 0, port))
    instructions += [(_RETURN, 0, 0, 0), (_RETURN, 0, 0, 0xFFFFFFFF)]
    return b"".join([_INSTRUCTION.pack(*instruction) for instruction in instructions])


def _packed(family: int, address: str) -> bytes:
    return inet_pton(family, address.partition("%")[0] if family == AF_INET6 else address).ljust(16, b"\0")
