"""One relayed session by itself, without an engine: how much is read and kept, and what an event too many does."""

import math
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from frontproxy.handover import relay_session
from frontproxy.handover.relay_session import (
    CHUNK,
    CHUNKS,
    HALF_CLOSED_LIMIT,
    IDLE_LIMIT,
    LINGER_LIMIT,
    STUCK_LIMIT,
    RelaySession,
    Side,
    carry,
    deliver,
    has_hung_up,
    introduce,
)
from tests.fakes import reset, tcp_pair

BUFFER = 4 * CHUNK


@contextmanager
def between_pairs() -> Iterator[tuple[RelaySession[str], socket.socket, socket.socket]]:
    """A session whose two sockets take little at once, and what is at their far ends: the client, the server."""
    with ExitStack() as sockets:
        ours, client = socket.socketpair()
        ours_to_server, server = socket.socketpair()
        for sock in (ours, client, ours_to_server, server):
            sockets.enter_context(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
            sock.setblocking(False)
        session = RelaySession.between(ours, ours_to_server, b"", "s", now=0.0)
        session.stage = "open"
        yield session, client, server


def fill(sock: socket.socket) -> int:
    """Send until nothing more is taken; how much that was."""
    total = 0
    try:
        while True:
            total += sock.send(bytes(1024))
    except BlockingIOError:
        return total


def read_all(sock: socket.socket) -> int:
    """Read what is there; how much that was."""
    total = 0
    try:
        while octets := sock.recv(CHUNK):
            total += len(octets)
    except BlockingIOError:
        pass
    return total


def test_a_slow_receiver_costs_one_chunk_and_the_sender_is_read_no_further() -> None:
    with between_pairs() as (session, client, server):
        for _ in range(10):
            fill(client)
            progress = carry(session.client, 1.0, to_the_end=False)
        assert progress is None, "an event while the other side is blocked"
        assert 0 < len(session.server.unsent) <= CHUNK
        kept = session.server.unsent
        fill(client)
        assert carry(session.client, 1.0, to_the_end=True) is None
        assert session.server.unsent is kept

        arrived = read_all(server)
        while session.server.unsent or read_all(session.client.socket):
            deliver(session.server, 2.0)
            arrived += read_all(server)
        assert arrived == session.server.sent > len(kept)


def test_a_receiver_that_is_still_full_keeps_what_it_is_owed() -> None:
    with between_pairs() as (session, client, server):
        fill(session.server.socket)
        client.send(b"MAIL")

        assert carry(session.client, 1.0, to_the_end=False) == "blocked"
        assert deliver(session.server, 1.0) is None
        assert session.server.unsent == b"MAIL"

        read_all(server)
        assert deliver(session.server, 1.0) is None
        assert server.recv(10) == b"MAIL"


def test_an_end_is_passed_on_after_what_was_owed() -> None:
    with between_pairs() as (session, client, server):
        fill(session.server.socket)
        client.send(b"QUIT")
        client.shutdown(socket.SHUT_WR)
        assert carry(session.client, 1.0, to_the_end=True) == "blocked"

        read_all(server)
        assert deliver(session.server, 1.0) is None

        assert (server.recv(10), server.recv(10)) == (b"QUIT", b"")
        assert session.client.has_ended


def test_a_busy_sender_is_read_a_few_chunks_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_session, "CHUNK", 1000)
    with between_pairs() as (session, client, server):
        client.send(bytes(CHUNKS * 1000 + 1))

        assert carry(session.client, 1.0, to_the_end=False) == "more"
        assert read_all(server) == CHUNKS * 1000
        assert carry(session.client, 1.0, to_the_end=False) is None
        assert read_all(server) == 1


def test_an_end_counts_as_movement_only_once() -> None:
    with between_pairs() as (session, client, _server):
        client.shutdown(socket.SHUT_WR)
        carry(session.client, 1.0, to_the_end=True)

        assert carry(session.client, 9.0, to_the_end=True) is None
        assert session.moved_at == 1.0


def test_a_client_that_ended_and_then_takes_no_more_ends_the_session_at_once() -> None:
    with between_pairs() as (session, client, server):
        client.shutdown(socket.SHUT_WR)
        assert carry(session.client, 1.0, to_the_end=True) is None
        fill(session.client.socket)
        server.send(b"250 OK")
        assert carry(session.server, 1.0, to_the_end=False) == "blocked"
        client.close()

        assert deliver(session.client, 1.0) == "over"


def test_what_is_owed_to_a_side_that_was_reset_is_dropped() -> None:
    with between_pairs() as (session, client, server):
        fill(session.server.socket)
        client.send(b"MAIL")
        assert carry(session.client, 1.0, to_the_end=False) == "blocked"
        server.close()  # with octets unread, which makes it a reset

        assert carry(session.server, 1.0, to_the_end=True) is None
        assert (session.server.unsent, session.why) == (b"", "server_reset")


def test_the_time_for_the_greeting_begins_with_the_connection() -> None:
    with between_pairs() as (session, _client, server):
        session.stage, session.header = "connecting", b"PROXY"

        assert introduce(session, 3.0)

        assert (session.stage, session.moved_at) == ("greeting", 3.0)
        assert server.recv(10) == b"PROXY"


