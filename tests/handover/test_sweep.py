"""Sockets watched in one epoll: readable ones are found, old ones fall due, none is leaked."""

import socket
from collections.abc import Iterator

import pytest

from frontproxy.handover.sweep import Sweep
from tests.fakes import await_readable, open_descriptors, reset, tcp_pair


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


@pytest.fixture
def sweep() -> Iterator[Sweep[str]]:
    sweep: Sweep[str] = Sweep()
    yield sweep
    sweep.close_all()


def test_nobody_is_watched_at_first(sweep: Sweep[str]) -> None:
    assert len(sweep) == 0
    assert sweep.readable() == []
    assert list(sweep.due(float("inf"))) == []


def test_a_socket_is_found_when_it_has_something_to_read(
    sweep: Sweep[str], pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair
    sweep.add(ours, "item", deadline=10)

    assert sweep.readable() == []
    theirs.send(b"x")
    assert sweep.readable() == [(ours, "item")]
    assert sweep.readable() == [(ours, "item")], "it stays watched"


def test_an_end_of_file_is_found(sweep: Sweep[str], pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    sweep.add(ours, "item", deadline=10)
    theirs.close()

    assert sweep.readable() == [(ours, "item")]


def test_a_reset_is_found(sweep: Sweep[str]) -> None:
    ours, client = tcp_pair()
    sweep.add(ours, "item", deadline=10)
    reset(client)
    await_readable(ours)

    assert sweep.readable() == [(ours, "item")]


def test_all_that_are_readable_are_found_at_once(sweep: Sweep[str]) -> None:
    far_ends = []
    for number in range(300):
        ours, theirs = socket.socketpair()
        sweep.add(ours, str(number), deadline=10)
        far_ends.append(theirs)
    for theirs in far_ends:
        theirs.close()

    assert {item for _sock, item in sweep.readable()} == {str(number) for number in range(300)}


def test_those_whose_time_has_come_are_closed_eldest_first(sweep: Sweep[str]) -> None:
    pairs = [socket.socketpair() for _ in range(3)]
    for number, (ours, _theirs) in enumerate(pairs):
        sweep.add(ours, str(number), deadline=10 + number)

    assert list(sweep.due(9.9)) == []
    assert [item for _sock, item in sweep.due(11)] == ["0", "1"]
    assert [theirs.recv(1) for _ours, theirs in pairs[:2]] == [b"", b""]
    assert len(sweep) == 1
    for _ours, theirs in pairs:
        theirs.close()


def test_one_that_is_due_may_be_closed_by_the_caller(sweep: Sweep[str]) -> None:
    pairs = [socket.socketpair() for _ in range(2)]
    for ours, _theirs in pairs:
        sweep.add(ours, "item", deadline=0)
    for sock, _item in sweep.due(1):
        sweep.close(sock)

    assert len(sweep) == 0
    for _ours, theirs in pairs:
        theirs.close()


def test_a_closed_socket_is_forgotten_although_its_number_comes_back(
    sweep: Sweep[str], pair: tuple[socket.socket, socket.socket]
) -> None:
    first, far_end_of_first = pair
    number = first.fileno()
    sweep.add(first, "first", deadline=1)
    sweep.close(first)
    second, far_end_of_second = socket.socketpair()
    with second, far_end_of_second:
        assert number in {second.fileno(), far_end_of_second.fileno()}
        sweep.add(second, "second", deadline=20)
        far_end_of_first.close()

        assert sweep.readable() == []
        assert list(sweep.due(2)) == []


def test_a_closed_socket_is_forgotten_although_its_connection_lives_on_elsewhere(
    sweep: Sweep[str], pair: tuple[socket.socket, socket.socket]
) -> None:
    """The kernel goes on reporting it as long as another descriptor, or another process, has it open."""
    ours, theirs = pair
    other, far_end = socket.socketpair()
    with ours.dup(), far_end:
        sweep.add(ours, "closed", deadline=10)
        sweep.add(other, "open", deadline=10)
        sweep.close(ours)
        theirs.send(b"x")

        assert sweep.readable() == []


def test_closing_twice_does_no_harm(sweep: Sweep[str], pair: tuple[socket.socket, socket.socket]) -> None:
    sweep.add(pair[0], "item", deadline=1)
    sweep.close(pair[0])
    sweep.close(pair[0])

    assert len(sweep) == 0


def test_no_descriptor_is_leaked() -> None:
    before = open_descriptors()
    sweep: Sweep[None] = Sweep()
    for _ in range(10):
        ours, theirs = socket.socketpair()
        sweep.add(ours, None, deadline=1)
        theirs.close()
    sweep.close_all()

    assert open_descriptors() <= before
