"""The relay: octets go both ways, ends and resets are passed on, failures are told, and every wait has a limit."""

import contextlib
import math
import os
import select
import socket
from collections.abc import Callable, Iterator

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from frontproxy.handover import relay, relay_session
from frontproxy.handover.descriptor import Saturated, Unreachable
from frontproxy.handover.relay import LOOKED_AT, ROUNDS, TURN
from frontproxy.handover.relay_session import (
    CHUNK,
    CHUNKS,
    CONNECT_LIMIT,
    GREETING_LIMIT,
    HALF_CLOSED_LIMIT,
    IDLE_LIMIT,
    LINGER_LIMIT,
    STUCK_LIMIT,
)
from tests.fakes import PATIENCE, open_descriptors, reset
from tests.handover.relaying import Relaying, is_readable
from tests.handover.test_descriptor import at_most_descriptors

Leave = Callable[[socket.socket], None]

HEADER = b"PROXY TCP4 192.0.2.1 198.51.100.25 4711 25\r\n"


@pytest.fixture
def relaying() -> Iterator[Relaying]:
    with Relaying() as relaying:
        yield relaying


def test_the_server_gets_the_header_and_both_get_each_others_octets(relaying: Relaying) -> None:
    client, server = relaying.open(header=HEADER)
    assert server.recv(1000) == HEADER

    server.send(b"220 hello\r\n")
    assert relaying.read(client, 11) == b"220 hello\r\n"
    client.send(b"EHLO client\r\n")
    assert relaying.read(server, 13) == b"EHLO client\r\n"

    assert relaying.told.began == ["s"]
    assert len(relaying.relay) == 1


@pytest.mark.parametrize("first", ["client", "server"])
def test_a_session_is_done_when_both_have_ended(first: str, relaying: Relaying) -> None:
    client, server = relaying.greeted()
    before = open_descriptors()
    one, other = (client, server) if first == "client" else (server, client)

    one.send(b"the last words")
    one.shutdown(socket.SHUT_WR)
    assert relaying.read(other, 100) == b"the last words"
    other.send(b"understood")
    assert relaying.read(one, 10) == b"understood"
    other.close()
    relaying.turn_until(lambda: relaying.told.ended)

    counts = (14, 21) if first == "client" else (10, 25)
    assert relaying.told.ended == [("s", *counts, "done")]
    assert len(relaying.relay) == 0
    assert open_descriptors() == before - 3, "both of ours are closed, and the one closed here"


def test_servers_on_ipv6_are_reached() -> None:
    with Relaying("::1") as relaying:
        relaying.greeted()


def test_a_client_that_talks_too_early_is_not_read_until_the_server_greets(relaying: Relaying) -> None:
    client, server = relaying.open()
    client.send(b"EHLO early\r\n")
    relaying.turn_until_quiet()
    assert not is_readable(server)

    server.send(b"220 hello\r\n")

    assert relaying.read(server, 12) == b"EHLO early\r\n"


def test_an_early_talker_that_closes_its_side_is_still_served_and_wakes_nobody(relaying: Relaying) -> None:
    client, server = relaying.open()
    client.send(b"QUIT\r\n")
    client.shutdown(socket.SHUT_WR)
    relaying.turn_until_quiet()
    assert not relaying.told.ended

    server.send(b"220 hello\r\n")

    assert relaying.read(server, 100) == b"QUIT\r\n"
    server.close()
    assert relaying.read(client, 100) == b"220 hello\r\n"
    relaying.turn_until(lambda: relaying.told.ended)
    assert relaying.told.ended == [("s", 6, 11, "done")]


def end(sock: socket.socket) -> None:
    sock.close()


@pytest.mark.parametrize("leave", [end, reset])
def test_a_client_that_leaves_before_the_greeting_is_gone(leave: Leave, relaying: Relaying) -> None:
    client, server = relaying.open(header=HEADER)

    leave(client)
    relaying.turn_until(lambda: relaying.told.ended)

    assert relaying.told.ended == [("s", 0, 0, "client_gone")]
    assert server.recv(1000) == HEADER
    assert server.recv(1000) == b""


