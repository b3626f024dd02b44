"""The kernel's account of TCP sockets: the layouts, and that no answer is taken for one about another socket."""

import errno
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontproxy.wire.sock_diag import (
    MOST_PORTS,
    NOTICE_SIZE,
    HeldSocket,
    Holding,
    ended_cookie,
    holding,
    port_filter,
    present,
    question,
    roll_call,
)

COOKIE = 0x0000_0007_0000_1002
LOCAL, REMOTE = ("192.0.2.25", 25), ("203.0.113.9", 0xBEEF)

_cookies = st.integers(0, 2**64 - 1)
_ports = st.integers(1, 65535)


def notice(cookie: int, *, inode: int = 4711, sequence: int = 0, kind: int = 20) -> bytes:
    """What the kernel sends about a socket, written down from linux/inet_diag.h field by field."""
    header = struct.pack("=IHHII", 88, kind, 0, sequence, 0)
    state = struct.pack("=BBBB", 2, 1, 0, 0)
    ports = struct.pack("!HH", 25, 4711)
    addresses = bytes(32)
    interface = bytes(4)
    name = struct.pack("=II", cookie % 2**32, cookie >> 32)
    expires, read_queue, write_queue, user = bytes(4), bytes(4), bytes(4), bytes(4)
    end = expires + read_queue + write_queue + user + struct.pack("=I", inode)
    return header + state + ports + addresses + interface + name + end


def error(number: int, *, cookie: int = COOKIE) -> bytes:
    """The kernel's refusal of a question."""
    return struct.pack("=IHHIIi", 36, 2, 0, cookie % 2**32, 0, -number) + bytes(16)


@given(_cookies)
def test_a_notice_tells_the_cookie(cookie: int) -> None:
    assert ended_cookie(notice(cookie)[:NOTICE_SIZE]) == cookie


def test_a_question_names_the_socket_by_its_ends_and_its_cookie() -> None:
    asked = question(COOKIE, LOCAL, REMOTE)

    assert struct.unpack_from("=IHHII", asked) == (72, 20, 1, 0x1002, 0)
    assert asked[16:24] == bytes([2, 6, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF])
    assert asked[24:28] == bytes([0, 25, 0xBE, 0xEF])
    assert asked[28:60] == bytes([192, 0, 2, 25]).ljust(16, b"\0") + bytes([203, 0, 113, 9]).ljust(16, b"\0")
    assert struct.unpack_from("=III", asked, 60) == (0, 0x1002, 7)
    assert len(asked) == 72


def test_a_question_about_ipv6_has_whole_addresses_and_the_interface() -> None:
    asked = question(COOKIE, ("fe80::1%lo", 25), ("fe80::2", 4711), 3)

    assert asked[16] == 10
    assert asked[28:60].hex() == "fe80" + "0" * 27 + "1" + "fe80" + "0" * 27 + "2"
    assert struct.unpack_from("=I", asked, 60) == (3,)


@pytest.mark.parametrize("address", ["", "192.0.2", "192.0.2.1%lo", "::x", "mx.example.com"])
def test_an_address_that_is_none_cannot_be_asked_about(address: str) -> None:
    with pytest.raises(OSError, match="illegal IP address"):
        question(COOKIE, (address, 25), REMOTE)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (notice(COOKIE, sequence=0x1002), Holding.HELD),
        (notice(COOKIE, sequence=0x1002, inode=0), Holding.LET_GO),
        (error(errno.ENOENT), Holding.NOT_FOUND),
        (error(errno.ESTALE), Holding.NOT_FOUND),
        (error(errno.EPERM), Holding.UNTOLD),
        (error(0), Holding.UNTOLD),
    ],
    ids=["held", "inode 0", "no such socket", "another cookie", "not permitted", "no error"],
)
def test_what_the_kernel_answers(answer: bytes, told: Holding) -> None:
    assert holding(answer, COOKIE) is told


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        notice(COOKIE, sequence=0x1001),
        notice(COOKIE + 2**32, sequence=0x1002),
        notice(COOKIE, sequence=0x1002, kind=3),
        error(errno.ENOENT, cookie=COOKIE + 1),
        error(errno.ENOENT)[:19],
        notice(COOKIE, sequence=0x1002)[:87],
    ],
    ids=["nothing", "another question", "another cookie", "another kind", "another's error", "cut error", "cut answer"],
)
def test_an_answer_about_another_socket_or_a_broken_one_is_none(answer: bytes) -> None:
    assert holding(answer, COOKIE) is None


@given(st.binary(max_size=120), _cookies)
def test_garbage_never_raises(garbage: bytes, cookie: int) -> None:
    assert holding(garbage, cookie) in {None, *Holding}


@given(st.sampled_from([notice(COOKIE, sequence=0x1002), error(errno.ENOENT)]), st.data())
def test_a_cut_answer_never_raises(answer: bytes, data: st.DataObject) -> None:
    assert holding(answer[: data.draw(st.integers(0, len(answer)))], COOKIE) in {None, holding(answer, COOKIE)}


