"""What a UNIX connection brings: one client, or something that is none."""

import os
import socket
from array import array
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frontproxy.arrivals.arrival import Arrival, NotArrived
from frontproxy.arrivals.passed import Passed
from frontproxy.wire import pass_protocol
from tests.fakes import PATIENCE, await_readable, open_descriptors, reset, tcp_pair

ATTRIBUTES = {
    "client_address": "192.0.2.7",
    "client_port": "4711",
    "server_address": "198.51.100.25",
    "server_port": "25",
}
LIST = pass_protocol.encode(ATTRIBUTES)


class Postscreen:
    """The other end of a connection, and a client to pass over it."""

    def __init__(self) -> None:
        self._ours, self.connection = socket.socketpair()
        self.connection.settimeout(PATIENCE)
        self.passed = Passed(self._ours)
        self.served, self.client = tcp_pair()
        self.served.setblocking(True)

    def send(self, data: bytes, *descriptors: int) -> None:
        socket.send_fds(self.connection, [data], descriptors)

    def close(self) -> None:
        left = self.passed.give_up()
        for sock in (left, self.connection, self.served, self.client):
            if sock is not None:
                sock.close()


@pytest.fixture
def postscreen() -> Iterator[Postscreen]:
    before = open_descriptors()
    built = Postscreen()
    yield built
    built.close()
    assert open_descriptors() <= before


def refusal(passed: Passed) -> tuple[str, str]:
    with pytest.raises(NotArrived) as caught:
        passed.read()
    return caught.value.why, str(caught.value)


def test_a_client_comes_with_its_addresses(postscreen: Postscreen) -> None:
    postscreen.send(LIST, postscreen.served.fileno())

    arrival = postscreen.passed.read()

    assert arrival is not None
    with arrival.socket as client:
        assert arrival == Arrival(client, ("192.0.2.7", 4711), ("198.51.100.25", 25))
        assert client.getpeername() == postscreen.client.getsockname()
        assert not client.getblocking()
        assert not os.get_inheritable(client.fileno())


def test_closing_the_connection_says_that_the_client_was_taken(postscreen: Postscreen) -> None:
    postscreen.send(LIST, postscreen.served.fileno())
    arrival = postscreen.passed.read()

    assert arrival is not None
    arrival.socket.close()
    assert postscreen.connection.recv(1) == b""


def test_what_the_client_has_said_stays_unread(postscreen: Postscreen) -> None:
    postscreen.client.sendall(b"EHLO early\r\n")
    postscreen.send(LIST, postscreen.served.fileno())
    arrival = postscreen.passed.read()

    assert arrival is not None
    with arrival.socket as client:
        await_readable(client)
        assert client.recv(100) == b"EHLO early\r\n"


@settings(max_examples=20)
@given(cuts=st.sets(st.integers(1, len(LIST) - 1), max_size=5))
def test_the_list_may_come_in_pieces(cuts: set[int]) -> None:
    postscreen = Postscreen()
    ends = [*sorted(cuts), len(LIST)]
    descriptors = [postscreen.served.fileno()]
    for start, end in zip([0, *ends], ends, strict=False):
        assert postscreen.passed.read() is None
        postscreen.send(LIST[start:end], *descriptors)
        descriptors = []
    arrival = postscreen.passed.read()

    assert arrival is not None
    arrival.socket.close()
    postscreen.close()


def test_two_descriptors_are_both_closed(postscreen: Postscreen) -> None:
    before = open_descriptors()
    postscreen.send(LIST, postscreen.served.fileno(), postscreen.served.fileno())

    assert refusal(postscreen.passed) == ("broken", "more than one descriptor came")
    assert postscreen.passed.give_up() is None
    assert open_descriptors() == before - 1  # the connection


def test_a_hundred_descriptors_take_no_place_here(postscreen: Postscreen) -> None:
    before = open_descriptors()
    postscreen.send(LIST, *[postscreen.served.fileno()] * 100)

    assert refusal(postscreen.passed)[0] == "broken"
    assert open_descriptors() <= before


def test_a_second_message_with_a_descriptor_is_one_too_many(postscreen: Postscreen) -> None:
    for _ in range(2):
        postscreen.send(b"\0", postscreen.served.fileno())

    assert refusal(postscreen.passed) == ("broken", "more than one descriptor came")


