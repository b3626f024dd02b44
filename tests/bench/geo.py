"""MaxMind databases: opening, look-ups, looks at the files, dropping; and whether they know what everybody knows.

`python -m tests.bench.geo [FILE.mmdb ...]`

Without files of your own, a small one is written; real ones are larger and their look-ups miss the caches more often.
Look-ups are CPU time of the thread. Of your own, what they say of well-known addresses is shown beside what is so: to
be run whenever a vendor is new.
"""

import random
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path
from statistics import median

import maxminddb
import trio

from frontproxy.core.address import unpack
from frontproxy.log import Log
from frontproxy.observe.geo import GeoBook
from frontproxy.observe.geo_watch import GeoWatch
from tests.observe.databases import asn, write_database

NETWORKS = 20_000
LOOKUPS = 50_000
ROUNDS = 5
LOOKS = 200

FIELDS = ("autonomous_system_number", "country.iso_code", "traits.user_type", "subdivisions.0.iso_code", "is_anycast")

KNOWN = {
    "8.8.8.8": (15169, ("US",)),
    "2001:4860:4860::8888": (15169, ("US",)),
    "1.1.1.1": (13335, ("AU", "US")),
    "2606:4700:4700::1111": (13335, ("US",)),
    "9.9.9.9": (19281, ("US", "CH")),
    "193.0.6.139": (3333, ("NL",)),
    "2001:67c:2e8:22::c100:68b": (3333, ("NL",)),
    "192.0.2.1": (0, ()),
}
"""Public resolvers, the RIPE NCC, and an address that nobody has: ASN, and countries that are right in some sense."""


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
    with_fields = GeoBook.open([path], FIELDS)
    print(f"hit   {cpu_per_lookup(with_fields, samples['hit']):6.2f} us with {len(FIELDS)} fields wanted")
    print(f"look  {trio.run(cpu_per_look, book):6.0f} us, once in ten seconds, at a file that has not changed")
    start = time.perf_counter()
    book.close()
    print(f"close {(time.perf_counter() - start) * 1e3:6.2f} ms of the caller; {book.errors} errors")


async def cpu_per_look(book: GeoBook) -> float:
    """Microseconds of CPU of this process for one look at the files, with the thread it takes."""
    watch = GeoWatch(lambda: book, lambda _book: None, Log(-1, None))
    start = time.process_time()
    for _ in range(LOOKS):
        await watch.look()
    return (time.process_time() - start) / LOOKS * 1e6


def compare(paths: list[Path]) -> bool:
    """Print what all databases together say of addresses that everybody knows; whether they are right or silent."""
    book = GeoBook.open(paths)
    is_right = True
    for file in book.files:
        print(f"{file.path}: {file.kind}, built {file.day}")
    for address, (asn_known, countries) in KNOWN.items():
        place = book.find(address)
        agrees = place.asn in {0, asn_known} and place.country in {"", *countries}
        is_right &= agrees
        told = f"AS{place.asn or '?':<8} {place.organisation[:30]:30} {place.country or '?'}"
        so = f"AS{asn_known} {' or '.join(countries)}"
        print(f"{address:26} {told:42} {'' if agrees else f'WRONG, it is {so}'}")
    return is_right


def main() -> int:
    """Print tables; 1 if a database of your own is wrong about a place that everybody knows."""
    own = [Path(name) for name in sys.argv[1:]]
    for path in own:
        measure(path)
    if own:
        return 0 if compare(own) else 1
    with tempfile.TemporaryDirectory() as folder:
        measure(write_example(Path(folder) / "example.mmdb"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