def test_a_server_that_nobody_serves_is_unreachable_at_once(relaying: Relaying) -> None:
    ours, client = relaying.visit()
    relaying.door.close()
    before = open_descriptors()

    with pytest.raises(Unreachable, match=f"127.0.0.1:{relaying.target[1]}: Connection refused"):
        relaying.relay.open(ours, relaying.target, HEADER, "s")

    assert open_descriptors() <= before
    assert len(relaying.relay) == 0
    client.send(b"still here")
    assert ours.recv(100) == b"still here"


def test_an_address_without_a_way_to_it_is_unreachable(relaying: Relaying) -> None:
    with pytest.raises(Unreachable, match=r"255\.255\.255\.255:25: "):
        relaying.relay.open(relaying.visit()[0], ("255.255.255.255", 25), HEADER, "s")


def test_without_a_free_descriptor_the_server_is_not_blamed(relaying: Relaying) -> None:
    ours, _client = relaying.visit()
    with at_most_descriptors(0), pytest.raises(Saturated, match="Too many open files"):
        relaying.relay.open(ours, relaying.target, HEADER, "s")


@pytest.mark.parametrize(("leave", "why"), [(end, "closed before its greeting"), (reset, "Connection reset by peer")])
def test_a_client_whose_server_fails_is_given_back_as_it_came(leave: Leave, why: str, relaying: Relaying) -> None:
    client, server = relaying.open()
    client.send(b"EHLO early\r\n")
    relaying.turn_until_quiet()

    leave(server)
    relaying.turn_until(lambda: relaying.told.failed)

    assert relaying.told.failed == [("s", why)]
    (ours,) = relaying.told.given_back
    assert ours.gettimeout() is None
    assert ours.recv(100) == b"EHLO early\r\n"
    ours.send(b"421 sorry\r\n")
    assert client.recv(100) == b"421 sorry\r\n"
    assert not relaying.relay.turn(), "it is watched no more"


def test_a_client_that_was_given_back_can_go_to_another_server_at_once(relaying: Relaying) -> None:
    client, server = relaying.open("first")
    client.send(b"EHLO early\r\n")
    relaying.told.then = lambda: relaying.relay.open(relaying.told.given_back[0], relaying.target, b"", "second")

    server.close()
    relaying.turn_until(lambda: relaying.told.failed)
    another = relaying.accept()
    another.send(b"220 hello\r\n")

    assert relaying.read(another, 12) == b"EHLO early\r\n"
    assert relaying.read(client, 11) == b"220 hello\r\n"
    assert relaying.told.began == ["second"]


def pass_time(relaying: Relaying, seconds: float) -> None:
    relaying.now += seconds
    relaying.relay.tick(relaying.now)


def test_a_silent_server_fails_when_the_limit_is_over(relaying: Relaying) -> None:
    _client, server = relaying.open()

    pass_time(relaying, GREETING_LIMIT)
    assert not relaying.told.failed
    pass_time(relaying, 0.1)

    assert relaying.told.failed == [("s", "no greeting in 30 s")]
    assert server.recv(10) == b""


def test_a_connect_that_does_not_come_about_fails_when_the_limit_is_over() -> None:
    with Relaying(backlog=0) as relaying:
        relaying.keep(socket.create_connection(relaying.target))  # the backlog is full now
        relaying.relay.open(relaying.visit()[0], relaying.target, HEADER, "s")
        relaying.turn_until_quiet()

        pass_time(relaying, CONNECT_LIMIT)
        assert not relaying.told.failed
        pass_time(relaying, 0.1)

    assert relaying.told.failed == [("s", "no connection in 5 s")]


