"""Pools whose servers are reached by relay: the next server when one fails, and places held to the last octet."""

import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio

from frontproxy.core.config_values import Backend, Config
from frontproxy.core.config_values import Pool as PoolSettings
from frontproxy.core.session import Session
from frontproxy.handover.pools import BUSY, TRIES, Pools
from frontproxy.wire import proxy_protocol
from tests.fakes import PATIENCE, Recorder, Visitors, no_notices, reset, tcp_pair


class Server:
    """A mail server somewhere that greets, or does not."""

    def __init__(self, *, family: int = socket.AF_INET) -> None:
        host = "127.0.0.1" if family == socket.AF_INET else "::1"
        self._door = socket.create_server((host, 0), family=family)
        self._door.settimeout(PATIENCE)
        self.address: tuple[str, int] = self._door.getsockname()[:2]
        self.accepted: list[socket.socket] = []

    def backend(self, proxy: str = "v2") -> Backend:
        host, port = self.address
        text = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        return Backend("tcp", f"{text}?proxy={proxy}", self.address, proxy)  # type: ignore[arg-type]  # parametrized

    async def accept(self) -> socket.socket:
        """The next connection."""
        connection, _peer = await trio.to_thread.run_sync(self._door.accept)
        connection.settimeout(PATIENCE)
        self.accepted.append(connection)
        return connection

    def close(self) -> None:
        for sock in (self._door, *self.accepted):
            sock.close()


class Road:
    """Pools with relayed servers, the relay at work."""

    def __init__(self, visitors: Visitors) -> None:
        self.told = Recorder()
        self.pools = Pools(self.told, no_notices())
        self._visitors = visitors
        self.clients: list[socket.socket] = []

    def configure(self, *backends: Backend, **settings: int) -> None:
        pool = PoolSettings("hostile", backends, **{"sessions": 2, "per_client": 2, **settings})  # type: ignore[arg-type]
        self.pools.configure(Config(pools=(pool,)), {}, 0.0)

    def admit(self, client: str = "192.0.2.7") -> tuple[Session, socket.socket]:
        """A client comes; its session, and its end of the connection."""
        ours, theirs = tcp_pair()
        ours.setblocking(False)
        self.clients.append(theirs)
        session = self._visitors.session(client, sock=ours)
        self.pools.admit(session, time.monotonic())
        return session, theirs

    async def until(self, happened: Callable[[], object]) -> None:
        while not happened():
            await trio.lowlevel.checkpoint()

    def close(self) -> None:
        self.pools.close()
        for sock in self.clients:
            sock.close()


@asynccontextmanager
async def road(*servers: Server) -> AsyncIterator[Road]:
    with Visitors() as visitors, trio.fail_after(PATIENCE):
        built = Road(visitors)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(built.pools.relay.run)
                yield built
                nursery.cancel_scope.cancel()
        finally:
            built.close()
            for server in servers:
                server.close()


