"""What a decision costs: lists with a million networks, history with a million clients, the shipped rules.

Run it alone: `python -m tests.bench.decision [CLIENTS [NETWORKS]]`. CPU time of this process in us, medians of
seven rounds; the budget is 60 us.
"""

import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import trio

from frontproxy.clock import AnchoredClock
from frontproxy.core import address
from frontproxy.core.history import Keys, KnownName, learn
from frontproxy.handover.held import HeldSockets
from frontproxy.log import Log
from frontproxy.memory.pins import Pins
from frontproxy.memory.sqlite import HistoryFile
from frontproxy.proxy import Proxy
from frontproxy.setup import Setup, load

ROUNDS = 7
COUNT = 5000
BATCH = 20_000


def main() -> None:
    """Build both, then judge."""
    clients, networks = (int(word) for word in (sys.argv[1:] + ["1000000", "1000000"][len(sys.argv) - 1 :]))
    with tempfile.TemporaryDirectory() as name:
        trio.run(measure, Path(name), clients, networks)


def client(number: int) -> bytes:
    """The number-th client, scattered over all of IPv4."""
    return (number * 2654435761 % 2**32).to_bytes(4, "big")


def name_of(number: int) -> KnownName:
    """The name that a client is remembered by; three share a provider."""
    domain = f"example{number // 3:07}.com"
    return KnownName(f"mx-{number % 100:02}.{domain}", domain, time.time() + 86400)


def write_list(path: Path, networks: int) -> None:
    """A list of /24 to /32, scattered over all of IPv4."""
    chance = random.Random(3)
    with path.open("w") as file:
        for _ in range(networks):
            length = chance.choice([24, 26, 28, 30, 32])
            network = chance.getrandbits(length) << (32 - length)
            file.write(f"{address.unpack(network.to_bytes(4, 'big'))}/{length}\n")


def write_config(folder: Path, networks: int) -> Path:
    """The shipped settings and one large list."""
    write_list(folder / "large.cidr", networks)
    path = folder / "config.toml"
    path.write_text('[[list]]\nname = "large"\nkind = "points"\nfile = "large.cidr"\npoints = -2\n')
    return path


async def fill(history: HistoryFile, clients: int) -> None:
    """A good session of each client."""
    forgetting = history.forgetting
    for start in range(0, clients, BATCH):
        for number in range(start, min(start + BATCH, clients)):
            packed = client(number)
            keys = Keys(address.client_of(packed), address.network_of(packed), 0)
            recalled = history.recall(keys, heard=name_of(number))
            history.remember(learn(recalled, good=1.0, bad=0.0, now=time.time(), forgetting=forgetting)[0])
        await history.flush()


async def measure(folder: Path, clients: int, networks: int) -> None:
    """Judge known clients that memory has forgotten, known ones it has at hand, and strangers."""
    setup = await load(write_config(folder, networks))
    log = Log(os.open(os.devnull, os.O_WRONLY), None)
    clock = AnchoredClock(time.time, time.monotonic)

    def opened() -> HistoryFile:
        path = folder / "history.sqlite3"
        return HistoryFile.open(path, limit=10**8, forgetting=setup.forgetting, log=log, clock=clock.now)

    history = opened()
    await fill(history, clients)
    history.close()
    history = opened()
    proxy = new_proxy(setup, history, folder, log, clock)
    chance = random.Random(4)
    known = [[client(chance.randrange(clients)) for _ in range(COUNT)] for _ in range(ROUNDS)]
    strangers = [[chance.randbytes(4) for _ in range(COUNT)] for _ in range(ROUNDS)]
    print(f"{history.status()['clients']} clients, {setup.lists.entries} networks")
    print(f"a decision, known client, from disk:   {median(lambda batch: judge(proxy, batch), known):.1f} us")
    recent = [known[-1]] * ROUNDS
    print(f"a decision, known client, from memory: {median(lambda batch: judge(proxy, batch), recent):.1f} us")
    print(f"a decision, stranger:                  {median(lambda batch: judge(proxy, batch), strangers):.1f} us")
    history.close()
    setup.close()


def new_proxy(setup: Setup, history: HistoryFile, folder: Path, log: Log, clock: AnchoredClock) -> Proxy:
    """A proxy that has everything but doors."""
    proxy = Proxy(setup, history, Pins.load(folder / "pins.toml"), log, clock, HeldSockets(None))
    proxy.pools.configure(setup.config, {}, time.monotonic())
    return proxy


def judge(proxy: Proxy, batch: list[bytes]) -> None:
    """The verdict on each, as for a connection that has just come in."""
    for packed in batch:
        proxy.judge(packed, address.unpack(packed))


def median(work: Callable[[list[bytes]], object], batches: list[list[bytes]]) -> float:
    """Microseconds of CPU an item."""
    taken = []
    for batch in batches:
        started = time.process_time()
        work(batch)
        taken.append((time.process_time() - started) / len(batch) * 1e6)
    return statistics.median(taken)


if __name__ == "__main__":
    main()
