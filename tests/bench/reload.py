"""Reload under load: SIGHUP ten times, with a list of a million networks, while friends send mail.

Run it alone: `python -m tests.bench.reload [NETWORKS]`. A friend's time from connect to greeting tells how long the
proxy stalls: the distribution during the reloads beside that of a calm phase of the same run.
"""

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from tests.bench.decision import write_list
from tests.real.house import CONFIG, House, wait_for

RELOADS = 10
FRIEND = "127.1.0.1"
LISTS = """
[[list]]
name = "large"
kind = "points"
file = "large.cidr"
points = -2
[[list]]
name = "friends"
kind = "own"
networks = ["127.0.0.0/10"]
"""


def main() -> None:
    """Measure calm, then reload and measure again."""
    networks = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory(prefix="fp-") as name:
        folder = Path(name)
        write_list(folder / "large.cidr", networks)
        house = House(folder, CONFIG + LISTS).start()
        try:
            measure(house)
        finally:
            house.stop()


def measure(house: House) -> None:
    """Two phases of equal length, with smtp-source as load beside the measured friend."""
    began = time.monotonic()
    house.ask("reload")
    took = time.monotonic() - began
    print(f"one reload takes {took:.2f} s")
    stop = threading.Event()
    load = threading.Thread(target=send_mail, args=(house, stop))
    load.start()
    calm = greetings(house, threading.Event(), RELOADS * took)
    print(f"longest stall of the proxy when calm: {house.ask('status')['longest_stall'] * 1e3:.1f} ms")
    done = threading.Event()
    reloads = threading.Thread(target=reload_often, args=(house, done))
    reloads.start()
    busy = greetings(house, done, 600)
    print(f"longest stall of the proxy while reloading: {house.ask('status')['longest_stall'] * 1e3:.1f} ms")
    reloads.join()
    stop.set()
    load.join()
    for phase, times in (("calm", calm), ("reloading", busy)):
        print(
            f"{phase:10}: {len(times)} greetings, median {statistics.median(times) * 1e3:.2f} ms,"
            f" p99 {quantile(times, 0.99) * 1e3:.2f} ms, longest {max(times) * 1e3:.2f} ms"
        )
    status = house.ask("status")["counters"]
    refused = {name: value for name, value in status.items() if name.startswith(("refused", "bugs", "lost"))}
    print(f"sessions {status['accepted']}, refused or lost: {refused or 'none'}")


def send_mail(house: House, stop: threading.Event) -> None:
    """Load: 5 sessions at a time."""
    command = ["/usr/sbin/smtp-source", "-s", "5", "-m", "100", "-t", "user@example.com", f"127.0.0.1:{house.port}"]
    while not stop.is_set():
        subprocess.run(command, check=True)


def reload_often(house: House, done: threading.Event) -> None:
    """SIGHUP, each after the one before has taken effect."""
    before = len(house.events("reload", state="done"))
    for number in range(1, RELOADS + 1):
        os.kill(house.process.pid, signal.SIGHUP)
        wanted = before + number
        wait_for(lambda wanted=wanted: len(house.events("reload", state="done")) >= wanted, "a reload", 120)
    done.set()


def greetings(house: House, done: threading.Event, seconds: float) -> list[float]:
    """Seconds from connect to greeting, again and again."""
    times = []
    until = time.monotonic() + seconds
    while not done.is_set() and time.monotonic() < until:
        began = time.monotonic()
        with house.connect(FRIEND) as connection:
            assert connection.recv(4) == b"220 "
            times.append(time.monotonic() - began)
            connection.sendall(b"QUIT\r\n")
        time.sleep(0.005)
    return times


def quantile(times: list[float], share: float) -> float:
    """The value below which that share lies."""
    return sorted(times)[int(len(times) * share)]


if __name__ == "__main__":
    main()