@pytest.mark.real
def test_a_connect_that_comes_about_late_sends_its_header_then() -> None:
    """The kernel tries again after a second."""
    with Relaying(backlog=0) as relaying:
        relaying.keep(socket.create_connection(relaying.target))
        relaying.relay.open(relaying.visit()[0], relaying.target, HEADER, "s")
        relaying.turn_until_quiet()
        relaying.accept()
        relaying.turn_until(lambda: is_readable(relaying.door))
        server = relaying.accept()

        assert relaying.read(server, len(HEADER)) == HEADER
        server.send(b"220 hello\r\n")
        relaying.turn_until(lambda: relaying.told.began)


def test_a_session_without_an_octet_for_eleven_minutes_is_idle(relaying: Relaying) -> None:
    client, server = relaying.greeted()

    pass_time(relaying, IDLE_LIMIT - 1)
    server.send(b"250 OK\r\n")
    assert relaying.read(client, 8) == b"250 OK\r\n"
    pass_time(relaying, IDLE_LIMIT)
    assert not relaying.told.ended
    pass_time(relaying, 0.1)

    assert relaying.told.ended == [("s", 0, 19, "idle")]
    assert (client.recv(10), server.recv(10)) == (b"", b"")


@pytest.mark.parametrize(("first", "limit"), [("client", HALF_CLOSED_LIMIT), ("server", LINGER_LIMIT)])
def test_a_session_with_one_end_has_less_time(first: str, limit: float, relaying: Relaying) -> None:
    client, server = relaying.greeted()
    relaying.now += 300
    one, other = (client, server) if first == "client" else (server, client)
    one.shutdown(socket.SHUT_WR)
    assert relaying.read(other, 1) == b""

    pass_time(relaying, limit)
    assert not relaying.told.ended
    pass_time(relaying, 0.1)

    assert relaying.told.ended == [("s", 0, 11, "half_closed")]


def test_the_limits_of_all_are_looked_at_in_turn(relaying: Relaying) -> None:
    for number in range(LOOKED_AT):
        relaying.greeted(f"open{number}")
    relaying.open("waiting")

    pass_time(relaying, GREETING_LIMIT + 1)
    assert not relaying.told.failed
    pass_time(relaying, 0)
    assert [name for name, _why in relaying.told.failed] == ["waiting"]


def test_the_last_words_of_a_server_that_resets_reach_the_client(relaying: Relaying) -> None:
    client, server = relaying.greeted()
    client.send(b"too many commands")
    assert relaying.read(server, 3) == b"too"

    server.send(b"421 too many errors\r\n")
    server.close()  # with octets unread, which makes it a reset
    assert relaying.read(client, 100) == b"421 too many errors\r\n"
    client.send(b"what it sends now is dropped")
    client.close()
    relaying.turn_until(lambda: relaying.told.ended)

    assert relaying.told.ended == [("s", 17, 32, "server_reset")]


def test_a_client_that_talks_to_a_server_that_is_gone_is_not_kept(relaying: Relaying) -> None:
    client, server = relaying.greeted()
    reset(server)
    assert relaying.read(client, 1) == b""

    for _ in range(3):
        relaying.now += LINGER_LIMIT / 3
        client.send(b"RSET\r\n")
        relaying.turn_until_quiet()
    pass_time(relaying, 1)

    assert relaying.told.ended == [("s", 0, 11, "server_reset")]


def with_unread_replies(relaying: Relaying, name: str = "s") -> tuple[socket.socket, socket.socket]:
    """A session whose client has been sent two chunks, more than the kernel keeps for it: the client and the server."""
    ours, client = relaying.visit()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, CHUNK // 2)
    relaying.relay.open(ours, relaying.target, b"", name)
    server = relaying.accept()
    server.sendall(b"220 hello\r\n" + bytes(CHUNK))
    relaying.turn_until_quiet()
    server.sendall(bytes(CHUNK - 20) + b"221 bye\r\n")
    relaying.turn_until_quiet()
    return client, server


def drip(relaying: Relaying, client: socket.socket, seconds: float) -> None:
    """A quarter of the limit goes by at a time, and the client takes a little each time."""
    for _ in range(4):
        pass_time(relaying, seconds / 4)
        client.recv(3000)
        relaying.turn_until_quiet()


