"""Sessions that arrive as descriptors, from senders who may do it badly."""

import os
import socket
from collections.abc import Callable, Iterator

import pytest

from backends.smtpd.arrival import Client
from backends.smtpd.handover import Handover, HandoverError
from frontproxy.wire import pass_protocol

_ATTRIBUTES = {
    "client_address": "192.0.2.1",
    "client_port": "4711",
    "server_address": "192.0.2.25",
    "server_port": "25",
}


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


@pytest.fixture
def way() -> Iterator[tuple[Handover, socket.socket]]:
    """A handover that is being read, and the sender's end of it."""
    receiver, sender = socket.socketpair()
    handover = Handover(receiver)
    with sender:
        yield handover, sender
    handover.close()


def _open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208


def test_a_session_arrives(way: tuple[Handover, socket.socket], pair: tuple[socket.socket, socket.socket]) -> None:
    handover, sender = way
    extra = {"session": "s1", "stress": "yes", "score": "-3", "something": "else"}
    socket.send_fds(sender, [pass_protocol.encode(_ATTRIBUTES | extra)], [pair[0].fileno()])
    arrival = handover.read()
    assert arrival is not None
    with arrival.connection:
        assert arrival.client == Client("192.0.2.1", 4711, "s1")
        assert arrival.stress
        assert not arrival.early
        assert not arrival.connection.getblocking()
    assert sender.recv(1) == b"", "the sender learns that its session was taken"


def test_a_client_that_talks_early_is_noticed_and_nothing_is_consumed(
    way: tuple[Handover, socket.socket], pair: tuple[socket.socket, socket.socket]
) -> None:
    handover, sender = way
    pair[1].send(b"EHLO")
    socket.send_fds(sender, [pass_protocol.encode(_ATTRIBUTES)], [pair[0].fileno()])
    arrival = handover.read()
    assert arrival is not None
    with arrival.connection:
        assert arrival.early
        assert arrival.connection.recv(10) == b"EHLO"


def test_a_handover_may_come_in_pieces(
    way: tuple[Handover, socket.socket], pair: tuple[socket.socket, socket.socket]
) -> None:
    handover, sender = way
    data = pass_protocol.encode(_ATTRIBUTES)
    assert handover.read() is None
    socket.send_fds(sender, [data[:1]], [pair[0].fileno()])
    assert handover.read() is None
    sender.send(data[1:30])
    assert handover.read() is None
    sender.send(data[30:])
    arrival = handover.read()
    assert arrival is not None
    arrival.connection.close()


def test_an_address_in_ipv6_clothes_is_ipv4(
    way: tuple[Handover, socket.socket], pair: tuple[socket.socket, socket.socket]
) -> None:
    handover, sender = way
    attributes = _ATTRIBUTES | {"client_address": "::ffff:192.0.2.7"}
    socket.send_fds(sender, [pass_protocol.encode(attributes)], [pair[0].fileno()])
    arrival = handover.read()
    assert arrival is not None
    arrival.connection.close()
    assert arrival.client.address == "192.0.2.7"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"garbage",
        b"\0\0",
        b"\0" + b"x" * 5000,
        b"\0client_address\0x\0\0",
        b"\0\xff\0\0\0",
        *(pass_protocol.encode(_ATTRIBUTES | {"client_port": port}) for port in ("0", "x", "65536", "-1")),
        pass_protocol.encode(_ATTRIBUTES | {"client_address": "nobody"}),
    ],
)
def test_garbage_is_refused_and_its_descriptor_closed(
    way: tuple[Handover, socket.socket], pair: tuple[socket.socket, socket.socket], data: bytes
) -> None:
    handover, sender = way
    before = _open_descriptors()
    if data:
        socket.send_fds(sender, [data], [pair[0].fileno()])
    sender.shutdown(socket.SHUT_WR)
    with pytest.raises(HandoverError):
        handover.read()
    assert _open_descriptors() == before - 1


@pytest.mark.parametrize("number", [0, 2, 5])
def test_anything_but_one_descriptor_is_refused_and_none_leaks(
    way: tuple[Handover, socket.socket], pair: tuple[socket.socket, socket.socket], number: int
) -> None:
    handover, sender = way
    before = _open_descriptors()
    socket.send_fds(sender, [pass_protocol.encode(_ATTRIBUTES)], [pair[0].fileno()] * number)
    with pytest.raises(HandoverError):
        handover.read()
    assert _open_descriptors() == before - 1


def _a_pipe() -> int:
    reading, writing = os.pipe()
    os.close(writing)
    return reading


def _a_datagram_socket() -> int:
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM).detach()


def _a_listening_socket() -> int:
    listener = socket.socket()
    listener.listen()
    return listener.detach()


@pytest.mark.parametrize("make", [_a_pipe, _a_datagram_socket, _a_listening_socket])
def test_a_descriptor_that_is_no_connection_is_closed(
    way: tuple[Handover, socket.socket], make: Callable[[], int]
) -> None:
    handover, sender = way
    descriptor = make()
    socket.send_fds(sender, [pass_protocol.encode(_ATTRIBUTES)], [descriptor])
    os.close(descriptor)
    before = _open_descriptors()
    with pytest.raises(HandoverError):
        handover.read()
    assert _open_descriptors() == before - 1
