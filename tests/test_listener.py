"""The front door: bounded batches, a guard around each session, and what happens when descriptors run out."""

import errno
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
import trio.testing

from frontproxy import doors, listener
from frontproxy.listener import SpareDescriptors, listen
from frontproxy.session import TROUBLE
from frontproxy.waiting_room import FULL
from frontproxy.wire import pass_protocol
from tests.fakes import PATIENCE, open_descriptors, tcp_pair
from tests.houses import BANNED, FRIEND, STRANGER, House, all_from, bug, house

__all__ = ["house"]


class Door(socket.socket):
    """A listening socket whose `accept` fails as often as it is told to, and then tells any address it likes."""

    def __init__(self) -> None:
        super().__init__(socket.AF_INET, socket.SOCK_STREAM)
        self.setblocking(False)
        self.bind(("127.0.0.1", 0))
        self.listen()
        self.failures: list[int] = []
        self.calls = 0
        self.peer = FRIEND

    def accept(self) -> tuple[socket.socket, tuple[str, int]]:
        self.calls += 1
        if self.failures:
            number = self.failures.pop(0)
            raise OSError(number, "no")
        sock, peer = super().accept()
        return sock, (self.peer, peer[1])

    def knock(self) -> socket.socket:
        return socket.create_connection(self.getsockname(), timeout=PATIENCE)


@pytest.fixture
def door() -> Iterator[Door]:
    with Door() as opened:
        yield opened


@pytest.fixture
def spare() -> Iterator[SpareDescriptors]:
    held = SpareDescriptors()
    yield held
    held.release()


async def reply_to(client: socket.socket) -> bytes:
    with client:
        return await trio.to_thread.run_sync(all_from, client)


async def until_accepted(door: Door, count: int) -> None:
    """Until all are in and `accept` has said that there is nobody more."""
    with trio.fail_after(PATIENCE):
        while door.calls < count + 1:
            await trio.lowlevel.checkpoint()


async def until_handed_over(house: House, count: int) -> None:
    with trio.fail_after(PATIENCE):
        while house.proxy.counters["handed_over"] < count:
            await trio.lowlevel.checkpoint()


def test_spare_descriptors_are_held_once_and_let_go_together() -> None:
    before = open_descriptors()
    spare = SpareDescriptors(3)
    spare.hold()
    assert open_descriptors() == before + 3

    assert spare.release()
    assert open_descriptors() <= before
    assert not spare.release()

    spare.hold()
    assert open_descriptors() == before + 3
    spare.release()