def test_a_client_that_reads_in_drips_is_let_go_soon_after_its_server_has_hung_up(relaying: Relaying) -> None:
    client, server = with_unread_replies(relaying)
    server.close()
    relaying.turn_until_quiet()

    drip(relaying, client, LINGER_LIMIT)
    assert not relaying.told.ended
    pass_time(relaying, 0.1)

    ((_name, _to_server, to_client, why),) = relaying.told.ended
    assert why == "undelivered"
    assert to_client < 2 * CHUNK
    with pytest.raises(ConnectionResetError):
        relaying.read(client, CHUNK)


def test_a_client_that_reads_in_drips_while_its_server_talks_on_is_let_go(relaying: Relaying) -> None:
    client, server = with_unread_replies(relaying)

    drip(relaying, client, STUCK_LIMIT)
    assert not relaying.told.ended
    pass_time(relaying, 0.1)

    assert [why for *_, why in relaying.told.ended] == ["client_stuck"]
    with contextlib.suppress(ConnectionResetError):
        assert server.recv(10) == b""


def test_a_client_that_was_slow_and_has_read_all_may_stay(relaying: Relaying) -> None:
    client, server = with_unread_replies(relaying)
    pass_time(relaying, STUCK_LIMIT)

    assert relaying.read(client, 2 * CHUNK).endswith(b"221 bye\r\n")
    pass_time(relaying, STUCK_LIMIT + 1)

    assert not relaying.told.ended
    client.send(b"NOOP\r\n")
    assert relaying.read(server, 6) == b"NOOP\r\n"


def test_a_server_may_read_slowly(relaying: Relaying) -> None:
    client, server = relaying.greeted()
    client.setblocking(False)
    for _ in range(4):
        with contextlib.suppress(BlockingIOError):
            client.send(bytes(10**7))
        relaying.turn_until_quiet()

    pass_time(relaying, STUCK_LIMIT + 1)

    assert not relaying.told.ended
    assert server.recv(1) == b"\0"


def test_a_client_that_another_process_keeps_open_can_come_again(relaying: Relaying) -> None:
    ours, client = relaying.visit()
    kept, number = relaying.keep(ours.dup()), ours.fileno()
    relaying.relay.open(ours, relaying.target, b"", "first")
    relaying.accept().send(b"220 first\r\n")
    assert relaying.read(client, 11) == b"220 first\r\n"
    relaying.relay.end_all("drain")
    assert ours.fileno() == -1

    again = socket.socket(fileno=os.dup2(kept.fileno(), number, inheritable=False))
    relaying.relay.open(again, relaying.target, b"", "second")

    server = relaying.accept()
    server.send(b"220 again\r\n")
    assert relaying.read(client, 11) == b"220 again\r\n"
    client.send(b"QUIT\r\n")
    assert relaying.read(server, 6) == b"QUIT\r\n"


class Unwatchable(socket.socket):
    """A client's socket that epoll does not take, as if it were a file."""

    def __init__(self, ours: socket.socket, file: int) -> None:
        super().__init__(fileno=ours.detach())
        self._file = file

    def fileno(self) -> int:
        return self._file


@pytest.mark.parametrize("greets", [False, True])
def test_a_client_that_cannot_be_watched_is_gone_and_its_server_not_blamed(greets: bool, relaying: Relaying) -> None:
    ours, client = relaying.visit()
    file = os.open(__file__, os.O_RDONLY)
    relaying.relay.open(Unwatchable(ours, file), relaying.target, HEADER, "s")
    server = relaying.accept()
    assert not relaying.told.ended, "its owner is not told of a session that it does not know yet"

    if greets:
        server.send(b"220 hello\r\n")
        relaying.turn_until(lambda: relaying.told.ended)
    else:
        pass_time(relaying, 0.1)

    os.close(file)
    assert relaying.told.ended == [("s", 0, 0, "client_gone")]
    assert not relaying.told.failed
    assert not relaying.bugs
    assert client.recv(10) == b""