def receive(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size and (piece := sock.recv(size - len(data))):
        data += piece
    return data


async def test_a_relayed_session_holds_its_place_to_its_last_octet() -> None:
    server = Server()
    async with road(server) as at:
        at.configure(server.backend("none"))
        session, client = at.admit()
        connection = await server.accept()
        connection.sendall(b"220 mx\r\n")
        await at.until(lambda: at.told.given[0].taken_at is not None)
        assert (await trio.to_thread.run_sync(receive, client, 8)) == b"220 mx\r\n"
        assert (at.pools.open_in(""), at.pools.ours()) == (1, 1)

        client.sendall(b"QUIT\r\n")
        assert (await trio.to_thread.run_sync(receive, connection, 6)) == b"QUIT\r\n"
        connection.close()
        await trio.to_thread.run_sync(receive, client, 1)
        client.close()
        await at.until(lambda: at.pools.open_in("") == 0)

        assert at.told.relayed == [(session.id, 6, 8, "done")]
        assert [given.session.id for given in at.told.ended] == [session.id]


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_the_server_is_told_who_the_client_is(family: int, version: str) -> None:
    server = Server(family=family)
    async with road(server) as at:
        at.configure(server.backend(version))
        session, _client = at.admit()
        connection = await server.accept()
        await at.until(lambda: connection.recv(1, socket.MSG_PEEK))
        data = connection.recv(1000)
        header = proxy_protocol.parse(data)

        assert header is not None
        assert (header.source, header.destination, header.length) == (
            ("192.0.2.7", session.port),
            session.server,
            len(data),
        )
        if version == "v2":
            assert session.id.encode() in data
            assert b"hostile" in data


async def test_a_session_whose_server_fails_is_given_to_the_next_one() -> None:
    failing, sound = Server(), Server()
    async with road(failing, sound) as at:
        at.configure(failing.backend("none"), sound.backend("none"))
        session, client = at.admit()
        reset(await failing.accept())
        connection = await sound.accept()
        connection.sendall(b"220 sound\r\n")

        assert (await trio.to_thread.run_sync(receive, client, 11)) == b"220 sound\r\n"
        assert [given.backend.name for given in at.told.given] == [
            failing.backend("none").name,
            sound.backend("none").name,
        ]
        assert at.pools.open_in("") == 1
        (failed,) = at.told.events("handover_failed")
        assert failed["session"] == session.id
        assert at.told.events("backend") == []  # it may have been the client's fault


async def test_a_server_that_greets_neither_of_two_clients_is_to_blame() -> None:
    failing, sound = Server(), Server()
    async with road(failing, sound) as at:
        at.configure(failing.backend("none"), sound.backend("none"), sessions=9, per_client=9)
        for client in ("192.0.2.7", "192.0.2.7", "192.0.2.8"):
            at.admit(client)
            reset(await failing.accept())
            (await sound.accept()).sendall(b"220 sound\r\n")
            last = at.told.given[-1]
            await at.until(partial(getattr, last, "taken_at"))
            at.told.given[-1].backend.sessions += 5  # so that the other one is asked first again

        (event,) = at.told.events("backend")
        assert (event["state"], event["backend"]) == ("down", failing.backend("none").name)


async def test_a_slow_greeting_for_one_client_does_not_take_the_server_from_others() -> None:
    """It may be looking for that client's name."""
    server = Server()
    async with road(server) as at:
        at.configure(server.backend("none"), sessions=9, per_client=9)
        at.admit("192.0.2.7")
        await server.accept()
        at.admit("192.0.2.8")
        (await server.accept()).sendall(b"220 mx\r\n")
        slow, quick = at.told.given
        await at.until(lambda: quick.taken_at is not None)
        at.pools.tick(slow.given_at + 20)
        (pool,) = at.pools

        assert pool.backends[0].may_be_asked(slow.given_at + 20)
        assert not pool.stress.on


async def test_a_server_that_refuses_is_out_of_the_pool_and_its_clients_wait() -> None:
    server = Server()
    async with road() as at:
        at.configure(server.backend("none"))
        server.close()
        at.admit()

        assert at.told.given == []
        assert at.pools.waiting() == 1
        assert [event["state"] for event in at.told.events("backend")] == ["down"]


async def test_a_session_that_no_server_greets_gets_a_421_in_the_end() -> None:
    servers = [Server() for _ in range(TRIES + 1)]
    async with road(*servers) as at:
        at.configure(*[server.backend("none") for server in servers])
        session, _client = at.admit()
        for server in servers[:TRIES]:
            reset(await server.accept())
        await at.until(lambda: at.told.refused)

        assert at.told.refused == [(session.id, "backend")]
        assert at.told.replies == {BUSY: 1}
        assert at.pools.open_in("") == 0
        assert len(at.pools.register) == 0


async def test_a_client_that_leaves_before_the_greeting_frees_its_place() -> None:
    server = Server()
    async with road(server) as at:
        at.configure(server.backend("none"))
        _session, client = at.admit()
        await server.accept()
        reset(client)
        await at.until(lambda: at.pools.open_in("") == 0)

        assert [why for _id, _to, _from, why in at.told.relayed] == ["client_gone"]


async def test_a_server_that_does_not_greet_is_left_alone_and_its_pool_is_slow() -> None:
    server = Server()
    async with road(server) as at:
        at.configure(server.backend("none"), sessions=10)
        at.admit()
        await server.accept()
        (given,) = at.told.given
        at.pools.tick(given.given_at + 6)
        (pool,) = at.pools

        assert pool.longest_handover(given.given_at + 6) == 6
        assert pool.stress.on
        assert not pool.backends[0].may_be_asked(given.given_at + 6)
