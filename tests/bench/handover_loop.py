"""What it costs to let a friend through: accept, judge, pass on, taken, ended; CPU of a whole frontproxy, without SMTP.

`python -m tests.bench.handover_loop [--sessions 5000] [--rounds 7] [--at-once 20]`. This program is the clients, some
at a time, and the server that takes what is handed over and ends it. Nobody else works, so the least of the rounds is
good to steer by. Beside busy smtpds, whose code drives ours out of the caches, the same work costs about twice as much:
that is for `session_cost`.
"""

import argparse
import socket
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from frontproxy.wire.pass_protocol import MESSAGE_LIMIT
from tests.bench import fronts
from tests.bench.cpu import Cpu, cpu_of, family

AFTERWARDS = 0.1
"""Seconds in which the last ends are noticed."""


class Stage:
    """Both sides of the front end."""

    def __init__(self, taker: socket.socket, port: int) -> None:
        self._taker = taker
        self._port = port

    def play(self, sessions: int, at_once: int) -> None:
        """So many sessions: `at_once` clients come, all are taken, all leave."""
        for _ in range(sessions // at_once):
            with ExitStack() as clients:
                for _ in range(at_once):
                    clients.enter_context(socket.create_connection(("127.0.0.1", self._port)))
                for _ in range(at_once):
                    self._take()

    def _take(self) -> None:
        """Take a session as a server process does, and end it."""
        connection, _nobody = self._taker.accept()
        with connection:
            _message, descriptors, _flags, _address = socket.recv_fds(connection, MESSAGE_LIMIT, 1)
        socket.close(*descriptors)


def measure(stage: Stage, pid: int, sessions: int, at_once: int) -> Cpu:
    """What that many sessions cost the front end."""
    before = cpu_of(family(pid))
    stage.play(sessions, at_once)
    time.sleep(AFTERWARDS)
    return cpu_of(family(pid)) - before


def main() -> None:
    """Measure, round after round, and tell the median."""
    parser = argparse.ArgumentParser(description="CPU of frontproxy for each session that it passes on")
    parser.add_argument("--sessions", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--at-once", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fp-") as folder, socket.socket(socket.AF_UNIX) as taker:
        path = Path(folder) / "nice"
        taker.bind(str(path))
        taker.listen(options.at_once)
        with fronts.house(f"pass:{path}") as house:
            stage, pid = Stage(taker, house.port), house.process.pid
            measure(stage, pid, options.sessions, options.at_once)
            rounds = [measure(stage, pid, options.sessions, options.at_once) for _ in range(options.rounds)]
    costs = [cpu.total / options.sessions * 1e6 for cpu in rounds]
    system = sum(rounds, Cpu()).system_share
    middle = statistics.median(costs)
    print(
        f"{middle:.1f} us of CPU a session (least {min(costs):.1f}, most {max(costs):.1f}), {system:.0%} in the kernel"
    )


if __name__ == "__main__":
    main()