def test_a_client_need_not_have_come_by_tcp(relaying: Relaying) -> None:
    ours, client = map(relaying.keep, socket.socketpair())
    relaying.relay.open(ours, relaying.target, b"", "s")
    server = relaying.accept()

    server.send(b"220 hello\r\n")
    assert relaying.read(client, 11) == b"220 hello\r\n"
    client.send(b"QUIT\r\n")
    assert relaying.read(server, 6) == b"QUIT\r\n"
    assert not relaying.bugs


def test_a_client_that_resets_ends_the_session(relaying: Relaying) -> None:
    client, server = relaying.greeted()
    client.send(b"MAIL")
    assert relaying.read(server, 4) == b"MAIL"

    reset(client)
    relaying.turn_until(lambda: relaying.told.ended)

    assert relaying.told.ended == [("s", 4, 11, "client_reset")]
    with contextlib.suppress(ConnectionResetError):
        assert server.recv(10) == b""


def test_a_receiver_that_takes_nothing_stops_the_sender_and_loses_nothing(relaying: Relaying) -> None:
    client, server = relaying.greeted()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, CHUNK)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, CHUNK)
    server.setblocking(False)
    sent = 0

    def is_stuck() -> bool:
        nonlocal sent
        if not select.select([], [server], [], 0.02)[1]:
            return True
        with contextlib.suppress(BlockingIOError):
            sent += server.send(bytes(CHUNK))
        return False

    relaying.turn_until(is_stuck)
    relaying.turn_until_quiet()
    assert not relaying.relay.turn(), "the relay waits without turning round"
    server.shutdown(socket.SHUT_WR)

    assert len(relaying.read(client, sent + 1)) == sent
    client.close()
    relaying.turn_until(lambda: relaying.told.ended)
    assert relaying.told.ended == [("s", 0, sent + 11, "done")]


def test_a_client_that_is_slow_from_the_first_gets_the_whole_greeting(relaying: Relaying) -> None:
    ours, client = relaying.visit()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    relaying.relay.open(ours, relaying.target, b"", "s")
    relaying.accept().sendall(bytes(CHUNK))
    relaying.turn_until_quiet()

    assert len(relaying.read(client, CHUNK)) == CHUNK


def test_both_may_fail_at_once_while_one_of_them_is_slow(relaying: Relaying) -> None:
    client, server = relaying.greeted()
    client.setblocking(False)
    for _ in range(4):
        with contextlib.suppress(BlockingIOError):
            client.send(bytes(10**7))
        relaying.turn_until_quiet()

    server.send(b"421 too much\r\n")
    server.close()
    reset(client)
    relaying.turn_until(lambda: relaying.told.ended)

    assert not relaying.bugs


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> int:
    """So many octets are read from one side in one turn."""
    monkeypatch.setattr(relay_session, "CHUNK", 1000)
    return 1000 * CHUNKS


def test_a_busy_session_does_not_keep_others_waiting(relaying: Relaying, small_chunks: int) -> None:
    busy_client, busy_server = relaying.greeted("busy")
    client, server = relaying.greeted("other")
    busy_client.send(bytes(2 * small_chunks))
    client.send(b"NOOP\r\n")

    relaying.relay.turn()

    assert server.recv(10) == b"NOOP\r\n"
    assert len(busy_server.recv(3 * small_chunks)) == small_chunks
    assert len(relaying.read(busy_server, small_chunks)) == small_chunks


