"""Outcome lines to a parent that may be away."""

import json
import socket
from pathlib import Path

import trio
from trio.testing import MockClock

from backends.smtpd import report
from backends.smtpd.log import Log
from backends.smtpd.report import Reporter
from frontproxy.wire.outcome_line import OutcomeLine


def _outcome(number: int) -> OutcomeLine:
    return OutcomeLine(client="192.0.2.1", port=number, ended=1.0, end="quit")


def _listener(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    listener.setblocking(False)
    return listener


def _ports(connection: socket.socket) -> list[int]:
    return [json.loads(line)["port"] for line in connection.recv(1_000_000).splitlines()]


async def test_lines_wait_for_a_parent_that_comes_later(tmp_path: Path) -> None:
    reporter = Reporter(tmp_path / "report", Log(-1))
    reporter.add(_outcome(1))
    reporter.add(_outcome(2))
    with _listener(tmp_path / "report") as listener, trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(reporter.run)
            await reporter.flush()
            reporter.add(_outcome(3))
            connection = listener.accept()[0]
            with connection:
                assert _ports(connection) == [1, 2, 3]
            nursery.cancel_scope.cancel()


async def test_a_parent_that_comes_back_gets_the_rest(tmp_path: Path) -> None:
    reporter = Reporter(tmp_path / "report", Log(-1))
    with _listener(tmp_path / "report") as listener, trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(reporter.run)
            reporter.add(_outcome(1))
            await reporter.flush()
            listener.accept()[0].close()
            reporter.add(_outcome(2))
            await reporter.flush()
            with listener.accept()[0] as connection:
                assert _ports(connection) == [2]
            nursery.cancel_scope.cancel()


def test_only_the_newest_lines_are_kept(tmp_path: Path, monkeypatch: object) -> None:
    log = (tmp_path / "log").open("w+b", buffering=0)

    async def main() -> list[int]:
        reporter = Reporter(tmp_path / "report", Log(log.fileno()))
        for number in range(report._KEPT + 5):
            reporter.add(_outcome(number % 65536))
        with _listener(tmp_path / "report") as listener:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(reporter.run)
                while not (tmp_path / "log").stat().st_size:
                    await trio.lowlevel.checkpoint()
                with listener.accept()[0] as connection:
                    ports = _ports(connection)
                nursery.cancel_scope.cancel()
        return ports

    with log:
        assert trio.run(main)[0] == 5
        log.seek(0)
        assert log.read() == b"event=report_dropped lines=5\n"


async def test_attempts_to_connect_become_rare(tmp_path: Path, autojump_clock: MockClock) -> None:
    attempts = []

    class Counting(Reporter):
        def _connect(self) -> socket.socket | None:
            attempts.append(trio.current_time())
            return None

    with trio.move_on_after(100):
        await Counting(tmp_path / "report", Log(-1)).run()
    assert len(attempts) < 20