def test_when_descriptors_are_out_fewer_are_held_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def short(*_arguments: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as broken:
        broken.setattr("os.open", short)
        spare = SpareDescriptors()

    assert not spare.release()


async def test_clients_come_in(house: House, door: Door, spare: SpareDescriptors) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(listen, house.proxy, door, spare, nursery)
        with door.knock(), door.knock():
            await until_handed_over(house, 2)
        nursery.cancel_scope.cancel()

    assert house.smtpds["nice"].take().attributes["client_address"] == FRIEND


async def test_a_batch_is_bounded(
    house: House, door: Door, spare: SpareDescriptors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "BATCH", 2)
    others_had_a_turn: list[int] = []

    async def other() -> None:
        while True:
            await trio.lowlevel.checkpoint()
            others_had_a_turn.append(house.proxy.counters["accepted"])

    door.peer = BANNED
    clients = [door.knock() for _ in range(6)]
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(listen, house.proxy, door, spare, nursery)
            nursery.start_soon(other)
            while house.proxy.counters["accepted"] < 6:
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()

    assert {2, 4} & set(others_had_a_turn), "in each of Trio's rounds, some time before or after the listener"
    for client in clients:
        client.close()


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
async def test_short_of_descriptors_the_waiting_room_makes_way(
    house: House, door: Door, spare: SpareDescriptors, number: int
) -> None:
    async with trio.open_nursery() as nursery:
        stranger = house.knock(STRANGER, nursery)
        door.failures = [number]
        nursery.start_soon(listen, house.proxy, door, spare, nursery)
        with door.knock():
            await until_handed_over(house, 1)
        assert await reply_to(stranger) == FULL.encode() + b"\r\n"
        nursery.cancel_scope.cancel()

    assert len(house.proxy.room) == 0
    assert house.proxy.counters["short_of_descriptors"] >= 1
    assert house.log.about("short")


async def test_short_of_descriptors_those_who_linger_go_first(
    house: House, door: Door, spare: SpareDescriptors
) -> None:
    async with trio.open_nursery() as nursery:
        stranger = house.knock(STRANGER, nursery)
        refused = house.knock(BANNED, nursery)
        assert len(house.proxy.farewell) == 1
        door.failures = [errno.EMFILE]
        nursery.start_soon(listen, house.proxy, door, spare, nursery)
        with door.knock():
            await until_handed_over(house, 1)

        assert len(house.proxy.farewell) == 0
        assert len(house.proxy.room) == 1
        nursery.cancel_scope.cancel()
    stranger.close()
    refused.close()


async def test_when_nobody_can_be_shed_the_spare_descriptors_serve_a_friend(
    house: House, door: Door, spare: SpareDescriptors
) -> None:
    before = open_descriptors()
    during: list[int] = []

    class Watching(Door):
        def accept(self) -> tuple[socket.socket, tuple[str, int]]:
            during.append(open_descriptors())
            return super().accept()

    with Watching() as watched:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(listen, house.proxy, watched, spare, nursery)
            watched.failures = [errno.EMFILE]
            with watched.knock():
                await until_handed_over(house, 1)
                for _ in range(10):
                    await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()

    assert during[0] - during[1] == 4
    assert spare.release()
    assert open_descriptors() <= before


async def test_a_shortage_that_stays_is_no_busy_loop(
    house: House, door: Door, spare: SpareDescriptors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "PAUSE", 0.05)
    door.failures = [errno.ENFILE] * 1000
    with door.knock(), trio.move_on_after(0.12):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(listen, house.proxy, door, spare, nursery)

    assert 2 <= door.calls <= 5


async def test_a_client_that_was_gone_before_accept_is_skipped(
    house: House, door: Door, spare: SpareDescriptors
) -> None:
    door.failures = [errno.ECONNABORTED, errno.EPROTO, errno.EPERM]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(listen, house.proxy, door, spare, nursery)
        with door.knock():
            await until_handed_over(house, 1)
        nursery.cancel_scope.cancel()

    assert house.proxy.counters["short_of_descriptors"] == 0


async def test_a_peer_without_an_address_is_closed(house: House, door: Door, spare: SpareDescriptors) -> None:
    door.peer = "nowhere"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(listen, house.proxy, door, spare, nursery)
        assert await reply_to(door.knock()) == b""
        nursery.cancel_scope.cancel()

    assert house.proxy.counters["bugs"] == 0


@pytest.fixture
def pass_door(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as opened:
        opened.bind(str(tmp_path / "pass"))
        opened.listen()
        yield opened


def passed_to(door: socket.socket, client: str) -> socket.socket:
    """The far end of a connection that was passed at this door, as postscreen does it."""
    attributes = {"client_address": client, "client_port": "4711", "server_address": "::1", "server_port": "25"}
    ours, far = tcp_pair()
    with ours, socket.socket(socket.AF_UNIX) as connection:
        connection.connect(door.getsockname())
        socket.send_fds(connection, [b"\0"], [ours.fileno()])
        connection.sendall(pass_protocol.encode(attributes)[1:])
    return far


async def test_at_a_unix_door_clients_are_passed_to_us(
    house: House, pass_door: socket.socket, spare: SpareDescriptors
) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(listen, house.proxy, pass_door, spare, nursery)
        with passed_to(pass_door, FRIEND), passed_to(pass_door, FRIEND):
            await until_handed_over(house, 2)
        nursery.cancel_scope.cancel()

    assert house.smtpds["nice"].take().attributes["client_address"] == FRIEND


async def test_nobody_is_accepted_whose_client_would_find_no_room(
    house: House, pass_door: socket.socket, spare: SpareDescriptors
) -> None:
    """One descriptor short of enough, the kernel would throw the client away on the way to us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with trio.open_nursery() as nursery:
        stranger = house.knock(STRANGER, nursery)
        with passed_to(pass_door, BANNED) as client:
            accepted = pass_door.dup()
            resource.setrlimit(resource.RLIMIT_NOFILE, (accepted.fileno() + 1, hard))
            accepted.close()  # one is free, which is enough for the connection and not for the client
            try:
                nursery.start_soon(listen, house.proxy, pass_door, spare, nursery)
                with trio.fail_after(PATIENCE):
                    while not house.proxy.counters["refused_route"]:
                        await trio.lowlevel.checkpoint()
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            assert await reply_to(client) == b"554 5.7.1 Access denied\r\n"
        nursery.cancel_scope.cancel()

    assert house.proxy.counters["short_of_descriptors"] >= 1
    stranger.close()


@pytest.mark.parametrize("house", ['[listen]\ntrusted_proxies = ["192.0.2.0/24"]\n'], indirect=True)
async def test_short_of_descriptors_those_who_are_not_announced_go_last(
    house: House, door: Door, spare: SpareDescriptors
) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(listen, house.proxy, door, spare, nursery)
        silent = door.knock()
        await until_accepted(door, 1)
        door.failures = [errno.EMFILE]
        with door.knock():
            assert await reply_to(silent) == b""
        nursery.cancel_scope.cancel()

    assert " why=crowded " in house.log.about("proxy_header")[0]


@pytest.mark.parametrize("house", ['[listen]\ntrusted_proxies = ["192.0.2.0/24"]\n'], indirect=True)
async def test_when_the_door_closes_so_do_those_who_are_not_announced(
    house: House, door: Door, spare: SpareDescriptors
) -> None:
    async with trio.open_nursery() as strangers:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(listen, house.proxy, door, spare, strangers)
            silent = door.knock()
            await until_accepted(door, 1)
            nursery.cancel_scope.cancel()
        assert await reply_to(silent) == b""

    assert " why=closing " in house.log.about("proxy_header")[0]


async def test_a_bug_before_there_is_a_session_is_a_421_too(
    house: House, door: Door, spare: SpareDescriptors, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(listen, house.proxy, door, spare, nursery)
        with monkeypatch.context() as broken:
            broken.setattr(house.proxy.census, "arrived", bug)
            assert await reply_to(door.knock()) == TROUBLE.encode() + b"\r\n"
        with door.knock():
            await until_handed_over(house, 1)
        nursery.cancel_scope.cancel()

    assert house.proxy.counters["bugs"] == 1


async def test_a_door_may_be_closed_at_the_moment_when_somebody_knocks(house: House, spare: SpareDescriptors) -> None:
    """The listener has been woken, and has not looked yet: trio would run it on a socket that is no more."""
    for _ in range(30):  # which of two woken tasks comes first is chance
        sock = Door()
        sock.peer = BANNED
        served = doors.Door(sock)
        bell, finger = socket.socketpair()

        async def close_when_it_rings(served: doors.Door = served, bell: socket.socket = bell) -> None:
            await trio.lowlevel.wait_readable(bell)
            served.close()

        with bell, finger, trio.fail_after(PATIENCE):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(served.serve, lambda sock: listen(house.proxy, sock, spare, nursery))
                nursery.start_soon(close_when_it_rings)
                await trio.testing.wait_all_tasks_blocked()
                with sock.knock():
                    finger.send(b"!")
                    await trio.testing.wait_all_tasks_blocked()
                nursery.cancel_scope.cancel()
