"""What a waiting stranger costs in memory: thousands at once, each from an address of its own, in a long pause.

Run it alone: `python -m tests.bench.held [--strangers 5000]`. Memory is that of all processes of the front end, each
page divided by the number of processes that share it (PSS), as /proc tells it; the kernel's part of an open connection
is not in it, and is the same for every server. The budget is 10 kB each.
"""

import argparse
import ipaddress
import resource
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench import fronts
from tests.bench.cpu import cpu_of, family
from tests.real.house import House, wait_for

BUDGET = 10_000
"""Bytes for each stranger."""
WARM_UP = 200
_FIRST = int(ipaddress.IPv4Address("127.64.0.1"))
_SPARE = 200
"""Descriptors that this process has beside one for each stranger."""


@contextmanager
def strangers(house: House, count: int, first: int = 0) -> Iterator[None]:
    """So many wait in the waiting room, beside those who wait already."""
    with ExitStack() as stack:
        for number in range(first, first + count):
            stack.enter_context(house.connect(str(ipaddress.IPv4Address(_FIRST + number))))
        wait_for(lambda: waiting(house) >= first + count, f"{first + count} strangers in the waiting room")
        yield


def waiting(house: House) -> int:
    """Strangers in the waiting room now."""
    return int(house.ask("status")["waiting_room"]["waiting"])


def memory(house: House) -> int:
    """Bytes of all its processes."""
    return sum(_pss(pid) for pid in family(house.process.pid))


def measure(house: House, count: int) -> list[tuple[int, int, float]]:
    """Rows of strangers waiting, bytes for each and microseconds of CPU to come in, at half and at full count."""
    with strangers(house, WARM_UP):
        pass
    wait_for(lambda: waiting(house) == 0, "the waiting room empty")
    empty, idle = memory(house), cpu_of([house.process.pid]).total
    rows = []
    with ExitStack() as stack:
        for half in range(2):
            stack.enter_context(strangers(house, count // 2, first=half * (count // 2)))
            here = waiting(house)
            spent = cpu_of([house.process.pid]).total - idle
            rows.append((here, (memory(house) - empty) // here, spent / here * 1e6))
    return rows


def _pss(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def _room_for(descriptors: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < descriptors:
        raise SystemExit(f"{descriptors} descriptors are needed, `ulimit -Hn` is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, descriptors), hard))


def main() -> int:
    """Print a table; 1 if the budget is not kept."""
    parser = argparse.ArgumentParser(description="memory of waiting strangers")
    parser.add_argument("--strangers", type=int, default=5000)
    count = parser.parse_args().strangers
    _room_for(count + _SPARE)
    listen = f'pause = "4m"\nwaiting_room = {count + WARM_UP}'
    with fronts.house("pass:/nonexistent/nice", listen=listen) as house:
        rows = measure(house, count)
    table = Table("strangers waiting", "bytes each", "of the budget", "us of CPU each to come in")
    for here, each, spent in rows:
        table.add_row(str(here), str(each), f"{each / BUDGET:.0%}", f"{spent:.0f}")
    Console(width=120).print(table)
    return 0 if rows[-1][1] <= BUDGET else 1


if __name__ == "__main__":
    raise SystemExit(main())