@pytest.mark.parametrize("who", ["client", "server"])
def test_an_event_without_a_cause_changes_nothing(who: str) -> None:
    with between_pairs() as (session, _client, _server):
        side: Side[str] = getattr(session, who)

        assert carry(side, 1.0, to_the_end=True) is None
        assert (side.has_ended, side.is_gone, session.moved_at) == (False, False, 0.0)


def test_a_client_that_is_gone_and_has_ended_ends_the_session_whatever_its_server_does() -> None:
    with between_pairs() as (session, client, server):
        client.close()
        assert carry(session.client, 1.0, to_the_end=True) is None, "it may still read, for all we know"
        server.send(b"250 OK")

        assert carry(session.server, 1.0, to_the_end=False) == "over"
        assert session.why == "done"


def test_octets_for_a_side_that_is_gone_do_not_count_as_movement() -> None:
    with between_pairs() as (session, client, _server):
        session.server.is_gone = True
        client.send(b"MAIL")

        assert carry(session.client, 5.0, to_the_end=False) is None
        assert session.moved_at == 0.0
        assert session.server.sent == 0


@pytest.mark.parametrize(
    ("client", "server", "limit"),
    [
        ({}, {}, IDLE_LIMIT),
        ({"has_ended": True}, {}, HALF_CLOSED_LIMIT),
        ({"is_gone": True}, {}, HALF_CLOSED_LIMIT),
        ({}, {"is_gone": True, "left_at": 0.0}, LINGER_LIMIT),
        ({"has_ended": True}, {"left_at": 0.0}, LINGER_LIMIT),
    ],
)
def test_how_long_nothing_may_move(client: dict[str, object], server: dict[str, object], limit: float) -> None:
    with between_pairs() as (session, _client, _server):
        for side, values in ((session.client, client), (session.server, server)):
            for name, value in values.items():
                setattr(side, name, value)

        assert session.overdue(limit) == ""
        assert session.overdue(limit + 0.1) == ("idle" if limit == IDLE_LIMIT else "half_closed")


@pytest.mark.parametrize(("unsent", "why"), [(b"", "half_closed"), (b"221 ", "undelivered")])
def test_how_long_a_session_outlives_its_server_whatever_moves(unsent: bytes, why: str) -> None:
    with between_pairs() as (session, _client, _server):
        session.server.left_at, session.client.unsent = 10.0, unsent
        session.moved_at = 10 + LINGER_LIMIT

        assert session.overdue(10 + LINGER_LIMIT) == ""
        assert session.overdue(10.1 + LINGER_LIMIT) == why


def test_how_long_a_client_may_be_behind_whatever_moves() -> None:
    with between_pairs() as (session, _client, _server):
        session.client.behind_since, session.moved_at = 10.0, 10 + STUCK_LIMIT
        session.server.behind_since = 0.0

        assert session.overdue(10 + STUCK_LIMIT) == ""
        assert session.overdue(10.1 + STUCK_LIMIT) == "client_stuck"


def test_who_takes_a_little_stays_behind_until_it_has_taken_all() -> None:
    with between_pairs() as (session, client, server):
        fill(session.client.socket)
        server.send(bytes(CHUNK))
        assert carry(session.server, 1.0, to_the_end=False) == "blocked"
        server.send(b"221 bye")

        client.recv(BUFFER)
        for now in (2.0, 3.0):
            fill(session.client.socket)
            deliver(session.client, now)
            client.recv(BUFFER // 4)
        assert session.client.behind_since == 1.0

        while session.client.unsent or read_all(client):
            deliver(session.client, 4.0)
        assert session.client.behind_since == math.inf


@pytest.mark.parametrize("leave", ["end", "reset"])
def test_who_has_left_is_not_behind_any_more_but_has_left_since_then(leave: str) -> None:
    with between_pairs() as (session, client, server):
        fill(session.client.socket)
        server.send(b"221 bye")
        assert carry(session.server, 1.0, to_the_end=False) == "blocked"
        server.close()
        if leave == "reset":
            client.close()
            carry(session.client, 2.0, to_the_end=True)
        else:
            read_all(client)
            deliver(session.client, 2.0)

        assert session.client.behind_since == math.inf
        assert (session.client if leave == "reset" else session.server).left_at == 2.0


def test_a_server_that_is_not_connected_yet_is_introduced_later() -> None:
    with socket.socket() as connection, between_pairs() as (session, _client, _server):
        connection.setblocking(False)
        session.server.socket, session.stage, session.header = connection, "connecting", b"PROXY"
        with (
            socket.create_server(("127.0.0.1", 0), backlog=0) as door,
            socket.create_connection(door.getsockname()),
        ):
            assert connection.connect_ex(door.getsockname())

            assert not introduce(session, 3.0)
            assert (session.stage, session.moved_at) == ("connecting", 0.0)


@pytest.mark.parametrize(
    ("sends", "leaves", "is_gone"),
    [
        (b"", None, False),
        (b"EHLO", None, False),
        (b"EHLO", "end", False),
        (b"", "end", True),
        (b"", "reset", True),
    ],
)
def test_who_has_hung_up(sends: bytes, leaves: str | None, is_gone: bool) -> None:
    ours, client = tcp_pair()
    with ours, client:
        client.send(sends)
        if leaves == "end":
            client.shutdown(socket.SHUT_WR)
        elif leaves == "reset":
            reset(client)

        assert has_hung_up(ours) is is_gone
        if not leaves and sends:
            assert ours.recv(10) == sends, "not one octet was consumed"
