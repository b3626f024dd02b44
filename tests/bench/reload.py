"""Reload under load: SIGHUP ten times with a list of a million networks, while 20,000 sessions reach Postfix.

Run it alone: `python -m tests.bench.reload [--sessions 20000] [--networks 1000000] [--reloads 10]`. A session has
failed when smtp-source says so or Postfix did not see its QUIT after a message. How long the proxy stalls is asked of
its admin socket, again and again: the time to the answer; the same without the time in which the proxy or this process
was ready to run and had no core, since the compiler, the smtpds and the load share the machine; and the CPU that all
of the proxy's threads took until the answer, which bounds what it stalled itself, with the sessions that had come
together while it had no core. A friend's greetings tell what a client sees. All of it first in a calm phase, with the
same load and no reload.
"""

import argparse
import os
import signal
import socket
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench import fronts
from tests.bench.cpu import running_time, this_thread_waited, waited_for_core
from tests.bench.decision import write_list
from tests.bench.session_cost import SERVED
from tests.real.house import DEADLINE, House, wait_for
from tests.real.postfix import Postfix, passed, smtp_source

BATCH = 500
"""Sessions of one smtp-source; five at a time."""
STALL = 0.005
"""Seconds; the budget."""
CALM = 15.0
PAUSE = 0.005
"""Seconds between two questions, and between two greetings."""
_LIST = """
[[list]]
name = "large"
kind = "points"
file = "{path}"
points = -2
"""


@dataclass(slots=True)
class Phase:
    """What was measured in one phase; all times in seconds."""

    name: str
    answers: list[float] = field(default_factory=list)
    without_waits: list[float] = field(default_factory=list)
    """The same answers, without waiting for a core."""
    cpu: list[float] = field(default_factory=list)
    """The proxy's CPU until each of them."""
    greetings: list[float] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def run(self, house: House, work: Callable[[], object]) -> None:
        """Ask and greet for as long as the work takes."""
        probes = [threading.Thread(target=probe, args=(house, self)) for probe in (ask_often, greet_often)]
        for probe in probes:
            probe.start()
        try:
            work()
        finally:
            self.over.set()
            for probe in probes:
                probe.join()


@dataclass(slots=True)
class Load:
    """Mail on its way, until it is told to stop."""

    sent: int = 0
    failed_batches: int = 0
    enough: threading.Event = field(default_factory=threading.Event)

    def send(self, house: House, sessions: int) -> None:
        """At least that many sessions, and on until it is enough."""
        while self.sent < sessions or not self.enough.is_set():
            try:
                smtp_source(house.port, "-s", "5", "-m", str(BATCH))
            except subprocess.SubprocessError:
                self.failed_batches += 1
            self.sent += BATCH


def ask_often(house: House, phase: Phase) -> None:
    """How long the proxy takes to answer a question that costs it little."""
    pid = house.process.pid
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(DEADLINE)
        connection.connect(str(house.folder / "var/admin.sock"))
        while not phase.over.wait(PAUSE):
            waited, ran = waited_for_core(pid) + this_thread_waited(), running_time(pid)
            began = time.monotonic()
            connection.sendall(b"score 192.0.2.1\n")
            while not connection.recv(4096).endswith(b"\n"):
                pass
            took = time.monotonic() - began
            waited = waited_for_core(pid) + this_thread_waited() - waited
            phase.answers.append(took)
            phase.without_waits.append(max(took - waited, 0))
            phase.cpu.append(running_time(pid) - ran)


def greet_often(house: House, phase: Phase) -> None:
    """How long a friend waits from connect to greeting."""
    while not phase.over.wait(PAUSE):
        began = time.monotonic()
        with house.connect() as connection:
            assert connection.recv(4) == b"220 "
            phase.greetings.append(time.monotonic() - began)
            connection.sendall(b"QUIT\r\n")


def reload_often(house: House, times: int) -> None:
    """SIGHUP, each after the one before has taken effect."""
    before = len(house.events("reload", state="done"))
    for number in range(1, times + 1):
        os.kill(house.process.pid, signal.SIGHUP)
        wanted = before + number
        wait_for(lambda wanted=wanted: len(house.events("reload", state="done")) >= wanted, "a reload", 120)
        print(f"\rreload {number} of {times}", end="", flush=True)
    print()


def measure(house: House, postfix: Postfix, sessions: int, reloads: int) -> bool:
    """Both phases under the same load; whether no session failed."""
    load = Load()
    sender = threading.Thread(target=load.send, args=(house, sessions))
    calm, reloading = Phase("calm"), Phase("reloading")
    sender.start()
    try:
        calm.run(house, lambda: time.sleep(CALM))
        reloading.run(house, lambda: reload_often(house, reloads))
    finally:
        load.enough.set()
        sender.join()
    return show([calm, reloading], load, house, postfix)


def show(phases: list[Phase], load: Load, house: House, postfix: Postfix) -> bool:
    """Print it; whether no session failed."""
    table = Table("ms", "number", "median", "p99", "longest", f"over {STALL * 1e3:g}")
    for phase in phases:
        rows = {
            "answers": phase.answers,
            "answers, with a core": phase.without_waits,
            "CPU until them": phase.cpu,
            "greetings": phase.greetings,
        }
        for name, times in rows.items():
            over = sum(one > STALL for one in times)
            numbers = (statistics.median(times), quantile(times, 0.99), max(times))
            table.add_row(f"{phase.name}: {name}", str(len(times)), *(f"{one * 1e3:.2f}" for one in numbers), str(over))
    Console(width=120).print(table)
    wait_for(lambda: postfix.log().count(SERVED) >= load.sent or load.failed_batches, "the end of all sessions", 10)
    failed = load.sent - postfix.log().count(SERVED)
    counters = house.ask("status")["counters"]
    troubles = {name: number for name, number in counters.items() if name.startswith(("refused", "bugs", "lost"))}
    print(f"{load.sent} sessions, {failed} failed; the proxy refused or lost: {troubles or 'none'}")
    return not failed


def quantile(times: list[float], share: float) -> float:
    """The value below which that share lies."""
    return sorted(times)[int(len(times) * share)]


def main() -> int:
    """Build the list, then measure; 1 if a session failed."""
    parser = argparse.ArgumentParser(description="reload under load")
    parser.add_argument("--sessions", type=int, default=20_000)
    parser.add_argument("--networks", type=int, default=1_000_000)
    parser.add_argument("--reloads", type=int, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Postfix(passed("nice")) as postfix:
        path = Path(folder) / "large.cidr"
        write_list(path, options.networks)
        backend = f"pass:{postfix.pass_path('nice')}"
        with fronts.house(backend, extra=_LIST.format(path=path)) as house:
            return 0 if measure(house, postfix, options.sessions, options.reloads) else 1


if __name__ == "__main__":
    raise SystemExit(main())