END = struct.pack("=IHHIIi", 20, 3, 2, 0, 0, 0)
"""What the last part of an answer to a roll-call ends with."""


def told_of(held: HeldSocket, *, inode: int = 4711, extras: int = 0) -> bytes:
    """What the kernel tells about one socket in the answer to a roll-call; attributes follow what is read."""
    family = socket.AF_INET6 if ":" in held.local[0] else socket.AF_INET
    addresses = [socket.inet_pton(family, host).ljust(16, b"\0") for host, _port in (held.local, held.remote)]
    body = struct.pack("=BBBB", family, 1, 0, 0) + struct.pack("!HH", held.local[1], held.remote[1])
    body += b"".join(addresses) + struct.pack("=I", held.interface)
    body += struct.pack("=II", held.cookie % 2**32, held.cookie >> 32) + bytes(16) + struct.pack("=I", inode)
    header = struct.pack("=IHHII", 16 + len(body) + extras, 20, 2, 0, 0)
    return header + body + bytes(extras + -extras % 4)


def _ends(family: int, size: int) -> st.SearchStrategy[tuple[str, int]]:
    packed = st.binary(min_size=size, max_size=size)
    return st.tuples(packed.map(lambda packed: socket.inet_ntop(family, packed)), _ports)


_held = st.one_of(
    [
        st.builds(HeldSocket, _cookies, ends, ends, st.integers(0, 2**32 - 1))
        for ends in (_ends(socket.AF_INET, 4), _ends(socket.AF_INET6, 16))
    ]
)


def test_a_roll_call_asks_for_the_connections_with_a_local_port_and_no_listening_sockets() -> None:
    asked = roll_call(socket.AF_INET6, 25)

    assert struct.unpack_from("=IHHII", asked) == (72, 20, 0x301, 0, 0)
    states = int.from_bytes(asked[20:24], "little")
    listening, waiting, opening, closed = 10, 6, 3, 7
    assert asked[16:18] == bytes([10, 6])
    assert states & 1 << 1
    assert not states & (1 << listening | 1 << waiting | 1 << opening | 1 << closed)
    assert asked[24:] == bytes([0, 25]) + bytes(46)


@given(st.lists(st.tuples(_held, st.booleans(), st.integers(0, 50)), max_size=5), st.booleans())
def test_a_roll_call_tells_who_is_held(told: list[tuple[HeldSocket, bool, int]], is_last: bool) -> None:
    part = b"".join([told_of(held, inode=is_held, extras=extras) for held, is_held, extras in told])

    found, more = present(part + (END if is_last else b""))

    assert found == [held for held, is_held, _extras in told if is_held]
    assert more == (bool(told) and not is_last)


@pytest.mark.parametrize("part", [b"", END, error(errno.ENOENT), bytes(100)], ids=["nothing", "end", "error", "zeros"])
def test_a_roll_call_that_nobody_answers_is_over(part: bytes) -> None:
    assert present(part) == ([], False)


def test_an_unknown_family_is_passed_over() -> None:
    held = HeldSocket(COOKIE, LOCAL, REMOTE, 0)
    strange = bytearray(told_of(held))
    strange[16] = 99

    assert present(bytes(strange) + told_of(held)) == ([held], True)


@given(st.binary(max_size=300))
def test_a_garbled_roll_call_never_raises(garbage: bytes) -> None:
    present(garbage)
    present(told_of(HeldSocket(COOKIE, LOCAL, REMOTE, 0)) + garbage)


@given(st.integers(1, 184), st.integers(0, 2**32 - 1))
def test_a_roll_call_with_wrong_lengths_never_raises(cut: int, length: int) -> None:
    held = HeldSocket(COOKIE, LOCAL, REMOTE, 0)
    part = told_of(held) * 2
    present(part[:cut])
    present(part + struct.pack("=I", length) + part[4:])


@given(st.sets(_ports, min_size=1, max_size=MOST_PORTS), _ports)
def test_a_filter_lets_through_its_ports_and_no_others(ports: set[int], port: int) -> None:
    program = port_filter(ports)

    assert passes(program, next(iter(ports)))
    assert passes(program, port) == (port in ports)


def passes(program: bytes, port: int) -> bool:
    """Run a filter as the kernel does, on a notice of a socket with this local port."""
    packet = notice(COOKIE)[:20] + port.to_bytes(2, "big") + bytes(400)
    accumulator, position = -1, 0
    instructions = list(struct.iter_unpack("=HBBI", program))
    while True:
        code, if_true, if_false, operand = instructions[position]
        position += 1
        if code == 0x28:
            accumulator = int.from_bytes(packet[operand : operand + 2], "big")
        elif code == 0x15:
            position += if_true if accumulator == operand else if_false
        else:
            assert code == 0x06
            return bool(operand)
