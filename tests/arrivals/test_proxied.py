"""The PROXY header of one connection: read as it comes, and nothing after it."""

import socket
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frontproxy.arrivals.arrival import Arrival, NotArrived
from frontproxy.arrivals.proxied import Proxied
from frontproxy.wire.proxy_protocol import RECEIVED_LIMIT, encode_v1, encode_v2
from tests.fakes import await_readable, reset, tcp_pair

PROXY = ("203.0.113.1", 40000)
CLIENT, SERVER = ("192.0.2.7", 4711), ("198.51.100.25", 25)
V1, V2 = encode_v1(CLIENT, SERVER), encode_v2(CLIENT, SERVER, [(0x05, b"some session")])
SIGNATURE = V2[:12]
LOCAL = SIGNATURE + b"\x20\x00\x00\x00"


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Our end, and the proxy's."""
    ours, proxy = socket.socketpair()
    with ours, proxy:
        yield ours, proxy


@pytest.mark.parametrize("header", [V1, V2])
def test_the_header_tells_client_and_server(ends: tuple[socket.socket, socket.socket], header: bytes) -> None:
    ours, proxy = ends
    proxy.sendall(header)

    assert Proxied(ours, PROXY).read() == Arrival(ours, CLIENT, SERVER)


@pytest.mark.parametrize("header", [V1, V2, LOCAL, b"PROXY UNKNOWN\r\n"])
def test_not_one_octet_after_the_header_is_read(ends: tuple[socket.socket, socket.socket], header: bytes) -> None:
    ours, proxy = ends
    proxy.sendall(header + b"EHLO early\r\n")

    assert Proxied(ours, PROXY).read() is not None
    assert ours.recv(100) == b"EHLO early\r\n"


@settings(max_examples=30)
@given(header=st.sampled_from([V1, V2, LOCAL]), cuts=st.sets(st.integers(1, 60)))
def test_the_header_may_come_in_pieces(header: bytes, cuts: set[int]) -> None:
    pieces = [header[start:end] for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(header)], strict=True)]
    ours, proxy = socket.socketpair()
    with ours, proxy:
        proxied = Proxied(ours, PROXY)
        pieces = [piece for piece in pieces if piece]
        for piece in pieces[:-1]:
            proxy.sendall(piece)
            assert proxied.read() is None
            assert nothing_to_read(ours)  # or waiting for more would spin
        proxy.sendall(pieces[-1] + b"QUIT\r\n")
        assert proxied.read() is not None
        assert ours.recv(100) == b"QUIT\r\n"


def test_before_the_first_octet_there_is_nothing_to_tell(ends: tuple[socket.socket, socket.socket]) -> None:
    assert Proxied(ends[0], PROXY).read() is None


@pytest.mark.parametrize("header", [LOCAL, LOCAL[:12] + b"\x21\x00\x00\x00", b"PROXY UNKNOWN\r\n"])
def test_a_proxy_that_speaks_for_itself_checks_our_health(header: bytes) -> None:
    ours, proxy = tcp_pair()
    with ours, proxy:
        proxy.sendall(header)
        await_readable(ours)

        assert Proxied(ours, PROXY).read() == Arrival(ours, PROXY, ours.getsockname(), health_check=True)


@pytest.mark.parametrize("address", [PROXY[0], f"::ffff:{PROXY[0]}"])
def test_a_header_that_names_this_very_connection_checks_our_health(address: str) -> None:
    """HAProxy's checks in version 1; another connection of the same machine is a client's."""
    for port, is_check in ((PROXY[1], True), (PROXY[1] + 1, False)):
        ours, proxy = tcp_pair()
        with ours, proxy:
            proxy.sendall(encode_v1((PROXY[0], port), SERVER))
            await_readable(ours)
            arrival = Proxied(ours, (address, PROXY[1])).read()

            assert arrival is not None
            assert arrival.health_check is is_check
            assert arrival.client == (PROXY[0], port)


def test_an_ipv4_client_in_ipv6_clothes_is_ipv4(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, proxy = ends
    proxy.sendall(b"PROXY TCP6 ::ffff:192.0.2.7 2001:db8::25 4711 25\r\n")

    assert Proxied(ours, PROXY).read() == Arrival(ours, CLIENT, ("2001:db8::25", 25))


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        (b"EHLO client.example.org\r\n", "no PROXY header but b'EHLO client.example."),
        (b"PROXY TCP4 192.0.2.7 nowhere 4711 25\r\n", "b'nowhere' is not an address"),
        (encode_v1(("192.0.2.7", 0), SERVER), "a port of 0"),
        (encode_v2(CLIENT, ("198.51.100.25", 0)), "a port of 0"),
        (SIGNATURE + b"\x21\x11\xff\xff", "the header has 65551 octets"),
        (b"PROXY TCP4 " + b"1" * 107, "no end of line"),
    ],
)
def test_what_is_no_header_is_refused_at_once(
    ends: tuple[socket.socket, socket.socket], sent: bytes, text: str
) -> None:
    ours, proxy = ends
    proxy.sendall(sent)

    with pytest.raises(NotArrived, match=text) as caught:
        Proxied(ours, PROXY).read()
    assert caught.value.why == "broken"


def test_the_longest_header_drips_in_without_being_kept_twice(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, proxy = ends
    filling = RECEIVED_LIMIT - 16
    header = SIGNATURE + b"\x20\x00" + filling.to_bytes(2, "big") + bytes(filling)
    proxied = Proxied(ours, PROXY)
    for start in range(0, RECEIVED_LIMIT - 64, 64):
        proxy.sendall(header[start : start + 64])
        assert proxied.read() is None
    proxy.sendall(header[-64:])

    assert proxied.read() is not None


@pytest.mark.parametrize("begun", [b"", V1[:20]])
def test_a_proxy_may_hang_up_before_it_has_said_who_it_is(
    ends: tuple[socket.socket, socket.socket], begun: bytes
) -> None:
    ours, proxy = ends
    proxied = Proxied(ours, PROXY)
    proxy.sendall(begun)
    proxied.read()
    proxy.close()

    with pytest.raises(NotArrived) as caught:
        proxied.read()
    assert caught.value.why == "hung_up"


def test_a_reset_is_hanging_up_too() -> None:
    ours, proxy = tcp_pair()
    with ours:
        reset(proxy)
        await_readable(ours)
        with pytest.raises(NotArrived) as caught:
            Proxied(ours, PROXY).read()
        assert caught.value.why == "hung_up"


def test_giving_up_is_closing_without_a_word(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, proxy = ends

    Proxied(ours, PROXY).give_up()

    assert proxy.recv(100) == b""


def nothing_to_read(sock: socket.socket) -> bool:
    try:
        return not sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return True
