"""What the relay costs beside HAProxy in TCP mode: CPU per small session and per octet of large messages.

`python -m tests.bench.relay_loop [ROUNDS]`. smtp-source is the load, smtp-sink the server, both on the same cores, so
read ratios only. The relay runs alone, without judging, in a process of its own; both are measured in turn, and the
median of the rounds is told, all CPU of the process counted.
"""

import contextlib
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import trio

from frontproxy.handover.relay import Relay

SESSIONS = 400
"""In one measurement: short ones in quick turns, since other work on the machine disturbs long ones unequally."""
AT_ONCE = 20
SMALL = 2000
BULK_SESSIONS = 16
LARGE = 5_000_000

HAPROXY = """
global
    maxconn 2000
    nbthread 1
defaults
    mode tcp
    timeout connect 5s
    timeout client 1m
    timeout server 1m
listen front
    bind 127.0.0.1:{front}
    server sink 127.0.0.1:{sink}
"""


class Silent:
    """Who is told by the relay, and gives up when a session fails."""

    def relay_began(self, item: None, now: float) -> None:
        """A session began."""

    def relay_failed(self, item: None, client: socket.socket, why: str, *, was_reached: bool) -> None:
        """The sink could not be reached."""
        raise RuntimeError(why)

    def relay_ended(self, item: None, to_server: int, to_client: int, why: str) -> None:
        """A session ended."""


def give_up(error: Exception) -> None:
    """A bug is not to be measured."""
    raise error


async def serve(front: int, sink: int) -> None:
    """Relay all connections to the sink."""
    relay: Relay[None] = Relay(Silent(), give_up)
    with socket.create_server(("127.0.0.1", front), backlog=512) as door:
        door.setblocking(False)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(relay.run)
            while True:
                await trio.lowlevel.wait_readable(door)
                with contextlib.suppress(BlockingIOError):
                    for _ in range(64):
                        relay.open(door.accept()[0], ("127.0.0.1", sink), b"", None)


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        port: int = door.getsockname()[1]
        return port


def cpu(process: subprocess.Popen[bytes]) -> float:
    """Seconds of CPU that a process has used, all of its threads."""
    tasks = Path(f"/proc/{process.pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


@contextlib.contextmanager
def running(command: list[str], port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A program, from the moment that it listens."""
    process = subprocess.Popen(command)
    try:
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        process.wait()


def load(port: int, sessions: int, size: int, at_once: int) -> None:
    """Send so many messages, each in a session of its own."""
    words = ["-s", str(at_once), "-m", str(sessions), "-l", str(size), "-f", "a@example.org", "-t", "b@example.com"]
    subprocess.run(["smtp-source", *words, f"127.0.0.1:{port}"], check=True)


Fronts = dict[str, tuple[subprocess.Popen[bytes], int]]
"""The front ends, each with its process and its port."""


def measure(fronts: Fronts, rounds: int, work: Callable[[int], None]) -> dict[str, float]:
    """The median CPU seconds of each front end for the same work, done in turn."""
    taken: dict[str, list[float]] = {name: [] for name in fronts}
    for _ in range(rounds):
        for name, (process, port) in fronts.items():
            before = cpu(process)
            work(port)
            taken[name].append(cpu(process) - before)
    return {name: statistics.median(values) for name, values in taken.items()}


def main() -> None:
    """Start the sink and both front ends, and compare them."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    sink, ours, theirs = free_port(), free_port(), free_port()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "haproxy.cfg"
        config.write_text(HAPROXY.format(front=theirs, sink=sink))
        with (
            running(["smtp-sink", *user, f"127.0.0.1:{sink}", "512"], sink),
            running([sys.executable, "-m", "tests.bench.relay_loop", "serve", str(ours), str(sink)], ours) as relay,
            running(["haproxy", "-q", "-f", str(config)], theirs) as haproxy,
        ):
            fronts = {"relay": (relay, ours), "haproxy": (haproxy, theirs)}
            measure(fronts, 1, lambda port: load(port, SESSIONS, SMALL, AT_ONCE))
            small = measure(fronts, rounds, lambda port: load(port, SESSIONS, SMALL, AT_ONCE))
            alone = measure(fronts, rounds, lambda port: load(port, SESSIONS // 4, SMALL, 1))
            large = measure(fronts, rounds, lambda port: load(port, BULK_SESSIONS, LARGE, 8))
    report("us per session, 20 at once", small, 1e6 / SESSIONS)
    report("us per session, one at a time", alone, 4e6 / SESSIONS)
    report("us per MB, 8 at once", large, 1e12 / (BULK_SESSIONS * LARGE))


def report(what: str, seconds: dict[str, float], factor: float) -> None:
    """One line: both, and their ratio."""
    ours, theirs = seconds["relay"] * factor, seconds["haproxy"] * factor
    print(f"{what:32} relay {ours:7.0f}   haproxy {theirs:7.0f}   ratio {ours / theirs:.2f}", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        trio.run(serve, int(sys.argv[2]), int(sys.argv[3]))
    else:
        main()
