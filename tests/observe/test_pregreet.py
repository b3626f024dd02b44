"""Pregreet: who talks, hangs up or keeps quiet before the greeting; and not one byte is consumed."""

import socket
from collections.abc import Iterator

import pytest
import trio
import trio.testing

from frontproxy.observe.pregreet import Manners, listen_for_pregreet, tease
from tests.fakes import PATIENCE, reset, tcp_pair

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, client = tcp_pair()
    with ours, client:
        yield ours, client


async def listen(sock: socket.socket, seconds: float = PATIENCE) -> Manners:
    with trio.move_on_after(seconds):
        return await listen_for_pregreet(sock)
    return "quiet"


async def test_a_client_that_keeps_quiet_is_heard_out(pair: Pair) -> None:
    began = trio.current_time()

    assert await listen(pair[0], 0.02) == "quiet"
    assert trio.current_time() - began >= 0.02


async def test_a_client_that_has_talked_already_is_early(pair: Pair) -> None:
    ours, client = pair
    client.send(b"EHLO early.example\r\n")

    assert await listen(ours) == "early"


async def test_a_client_that_begins_to_talk_is_early_at_once(pair: Pair) -> None:
    ours, client = pair
    manners: list[Manners] = []

    async def observe() -> None:
        manners.append(await listen(ours))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(observe)
        await trio.testing.wait_all_tasks_blocked()
        client.send(b"E")
    assert manners == ["early"]


async def test_not_one_byte_is_consumed(pair: Pair) -> None:
    ours, client = pair
    client.send(b"EHLO early.example\r\n")
    await listen(ours)

    assert ours.recv(1000) == b"EHLO early.example\r\n"


async def test_a_client_that_hangs_up_is_gone(pair: Pair) -> None:
    ours, client = pair
    client.close()

    assert await listen(ours) == "gone"


async def test_a_client_that_resets_is_gone(pair: Pair) -> None:
    ours, client = pair
    reset(client)

    assert await listen(ours) == "gone"


async def test_a_client_that_talks_and_hangs_up_was_early(pair: Pair) -> None:
    ours, client = pair
    client.send(b"QUIT\r\n")
    client.close()

    assert await listen(ours) == "early"


async def test_the_socket_may_be_used_as_before_afterwards(pair: Pair) -> None:
    ours, client = pair
    blocking = ours.getblocking()
    assert await listen(ours, 0.0) == "quiet"
    client.send(b"x")
    assert await listen(ours) == "early"

    assert ours.getblocking() == blocking


async def test_a_number_that_is_used_again_has_nothing_to_do_with_the_old_socket(pair: Pair) -> None:
    """Trio is told before the descriptor closes, so a new socket of the same number is watched for itself."""
    ours, _client = pair
    with trio.move_on_after(0.005):
        await listen(ours)
    number = ours.fileno()
    ours.close()
    again, far_end = socket.socketpair()
    with again, far_end:
        assert number in {again.fileno(), far_end.fileno()}
        far_end.send(b"x")

        assert await listen(again) == "early"


async def test_the_teaser_is_the_first_line_of_a_greeting(pair: Pair) -> None:
    ours, client = pair
    tease(ours, "mx.example.com ESMTP")

    assert client.recv(100) == b"220-mx.example.com ESMTP\r\n"
    assert await listen(ours, 0.0) == "quiet"


async def test_a_client_that_takes_the_teaser_for_the_greeting_is_early(pair: Pair) -> None:
    ours, client = pair
    tease(ours, "mx.example.com ESMTP")
    assert client.recv(100)
    client.send(b"EHLO spam.example\r\n")

    assert await listen(ours) == "early"


async def test_who_has_hung_up_before_the_teaser_is_gone(pair: Pair) -> None:
    ours, client = pair
    reset(client)
    tease(ours, "mx.example.com ESMTP")

    assert await listen(ours) == "gone"
