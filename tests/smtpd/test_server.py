"""The server: sessions beginning, bugs, ends. Real socket pairs, but no waiting."""

import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from backends.smtpd.log import Log
from backends.smtpd.maildir import Maildir
from backends.smtpd.protocol import Protocol
from backends.smtpd.recipients import Recipients
from backends.smtpd.report import Reporter
from backends.smtpd.server import Manners, Server
from backends.smtpd.session import Site
from frontproxy.wire import pass_protocol
from tests.smtpd.scripts import personality


class _Bench:
    """A server with a handover socket, its report socket and its log."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "handover"
        self.reports = socket.socket(socket.AF_UNIX)
        self.reports.bind(str(folder / "report"))
        self.reports.listen()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.path))
        self.listener.listen()
        self.log = (folder / "log").open("w+b", buffering=0)
        maildir = Maildir(folder / "mail")
        maildir.prepare()
        log = Log(self.log.fileno())
        site = Site("mx", Recipients(frozenset({"example.com"})), maildir, log, trio.CapacityLimiter(1))
        manners = Manners(personality("hostile"), personality("hostile", stress=True))
        self.reporter = Reporter(folder / "report", log)
        self.server = Server(site, manners, self.reporter, drain_time=18)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Serve; afterwards finish, and wait for the sessions."""
        with trio.fail_after(5):
            async with trio.open_nursery() as background:
                background.start_soon(self.reporter.run)
                async with trio.open_nursery() as sessions:
                    sessions.start_soon(self.server.serve_handovers, self.listener, sessions)
                    yield
                    self.server.finish()
                await self.reporter.flush()
                background.cancel_scope.cancel()

    def hand_over(self, **extra: str) -> trio.SocketStream:
        """A client whose connection was handed over."""
        attributes = {"client_address": "192.0.2.1", "client_port": "25", "server_address": "::1", "server_port": "25"}
        ours, theirs = socket.socketpair()
        with socket.socket(socket.AF_UNIX) as way, theirs:
            way.connect(str(self.path))
            socket.send_fds(way, [pass_protocol.encode(attributes | extra)], [theirs.fileno()])
        ours.setblocking(False)
        return trio.SocketStream(trio.socket.from_stdlib_socket(ours))

    def outcomes(self) -> list[dict[str, object]]:
        """What was reported."""
        self.reports.setblocking(False)
        connection, _ = self.reports.accept()
        with connection:
            return [json.loads(line) for line in connection.recv(65536).splitlines()]

    def logged(self) -> str:
        self.log.seek(0)
        return self.log.read().decode()

    def close(self) -> None:
        for it in (self.reports, self.listener, self.log):
            it.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[_Bench]:
    it = _Bench(tmp_path)
    yield it
    it.close()


async def _everything(stream: trio.SocketStream) -> bytes:
    said = b""
    async for piece in stream:
        said += piece
    return said


async def test_a_session_is_served_and_its_outcome_reported(bench: _Bench) -> None:
    async with bench.serving(), bench.hand_over(session="s1", stress="yes") as client:
        assert await client.receive_some() == b"220 mx.example.com ESMTP\r\n"
        await client.send_all(b"RCPT TO:<x@y.example>\r\n")
        said = await _everything(client)
    assert said.endswith(b"503 5.5.1 Need MAIL command\r\n421 4.7.0 Too many errors\r\n"), "served under stress"
    (outcome,) = bench.outcomes()
    assert outcome.pop("ended")
    assert outcome == {
        "v": 1,
        "client": "192.0.2.1",
        "port": 25,
        "end": "errors",
        "session": "s1",
        "bad_commands": 1,
        "stress": True,
    }


async def test_a_bug_ends_its_session_and_nothing_else(bench: _Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    obey = Protocol.receive_data

    def stumble(protocol: Protocol, data: bytes) -> None:
        if data.startswith(b"BUG"):
            raise LookupError("a bug\nof ours")
        obey(protocol, data)

    monkeypatch.setattr(Protocol, "receive_data", stumble)
    async with bench.serving(), bench.hand_over() as victim, bench.hand_over() as other:
        await victim.receive_some()
        await victim.send_all(b"BUG\r\n")
        assert await _everything(victim) == b"421 4.3.0 Internal trouble, try again later\r\n"
        await victim.aclose()
        await other.send_all(b"QUIT\r\n")
        assert (await _everything(other)).endswith(b"221 2.0.0 Bye\r\n")
    assert [outcome["end"] for outcome in bench.outcomes()] == ["refused", "quit"]
    ready, line = bench.logged().splitlines()
    assert ready == "event=smtpd_ready"
    assert line.startswith("event=smtpd_error client=192.0.2.1 trace=")
    assert "LookupError: a bug\\nof ours" in line


async def test_a_silent_handover_blocks_no_other(bench: _Bench) -> None:
    with socket.socket(socket.AF_UNIX) as silent, socket.socket(socket.AF_UNIX) as garbage:
        silent.connect(str(bench.path))
        garbage.connect(str(bench.path))
        garbage.send(b"garbage")
        async with bench.serving(), bench.hand_over() as client:
            await client.send_all(b"QUIT\r\n")
            assert (await _everything(client)).endswith(b"221 2.0.0 Bye\r\n")
            silent.close()
    assert bench.logged().count("event=handover_failed") == 2


async def test_the_backlog_is_served_when_the_parent_is_gone(bench: _Bench) -> None:
    clients = [bench.hand_over() for _ in range(5)]
    bench.server.finish()
    async with bench.serving():
        for client in clients:
            await client.send_all(b"QUIT\r\n")
            assert (await _everything(client)).endswith(b"221 2.0.0 Bye\r\n")
            await client.aclose()


async def test_a_draining_server_leaves_the_backlog_to_the_next(bench: _Bench) -> None:
    with bench.listener.dup() as parents_copy:
        async with bench.serving(), bench.hand_over() as client:
            await client.receive_some()
            bench.server.drain()
            await bench.hand_over().aclose()
            assert await _everything(client) == b"421 4.3.2 Server is going down\r\n"
        parents_copy.accept()[0].close()


async def test_a_client_that_resets_is_an_ordinary_end(bench: _Bench) -> None:
    async with bench.serving():
        client = bench.hand_over()
        await client.send_all(b"EHLO c\r\n" * 3)
        await client.aclose()
    assert [outcome["end"] for outcome in bench.outcomes()] == ["lost"]
    assert "trace=" not in bench.logged()