def test_a_turn_that_is_over_is_gone_on_with_where_it_stopped(relaying: Relaying, small_chunks: int) -> None:
    ends = [relaying.greeted(f"s{number}") for number in range(3)]
    for client, _server in ends:
        client.send(bytes(2 * small_chunks))
    carried = []
    for _ in range(2 * len(ends)):
        assert relaying.relay.turn(until=relaying.now), "one is served, however late it is"
        carried.append([len(server.recv(CHUNK)) // small_chunks if is_readable(server) else 0 for _, server in ends])

    assert [sum(served) for served in carried] == [1] * 6
    assert [sum(served) for served in zip(*carried[:3], strict=True)] == [1, 1, 1], "nobody twice before all once"
    assert [sum(served) for served in zip(*carried, strict=True)] == [2, 2, 2]


def test_a_session_that_stays_busy_gets_no_more_in_each_turn(relaying: Relaying, small_chunks: int) -> None:
    client, server = relaying.greeted()
    carried: list[int] = []
    for _ in range(6):
        client.send(bytes(3 * small_chunks))
        relaying.relay.turn()
        carried.append(len(server.recv(10 * CHUNK)))

    assert max(carried) <= 2 * small_chunks, "one as it was left over, one as there was an event"


def test_a_busy_session_that_is_ended_meanwhile_is_not_gone_on_with(relaying: Relaying, small_chunks: int) -> None:
    client, _server = relaying.greeted()
    client.send(bytes(2 * small_chunks))
    relaying.relay.turn()

    relaying.relay.end_all("drain")
    relaying.relay.turn()

    assert relaying.told.ended == [("s", small_chunks, 11, "drain")]
    assert not relaying.bugs


def fail() -> None:
    raise RuntimeError("a bug")


def test_a_bug_when_a_session_begins_ends_this_session_only(relaying: Relaying) -> None:
    client, server = relaying.greeted("other")
    relaying.told.then = fail
    failing, greeting = relaying.open("s")
    greeting.send(b"220 hello\r\n")
    relaying.turn_until(lambda: relaying.told.ended)

    assert relaying.told.ended == [("s", 0, 0, "bug")]
    assert [str(bug) for bug in relaying.bugs] == ["a bug"]
    assert failing.recv(10) == b""
    client.send(b"NOOP\r\n")
    assert relaying.read(server, 6) == b"NOOP\r\n"


def test_a_bug_when_a_session_fails_or_ends_is_told_and_the_session_forgotten(relaying: Relaying) -> None:
    relaying.open("fails")
    relaying.told.then = fail
    pass_time(relaying, GREETING_LIMIT + 1)
    _client, server = relaying.greeted("ends")
    relaying.told.then = fail
    reset(_client)
    relaying.turn_until(lambda: relaying.told.ended)

    assert [str(bug) for bug in relaying.bugs] == ["a bug"] * 2
    assert len(relaying.relay) == 0
    with contextlib.suppress(ConnectionResetError):
        assert server.recv(10) == b""


def test_a_newcomer_within_a_batch_never_gets_the_number_of_one_that_has_just_ended(relaying: Relaying) -> None:
    ours, client = relaying.visit()
    relaying.relay.open(ours, relaying.target, b"", "first")
    server = relaying.accept()
    server.send(b"220 hello\r\n")
    relaying.turn_until(lambda: relaying.told.began)
    another, newcomer = relaying.visit()
    numbers = []

    def open_another() -> None:
        numbers.append(ours.fileno())
        relaying.relay.open(another, relaying.target, b"", "second")

    relaying.told.then = open_another
    server.send(b"250 OK\r\n")
    reset(client)
    relaying.turn_until(lambda: relaying.told.ended)

    assert numbers != [-1], "the first one's number was still taken"
    relaying.accept().send(b"220 hello\r\n")
    assert relaying.read(newcomer, 11) == b"220 hello\r\n"


def test_at_the_end_all_sessions_end_and_clients_without_a_server_are_given_back(relaying: Relaying) -> None:
    relaying.greeted("begun")
    waiting, _server = relaying.open("waiting")

    relaying.relay.end_all("drain")

    assert relaying.told.ended == [("begun", 0, 11, "drain")]
    assert relaying.told.failed == [("waiting", "drain")]
    relaying.told.given_back[0].send(b"421 closing\r\n")
    assert waiting.recv(100) == b"421 closing\r\n"


async def test_one_task_carries_for_all_sessions(relaying: Relaying) -> None:
    clients_and_servers = [relaying.open(f"s{number}") for number in range(5)]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(relaying.relay.run)
        for number, (client, server) in enumerate(clients_and_servers):
            server.send(b"220 %d\r\n" % number)
            await trio.lowlevel.wait_readable(client)
            assert client.recv(100) == b"220 %d\r\n" % number
            trio.lowlevel.notify_closing(client)
        nursery.cancel_scope.cancel()


async def test_what_was_left_for_the_next_turn_needs_no_event(
    relaying: Relaying, small_chunks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "ROUNDS", 1)
    client, server = relaying.greeted()
    client.send(bytes(8 * small_chunks))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(relaying.relay.run)
        got = 0
        with trio.fail_after(PATIENCE):
            while got < 8 * small_chunks:
                await trio.lowlevel.wait_readable(server)
                got += len(server.recv(CHUNK))
        trio.lowlevel.notify_closing(server)
        nursery.cancel_scope.cancel()


async def test_a_relay_that_never_has_nothing_to_do_gives_others_their_turn(
    relaying: Relaying, monkeypatch: pytest.MonkeyPatch
) -> None:
    _client, server = relaying.greeted()
    turns = 0

    def turn(_until: float) -> bool:
        nonlocal turns
        turns += 1
        assert turns < 100 * ROUNDS, "nobody else had a turn"
        return True

    monkeypatch.setattr(relaying.relay, "turn", turn)
    server.send(b"250 OK\r\n")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(relaying.relay.run)
        while not turns:
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()


async def test_a_long_turn_is_the_last_before_others_have_theirs(
    relaying: Relaying, monkeypatch: pytest.MonkeyPatch
) -> None:
    _client, server = relaying.greeted()
    turns = 0

    def turn(_until: float) -> bool:
        nonlocal turns
        turns += 1
        relaying.now += TURN
        return True

    monkeypatch.setattr(relaying.relay, "turn", turn)
    server.send(b"250 OK\r\n")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(relaying.relay.run)
        while not turns:
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    assert turns < ROUNDS


_deeds = st.lists(
    st.tuples(
        st.sampled_from(["client", "server"]),
        st.sampled_from(["send", "send", "read", "end", "turn", "short turn"]),
        st.sampled_from([1, 100, CHUNK, 3 * CHUNK]),
    ),
    max_size=20,
)


@settings(max_examples=20, deadline=None)
@given(_deeds)
def test_all_octets_arrive_in_order_and_then_the_end(deeds: list[tuple[str, str, int]]) -> None:
    with Relaying() as relaying:
        ends = dict(zip(("client", "server"), relaying.greeted(), strict=True))
        sent: dict[str, bytearray] = {"client": bytearray(), "server": bytearray()}
        got: dict[str, bytearray] = {"client": bytearray(), "server": bytearray()}
        ended = set()
        for who, deed, size in deeds:
            sock = ends[who]
            sock.setblocking(False)
            if deed == "send" and who not in ended:
                octets = bytes((len(sent[who]) + number) % 251 for number in range(size))
                with contextlib.suppress(BlockingIOError):
                    sent[who] += octets[: sock.send(octets)]
            elif deed == "read":
                with contextlib.suppress(BlockingIOError):
                    got[who] += sock.recv(size)
            elif deed == "end" and who not in ended:
                ended.add(who)
                sock.shutdown(socket.SHUT_WR)
            else:
                relaying.relay.turn(relaying.now if deed == "short turn" else math.inf)
        for who in set(ends) - ended:
            ends[who].shutdown(socket.SHUT_WR)
        for who, sock in ends.items():
            got[who] += relaying.read(sock, 10**7)
        relaying.turn_until(lambda: relaying.told.ended)

    assert got == {"client": sent["server"], "server": sent["client"]}
    assert relaying.told.ended == [("s", len(sent["client"]), len(sent["server"]) + 11, "done")]
    assert not relaying.bugs
