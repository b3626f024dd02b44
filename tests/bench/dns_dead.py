"""What look-ups and a dead DNS cost those who wait: a friend's time to the greeting, and a stranger's pause.

Run it alone: `python -m tests.bench.dns_dead [--rounds 20]`.

Rounds without strangers, with a DNS that answers, and with one that is silent (unbound is stopped) take turns. In the
latter two strangers come together, ever new ones, about whom five lists and a resolver are asked; in all of them a
friend comes again and again. Stress is held off and the lists keep their vote here whatever happens, so that all of
them are asked in every round, which is worse than it can be. Times are from connecting to the greeting. 1 if a friend
waits longer with a dead DNS, or a stranger longer than its pause, by more than a busy machine explains.
"""

import argparse
import os
import selectors
import signal
import socket
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from tests.real.dns_world import FRIEND, World, befriend, header, move_in, world
from tests.real.house import DEADLINE, House

ALONE, ANSWERS, SILENT = "no strangers", "strangers, DNS answers", "strangers, DNS is silent"
"""The kinds of rounds."""
PAUSE = 1.0
STRANGERS = VISITS = 20
"""In each round."""
QUESTIONS = 6
"""About each of them: five lists and the name."""
MOST_MORE = 1.25
"""A friend's median with a dead DNS, in medians with one that answers."""
LATE = 0.25
"""Seconds after the end of its pause within which a stranger must be greeted."""
_TRUSTING = """
from frontproxy.core import list_watch
list_watch.MOST_UNANSWERED = list_watch.SILENT_TESTS = 10**9
"""
_NETWORK = "203.0.{}.{}"


@dataclass(slots=True)
class Times:
    """Seconds to the greeting."""

    friends: list[float] = field(default_factory=list)
    strangers: list[float] = field(default_factory=list)


@contextmanager
def scene() -> Iterator[tuple[World, House]]:
    """A house with a friend, and its DNS."""
    with world() as dns, tempfile.TemporaryDirectory(prefix="fp-") as folder, ExitStack() as stack:

        def build(config: str, *, first: str) -> House:
            house = House(Path(folder), config, first=first)
            stack.callback(house.stop)
            return house

        config = dns.config(pause=f"{PAUSE:g}s", dns="lookups_per_second = 100000")
        config = config.replace(f":{dns.trouble.port}", f":{dns.unbound.port}")  # nothing of ours in between
        house = move_in(build, config, first=_TRUSTING)
        befriend(house)
        for pool in ("nice", "hostile"):
            assert house.ask(f"stress {pool} off")["ok"]
        yield dns, house


def one_round(house: House, number: int, times: Times, *, strangers: int = STRANGERS) -> None:
    """Strangers come, a friend comes while they wait, then they are greeted."""
    with ExitStack() as stack, selectors.DefaultSelector() as greeted:
        for last in range(strangers):
            began = time.monotonic()
            stranger = stack.enter_context(arriving(house, _NETWORK.format(number, last)))
            greeted.register(stranger, selectors.EVENT_READ, began)
        times.friends += [friend_comes(house) for _ in range(VISITS)]
        while greeted.get_map():
            for key, _events in greeted.select(DEADLINE):
                times.strangers.append(time.monotonic() - key.data)
                greeted.unregister(key.fileobj)


def friend_comes(house: House) -> float:
    """Seconds until it is greeted."""
    began = time.monotonic()
    with arriving(house, FRIEND) as friend:
        assert friend.recv(4096).startswith(b"220 ")
        return time.monotonic() - began


def arriving(house: House, client: str) -> socket.socket:
    """A connection of a client."""
    connection = house.connect()
    connection.sendall(header(client))
    return connection


def measure(rounds: int) -> dict[str, Times]:
    """Rounds of each kind by turns."""
    found = {ALONE: Times(), ANSWERS: Times(), SILENT: Times()}
    with scene() as (dns, house):
        one_round(house, 0, Times())
        for number in track(range(1, rounds + 1), "rounds, with and without DNS"):
            one_round(house, 0, found[ALONE], strangers=0)
            one_round(house, 2 * number, found[ANSWERS])
            os.kill(dns.unbound.pid, signal.SIGSTOP)
            one_round(house, 2 * number + 1, found[SILENT])
            os.kill(dns.unbound.pid, signal.SIGCONT)
        told = house.ask("status")["dns"]
    assert told["asked"] > QUESTIONS * STRANGERS * rounds, f"{told['asked']} questions only"
    print(f"{told['asked']} questions, {told['no_answer']} without an answer; {told['over_budget']} not asked")
    return found


def main() -> int:
    """Print a table; 1 if a budget is not kept."""
    parser = argparse.ArgumentParser(description="waiting, with DNS and without")
    parser.add_argument("--rounds", type=int, default=20, help="of each kind, at most 100")
    found = measure(parser.parse_args().rounds)
    table = Table(
        "DNS and strangers", "friend, ms: median", "p99", f"stranger (pause {PAUSE * 1e3:.0f}), ms: median", "longest"
    )
    for kind, times in found.items():
        friends = statistics.quantiles(times.friends, n=100)
        strangers = (statistics.median(times.strangers), max(times.strangers)) if times.strangers else ()
        numbers = (statistics.median(times.friends), friends[98], *strangers)
        table.add_row(kind, *(f"{number * 1e3:.1f}" for number in numbers))
    Console(width=120).print(table)
    alive, dead = found[ANSWERS], found[SILENT]
    friends_wait = statistics.median(dead.friends) > MOST_MORE * statistics.median(alive.friends)
    strangers_wait = statistics.quantiles(dead.strangers, n=100)[98] > PAUSE + LATE
    return 1 if friends_wait or strangers_wait else 0


if __name__ == "__main__":
    raise SystemExit(main())
