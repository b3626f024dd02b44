"""Farewell: the reply is never eaten by a reset, and nobody stays longer or says more than the limits allow."""

import socket
from collections.abc import Iterator

import pytest

from frontproxy.handover.farewell import LINGER, LINGERING_LIMIT, Farewell
from tests.fakes import await_readable, open_descriptors, reset, tcp_pair

REPLY = "421 4.3.2 Come back later"
LINE = b"421 4.3.2 Come back later\r\n"


@pytest.fixture
def farewell() -> Iterator[Farewell]:
    farewell = Farewell()
    yield farewell
    farewell.close()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, client = tcp_pair()
    with ours, client:
        yield ours, client


def read_all(client: socket.socket) -> bytes:
    data = b""
    while chunk := client.recv(1000):
        data += chunk
    return data


def test_the_client_reads_the_reply_and_then_the_end(
    farewell: Farewell, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, client = pair
    farewell.reply(ours, REPLY, 0.0)

    assert read_all(client) == LINE
    assert len(farewell) == 1


def test_it_is_over_when_the_client_closes(farewell: Farewell, pair: tuple[socket.socket, socket.socket]) -> None:
    ours, client = pair
    farewell.reply(ours, REPLY, 0.0)
    farewell.tick(0.1)
    assert len(farewell) == 1

    client.close()
    await_readable(ours)
    farewell.tick(0.2)
    assert len(farewell) == 0
    assert ours.fileno() == -1


def test_it_is_over_when_the_client_resets(farewell: Farewell, pair: tuple[socket.socket, socket.socket]) -> None:
    ours, client = pair
    farewell.reply(ours, REPLY, 0.0)
    reset(client)
    await_readable(ours)
    farewell.tick(0.1)

    assert len(farewell) == 0


def test_a_client_that_never_closes_is_closed_after_the_linger(
    farewell: Farewell, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, _client = pair
    farewell.reply(ours, REPLY, 100.0)
    farewell.tick(100.0 + LINGER - 0.01)
    assert len(farewell) == 1

    farewell.tick(100.0 + LINGER)
    assert len(farewell) == 0
    assert ours.fileno() == -1


def test_a_client_that_has_sent_200_kb_reads_its_reply(
    farewell: Farewell, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, client = pair
    client.sendall(bytes(200_000))
    farewell.reply(ours, REPLY, 0.0)
    for tick in range(40):
        farewell.tick(tick * 0.025)

    assert len(farewell) == 1, "closing now would send a reset"
    assert read_all(client) == LINE


def test_what_a_client_says_after_the_reply_is_read_up_to_a_limit(
    farewell: Farewell, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, client = pair
    client.setblocking(False)
    farewell.reply(ours, REPLY, 0.0)
    sent = 0
    while len(farewell) and sent < 10_000_000:
        try:
            sent += client.send(bytes(100_000))
        except BlockingIOError:
            farewell.tick(0.0)
        except ConnectionError:
            break

    farewell.tick(0.0)
    assert len(farewell) == 0
    assert sent < 10_000_000


def test_a_client_that_has_gone_costs_nothing(farewell: Farewell, pair: tuple[socket.socket, socket.socket]) -> None:
    ours, client = pair
    reset(client)
    await_readable(ours)
    farewell.reply(ours, REPLY, 0.0)

    assert len(farewell) == 0
    assert ours.fileno() == -1


def test_a_client_that_has_ended_its_side_still_gets_the_reply(
    farewell: Farewell, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, client = pair
    client.shutdown(socket.SHUT_WR)
    await_readable(ours)
    farewell.reply(ours, REPLY, 0.0)
    farewell.tick(0.1)

    assert len(farewell) == 0
    assert read_all(client) == LINE


def test_a_reply_is_always_ascii(farewell: Farewell, pair: tuple[socket.socket, socket.socket]) -> None:
    ours, client = pair
    farewell.reply(ours, "421 \u00e9\ud800", 0.0)

    assert read_all(client) == b"421 ??\r\n"


def test_the_eldest_leave_first_when_descriptors_are_needed(farewell: Farewell) -> None:
    pairs = [socket.socketpair() for _ in range(3)]
    for ours, _theirs in pairs:
        farewell.reply(ours, REPLY, 0.0)

    assert farewell.hurry(2) == 2
    assert [ours.fileno() == -1 for ours, _theirs in pairs] == [True, True, False]
    assert farewell.hurry(2) == 1
    assert farewell.hurry(2) == 0
    for _ours, theirs in pairs:
        theirs.close()


def test_so_many_linger_and_no_more(farewell: Farewell) -> None:
    before = open_descriptors()
    for _ in range(LINGERING_LIMIT + 5):
        ours, theirs = socket.socketpair()
        farewell.reply(ours, REPLY, 0.0)
        theirs.close()

    assert len(farewell) == LINGERING_LIMIT
    farewell.tick(0.1)
    assert open_descriptors() <= before


def test_no_descriptor_is_leaked() -> None:
    before = open_descriptors()
    farewell = Farewell()
    for _ in range(5):
        ours, theirs = socket.socketpair()
        farewell.reply(ours, REPLY, 0.0)
        theirs.close()
    farewell.close()

    assert open_descriptors() <= before
