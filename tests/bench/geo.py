"""A MaxMind database: opening, look-ups and dropping. `python -m tests.bench.geo [FILE.mmdb]`

Without a file of your own, a small one is written; real ones are larger and their look-ups miss the caches more often.
Look-ups are CPU time of the thread.
"""

import random
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path
from statistics import median

import maxminddb

from frontproxy.core.address import unpack
from frontproxy.observe.geo import GeoBook
from tests.observe.databases import asn, write_database

NETWORKS = 20_000
LOOKUPS = 50_000
ROUNDS = 5


def cpu_per_lookup(book: GeoBook, addresses: list[str]) -> float:
    """Microseconds of CPU, the median of the rounds."""
    costs = []
    for _ in range(ROUNDS):
        start = time.thread_time()
        for address in addresses:
            book.find(address)
        costs.append(time.thread_time() - start)
    return median(costs) / len(addresses) * 1e6


def write_example(path: Path) -> Path:
    """/24s and IPv6 /48s of random autonomous systems."""
    dice = random.Random(5)
    networks = [f"{unpack(dice.randbytes(3) + bytes(1))}/24" for _ in range(NETWORKS // 2)]
    networks += [f"{unpack(bytes.fromhex('2001') + dice.randbytes(4) + bytes(10))}/48" for _ in range(NETWORKS // 2)]
    return write_database(
        path, {network: asn(number + 1, f"Example {number}") for number, network in enumerate(networks)}
    )


def measure(path: Path) -> None:
    """Print all numbers of one database."""
    dice = random.Random(6)
    start = time.perf_counter()
    book = GeoBook.open([path])
    opened = time.perf_counter()
    samples = {
        "IPv4": [unpack(dice.randbytes(4)) for _ in range(LOOKUPS)],
        "IPv6": [unpack(b"\x20\x01" + dice.randbytes(14)) for _ in range(LOOKUPS)],
        "hit": [str(network[0]) for network, _record in islice(maxminddb.open_database(path), LOOKUPS)],
    }
    print(f"{path.name}: {book.files[0].size / 1e6:.1f} MB, opened and checked in {opened - start:.2f} s")
    for kind, addresses in samples.items():
        print(f"{kind:5} {cpu_per_lookup(book, addresses):6.2f} us a look-up")
    start = time.perf_counter()
    book.close()
    print(f"close {(time.perf_counter() - start) * 1e3:6.2f} ms of the caller; {book.errors} errors")


def main() -> None:
    """Print a table."""
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(sys.argv[1]) if len(sys.argv) > 1 else write_example(Path(folder) / "example.mmdb"))


if __name__ == "__main__":
    main()