def test_a_list_without_a_descriptor_brings_nobody(postscreen: Postscreen) -> None:
    postscreen.connection.sendall(LIST)

    assert refusal(postscreen.passed) == ("no_client", "no descriptor came")


def test_a_file_is_no_client(postscreen: Postscreen) -> None:
    descriptor = os.open("/dev/null", os.O_RDONLY)
    postscreen.send(LIST, descriptor)
    os.close(descriptor)

    assert refusal(postscreen.passed) == (
        "no_client",
        "the descriptor is no socket: Socket operation on non-socket",
    )


def test_a_listening_socket_is_no_client(postscreen: Postscreen) -> None:
    with socket.create_server(("127.0.0.1", 0)) as door:
        postscreen.send(LIST, door.fileno())

    assert refusal(postscreen.passed)[0] == "no_client"


def test_a_local_stream_is_no_client(postscreen: Postscreen) -> None:
    """The kernel tells nothing of it, so it would be served beyond all places."""
    one, other = socket.socketpair()
    with one, other:
        postscreen.send(LIST, one.fileno())

    assert refusal(postscreen.passed) == ("no_client", "the descriptor is no TCP connection")


def test_a_datagram_socket_is_no_client(postscreen: Postscreen) -> None:
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with one, other:
        postscreen.send(LIST, one.fileno())

    assert refusal(postscreen.passed) == ("no_client", "the descriptor is no TCP connection")


def test_a_client_that_was_reset_meanwhile_is_none(postscreen: Postscreen) -> None:
    reset(postscreen.client)
    await_readable(postscreen.served)
    postscreen.served.setblocking(False)
    with pytest.raises(ConnectionResetError):
        postscreen.served.recv(1)
    postscreen.send(LIST, postscreen.served.fileno())

    assert refusal(postscreen.passed)[0] == "no_client"


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("client_address", "unknown", "'unknown' is not an IPv4 or IPv6 address"),
        ("server_address", "[192.0.2.1]", "'[192.0.2.1]' is not an IPv4 or IPv6 address"),
        ("client_port", "0", "'0' is not a port"),
        ("client_port", "65536", "'65536' is not a port"),
        ("client_port", "+25", "'+25' is not a port"),
        ("server_port", "2 5", "'2 5' is not a port"),
        ("server_port", "9" * 3000, f"'{'9' * 60}' is not a port"),
    ],
)
def test_with_a_wrong_attribute_the_client_is_given_back(
    postscreen: Postscreen, name: str, value: str, text: str
) -> None:
    postscreen.send(pass_protocol.encode({**ATTRIBUTES, name: value}), postscreen.served.fileno())

    assert refusal(postscreen.passed) == ("broken", text)
    client = postscreen.passed.give_up()
    assert client is not None
    with client:
        assert client.getpeername() == postscreen.client.getsockname()


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"\0client_address\x00192.0.2.7\0\0", "client_port is missing"),
        (b"\0\0", "client_address is missing"),
        (b"EHLO", "the first byte is not NUL"),
        (b"\0" + b"x" * pass_protocol.MESSAGE_LIMIT, "no end of list in 4096 bytes"),
    ],
)
def test_what_is_no_list_brings_nobody(postscreen: Postscreen, data: bytes, text: str) -> None:
    postscreen.send(data, postscreen.served.fileno())

    assert refusal(postscreen.passed) == ("broken", text)


def test_an_end_before_the_end_of_the_list_is_hanging_up(postscreen: Postscreen) -> None:
    postscreen.send(LIST[:-1], postscreen.served.fileno())
    assert postscreen.passed.read() is None
    postscreen.connection.close()

    assert refusal(postscreen.passed)[0] == "hung_up"


def test_payload_of_another_kind_is_no_descriptor(postscreen: Postscreen) -> None:
    """Credentials may come along with anything."""
    credentials = array("i", [os.getpid(), os.getuid(), os.getgid()])
    postscreen.connection.sendmsg([LIST], [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, credentials)])

    assert refusal(postscreen.passed) == ("no_client", "no descriptor came")
