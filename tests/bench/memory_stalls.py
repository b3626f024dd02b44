"""How long a read of history can take while the file is written, checkpointed, copied and converted beside it.

Run it alone: `python -m tests.bench.memory_stalls [CLIENTS]`. A reader in the event loop recalls a client from disk
every two milliseconds, as the proxy does; what is told is the median, the 99th percentile and the longest of these
reads, in ms of wall time. Where cores are shared, the first line (nothing else at work) is what to compare with.
"""

import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import trio

from frontproxy.memory.copies import copy_path, write_copy
from frontproxy.memory.sqlite import HistoryFile
from frontproxy.memory.told import told_key
from tests.bench.memory import DAY, FORGETTING, NOW, fill, keys_of, lived, opened, size_of

CALM = 5.0
"""Seconds of each measurement that has no end of its own."""
RATE = 1000
"""Sessions learned in a second, each of another client."""


def main() -> None:
    clients = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "history.sqlite3"
        trio.run(fill, path, clients)
        trio.run(measure, path, clients)
        told(path)


async def measure(path: Path, clients: int) -> None:
    """Read beside each kind of work."""
    with closing(opened(path)) as history:
        works: dict[str, Callable[[], Awaitable[object]]] = {
            "nothing else": partial(trio.sleep, CALM),
            f"flushes, {RATE} sessions a second": partial(flush, history, clients),
            "a checkpoint of all that": partial(trio.to_thread.run_sync, checkpoint, path),
            "the daily copy": partial(trio.to_thread.run_sync, write_copy, path, copy_path(path)),
            "eviction's pass": partial(history.rank, "best", 1000),
            "a conversion to other half-lives": partial(
                history.convert, replace(FORGETTING, bad_half_life=14 * DAY, good_half_life=60 * DAY)
            ),
        }
        for what, work in works.items():
            started = time.perf_counter()
            taken = await read_beside(history, clients, work)
            seconds = time.perf_counter() - started
            taken.sort()
            median, late, longest = statistics.median(taken), taken[len(taken) * 99 // 100], taken[-1]
            print(f"{what} ({seconds:.1f} s): {median:.2f}, {late:.2f}, {longest:.2f} ms ({len(taken)} reads)")


async def read_beside(history: HistoryFile, clients: int, work: Callable[[], Awaitable[object]]) -> list[float]:
    """Milliseconds of each read until the work is done."""
    chance = random.Random()  # other clients each time, or they would be in memory
    taken: list[float] = []

    async def read() -> None:
        while True:
            keys = keys_of(chance.randrange(clients))
            started = time.perf_counter()
            history.recall(keys, now=NOW + DAY)
            taken.append((time.perf_counter() - started) * 1e3)
            await trio.sleep(0.002)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await work()
        nursery.cancel_scope.cancel()
    return taken


async def flush(history: HistoryFile, clients: int) -> None:
    """What a busy proxy learns, written twice a second."""
    chance = random.Random(6)
    until = trio.current_time() + CALM
    while trio.current_time() < until:
        for _tick in range(20):
            for _session in range(RATE // 40):
                lived(history, keys_of(chance.randrange(clients)), 1.0, 0.0)
            await trio.sleep(0.025)
        await history.flush()


def checkpoint(path: Path) -> None:
    with closing(sqlite3.connect(path, timeout=10)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def told(path: Path, keys: int = 200_000) -> None:
    """What it costs to know of each old session that it was learned."""
    before = size_of(path)
    with closing(opened(path)) as history:
        started = time.process_time()
        for number in range(keys):
            key = told_key(number.to_bytes(4, "big"), 4711, NOW + number % 360_000, "mx postfix/smtpd[99]")
            if not history.is_told(key):
                history.note_told(key)
            if number % 20_000 == 19_999:
                trio.run(history.flush)
        each = (time.process_time() - started) / keys * 1e6
    print(f"a told session: {(size_of(path) - before) / keys:.1f} bytes on disk, {each:.1f} us to ask, note and write")


if __name__ == "__main__":
    main()
