"""What a million known clients cost: bytes on disk, microseconds to recall, learn and write them, memory.

Run it alone: `python -m tests.bench.memory [CLIENTS]`. Times are CPU time of the whole process, medians of five rounds.
Every client has a confirmed name of 24 characters; two share a network, three a provider (with a million).
"""

import random
import resource
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import trio

from frontproxy.core.history import Keys, KnownName, Recalled, learn
from frontproxy.core.level import Forgetting
from frontproxy.core.recollection import recollect
from frontproxy.memory.copies import copy_path, write_copy
from frontproxy.memory.sqlite import HistoryFile

DAY = 86400.0
NOW = 1.7e9
FORGETTING = Forgetting(good_half_life=30 * DAY, bad_half_life=7 * DAY, evidence_cap=25, network_limit=4)
ROUNDS = 5
COUNT = 5000
BATCH = 20_000


def main() -> None:
    clients = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "history.sqlite3"
        trio.run(fill, path, clients)
        measure(path, clients)


def keys_of(number: int) -> Keys:
    """Two clients to a network, networks scattered, every eighth an IPv6 one."""
    place, host = divmod(number, 2)
    scattered = place * 2654435761 % 2**24
    asn = 1 + scattered % 60_000
    if place % 8:
        network = scattered.to_bytes(3, "big")
        return Keys(network + bytes([host]), network, asn)
    network = b"\x20\x01" + scattered.to_bytes(4, "big")
    return Keys(network + host.to_bytes(2, "big"), network, asn)


def name_of(number: int) -> KnownName:
    """A name of 24 characters. A million clients are in 19 thousand ASNs; each of these has up to 17 providers."""
    domain = f"example{keys_of(number).asn:05}{number // 2 % 17:02}.com"
    return KnownName(f"mx-{number % 100:02}.{domain}", domain, NOW + 2 * DAY)


async def fill(path: Path, clients: int) -> None:
    chance = random.Random(1)
    history = opened(path)
    order = list(range(clients))
    chance.shuffle(order)
    started = cpu()
    for position in range(0, clients, BATCH):
        for number in order[position : position + BATCH]:
            lived(history, keys_of(number), chance.random() * 2, chance.random(), name_of(number))
        await history.flush()
    each = (cpu() - started) / clients * 1e6
    rows = history.status()
    history.close()
    print(f"{rows['clients']} clients, {rows['networks']} networks, {rows['providers']} providers, {rows['asns']} ASNs")
    print(f"on disk: {size_of(path) / clients:.0f} bytes a client, all levels included")
    print(f"recall, learn, remember and flush of a new client: {each:.1f} us")


def size_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path.stat().st_size


def measure(path: Path, clients: int) -> None:
    chance = random.Random(2)
    before = memory()
    started = time.perf_counter()
    history = opened(path)
    print(f"open, check and count: {time.perf_counter() - started:.2f} s")
    numbers = iter(chance.sample(range(clients), min(clients, 2 * COUNT * ROUNDS)))
    batches = [[keys_of(number) for number in (next(numbers) for _key in range(COUNT))] for _round in range(ROUNDS)]
    print(f"recall from disk: {median(lambda batch: recall(history, batch), batches):.1f} us")
    recent = [batches[-1]] * ROUNDS
    print(f"recall from memory: {median(lambda batch: recall(history, batch), recent):.1f} us")
    print(f"recall from memory and recollect: {median(lambda batch: judge(history, batch), recent):.1f} us")
    print(f"recall from memory, learn and remember: {median(lambda batch: live(history, batch), recent):.1f} us")
    live(history, [keys for batch in batches for keys in batch])
    started = cpu()
    trio.run(history.flush)
    print(f"flush: {(cpu() - started) / (COUNT * ROUNDS) * 1e6:.1f} us a client")
    for step in ("best", "least"):
        started = time.perf_counter()
        history._table.choose(b"c", step, 1000, now=NOW, forgetting=FORGETTING) if history._table else None
        print(f"choose the 1000 {step}: {time.perf_counter() - started:.2f} s in a thread")
    started = time.perf_counter()
    write_copy(path, copy_path(path))
    print(f"a verified copy: {time.perf_counter() - started:.2f} s in a thread")
    print(f"memory: {memory() - before:.0f} MB more than before the file was opened")
    history.close()


def opened(path: Path) -> HistoryFile:
    return HistoryFile.open(path, limit=10**8, forgetting=FORGETTING, log=tell)


def tell(event: str, /, **values: object) -> None:
    print(event, values)


def lived(history: HistoryFile, keys: Keys, good: float, bad: float, heard: KnownName | None = None) -> None:
    recalled = history.recall(keys, heard=heard)
    history.remember(learn(recalled, good=good, bad=bad, now=NOW, forgetting=FORGETTING)[0])


def recall(history: HistoryFile, batch: list[Keys]) -> list[Recalled]:
    return [history.recall(keys, now=NOW + DAY) for keys in batch]


def judge(history: HistoryFile, batch: list[Keys]) -> None:
    for keys in batch:
        recollect(history.recall(keys, now=NOW + DAY), now=NOW + DAY, forgetting=FORGETTING)


def live(history: HistoryFile, batch: list[Keys]) -> None:
    for keys in batch:
        lived(history, keys, 1.0, 0.0)


def median(work: Callable[[list[Keys]], object], batches: list[list[Keys]]) -> float:
    """Microseconds of CPU a client."""
    taken = []
    for batch in batches:
        started = cpu()
        work(batch)
        taken.append((cpu() - started) / len(batch) * 1e6)
    return statistics.median(taken)


def cpu() -> float:
    return time.process_time()


def memory() -> float:
    """Megabytes that the process holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


if __name__ == "__main__":
    main()
