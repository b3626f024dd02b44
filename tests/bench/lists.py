"""A million networks: our table against py-radix and pytricia. `python -m tests.bench.lists`

Each contestant runs in a process of its own. Look-ups are CPU time of the thread. A stall is by how much the worst turn
of a timer of 1 ms was late while Trio ran and the lists were compiled (trees: built in a thread), or were dropped; the
time that the thread waited for a processor, which neighbours on the machine took, is taken off.
"""

import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage
from statistics import median

import pytricia
import radix
import trio

from frontproxy.core.address import pack, unpack
from frontproxy.observe.lists import ListSource, compile_lists

NETWORKS = 1_000_000
LOOKUPS = 200_000
ROUNDS = 5

Find = Callable[[bytes], object]


def write_list(path: Path, count: int) -> None:
    """A list as blocklists are: addresses, /24s, and two fifths IPv6."""
    dice = random.Random(7)
    with path.open("w") as file:
        for number in range(count):
            bits = dice.getrandbits(32)
            if number % 5 < 2:
                file.write(
                    f"{unpack(bytes.fromhex('2001') + bits.to_bytes(4) + bytes(10))}/{dice.choice((48, 48, 64))}\n"
                )
            elif number % 5 == 2:
                file.write(f"{unpack((bits >> 8 << 8).to_bytes(4))}/24\n")
            else:
                file.write(f"{unpack(bits.to_bytes(4))}\n")


def read_list(path: Path) -> Iterator[str]:
    """The networks as text, for the trees."""
    with path.open() as file:
        for line in file:
            yield line.rstrip("\n")


def build_radix(path: Path) -> Find:
    """A py-radix tree of both families."""
    tree = radix.Radix()
    for network in read_list(path):
        tree.add(network)
    return lambda packed: tree.search_best(packed=packed)


def build_pytricia(path: Path) -> Find:
    """A pytricia tree for each family."""
    trees = {4: pytricia.PyTricia(32), 16: pytricia.PyTricia(128)}
    for network in read_list(path):
        trees[16 if ":" in network else 4][network] = True
    return lambda packed: trees[len(packed)].get(unpack(packed))


TREES = {"py-radix": build_radix, "pytricia": build_pytricia}


@asynccontextmanager
async def lateness() -> AsyncIterator[list[float]]:
    """By how many milliseconds each turn of a timer of 1 ms was late, waits for a processor taken off."""
    late: list[float] = []

    async def tick() -> None:
        while True:
            started, waited = time.perf_counter(), _waited_for_processor()
            await trio.sleep(0.001)
            waited = _waited_for_processor() - waited
            late.append((time.perf_counter() - started - waited) * 1000 - 1)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(tick)
        yield late
        nursery.cancel_scope.cancel()


async def worst(act: Callable[[], Awaitable[None]]) -> float:
    """The latest turn of the timer around `act`, in milliseconds."""
    async with lateness() as late:
        await trio.sleep(0.02)
        await act()
        await trio.sleep(0.2)
    return max(late)


def cpu_per_lookup(find: Find, addresses: list[bytes]) -> float:
    """Microseconds of CPU, the median of the rounds, the loop around it taken off."""
    costs = []
    for _ in range(ROUNDS):
        start = time.thread_time()
        for _address in addresses:
            pass
        middle = time.thread_time()
        for address in addresses:
            find(address)
        costs.append(time.thread_time() - middle - (middle - start))
    return median(costs) / len(addresses) * 1e6


def addresses(path: Path) -> dict[str, list[bytes]]:
    """Addresses to look up, by what they are."""
    dice = random.Random(11)
    listed = [pack(network.partition("/")[0]) for network in dice.sample(list(read_list(path)), LOOKUPS)]
    return {
        "IPv4 hit": [packed for packed in listed if len(packed) == 4],
        "IPv4 miss": [dice.randbytes(4) for _ in range(LOOKUPS // 2)],
        "IPv6 hit": [packed for packed in listed if len(packed) == 16],
        "IPv6 miss": [b"\x20\x01" + dice.randbytes(14) for _ in range(LOOKUPS // 2)],
    }


async def measure(name: str, path: Path) -> dict[str, float]:
    """All numbers of one contestant."""
    stalls: dict[str, list[float]] = {"stall at build, ms": [], "stall at drop, ms": []}
    numbers: dict[str, float] = {}
    for _ in range(3):
        held: list[Find] = []

        async def build(held: list[Find] = held) -> None:
            if name in TREES:
                held.append(await trio.to_thread.run_sync(TREES[name], path))
            else:
                held.append((await compile_lists([ListSource("bench", str(path))])).find)

        async def drop(held: list[Find] = held) -> None:
            held.clear()

        memory, cpu, wall = _memory(), _cpu(), time.perf_counter()
        stalls["stall at build, ms"].append(await worst(build))
        numbers["build, s"] = time.perf_counter() - wall - 0.22
        numbers["build, s of CPU"] = _cpu() - cpu
        numbers.setdefault("memory, MB", _memory() - memory)
        if "IPv4 hit, us" not in numbers:
            numbers |= {f"{kind}, us": cpu_per_lookup(held[0], chosen) for kind, chosen in addresses(path).items()}
        stalls["stall at drop, ms"].append(await worst(drop))
    return numbers | {kind: median(times) for kind, times in stalls.items()}


async def quiet() -> float:
    """The worst turn of the timer in three seconds in which nothing happens."""

    async def wait() -> None:
        await trio.sleep(3)

    return median([await worst(wait) for _ in range(3)])


def _waited_for_processor() -> float:
    """Seconds that this thread was ready to run and had no processor."""
    return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9


def _memory() -> float:
    """Megabytes of this process, with files in memory that it holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    shared = int(Path("/proc/self/statm").read_text().split()[2])
    files = sum(Path(f"/proc/self/fd/{fd}").stat().st_size for fd in _memory_files())
    return (pages - shared) * os.sysconf("SC_PAGE_SIZE") / 1e6 + files / 1e6


def _memory_files() -> set[str]:
    links = {link.name: link.readlink().name for link in Path("/proc/self/fd").iterdir() if link.is_symlink()}
    return set({target: name for name, target in links.items() if target.startswith("memfd:")}.values())


def _cpu() -> float:
    return sum(usage.ru_utime + usage.ru_stime for usage in map(getrusage, (RUSAGE_SELF, RUSAGE_CHILDREN)))


def main() -> None:
    """Print a table."""
    if len(sys.argv) == 3:
        for kind, number in trio.run(measure, sys.argv[1], Path(sys.argv[2])).items():
            print(f"{sys.argv[1]:10} {kind:20} {number:8.2f}")
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.cidr"
        write_list(path, NETWORKS)
        print(
            f"{NETWORKS} networks; with nothing to do the timer is at worst {trio.run(quiet):.2f} ms late", flush=True
        )
        for name in ("ours", *TREES):
            subprocess.run([sys.executable, "-m", "tests.bench.lists", name, str(path)], check=True)


if __name__ == "__main__":
    main()
