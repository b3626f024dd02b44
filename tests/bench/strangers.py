"""What strangers leave behind in memory: thousands of different ones, one after the other, in a whole house.

Run it alone: `python -m tests.bench.strangers [--strangers 12000] [--kept 1000]`.

Each is asked about in five lists of a real DNS and by name. What this house keeps of addresses (the cache of what the
DNS told, the census, and what was last read of history) is less than usual (`--kept` each), so that it is full soon;
from then on memory may not grow. It is that of the proxy and of the asking program, the part that each shares with
nobody (USS); the resolver's is not in it. The bound of the cache as it is shipped is measured by `tests.bench.lookups`,
with a hundred thousand strangers.
"""

import argparse
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from tests.bench.visitors import come, house, resolver

STEPS = 9
MOST_GROWTH = 1.05
"""Memory at the end, in units of what it was when the cache had just become full."""
_KEEPS = """
from frontproxy.core import census
from frontproxy.lookup import cache
from frontproxy.memory import sqlite
census.Census.__init__.__defaults__ = ({kept},)
sqlite._READ_LIMIT = {kept}
addresses, characters = cache.Cache.__init__.__defaults__
cache.Cache.__init__.__defaults__ = {kept}, characters
"""


def measure(count: int, kept: int) -> list[tuple[int, int, float, float]]:
    """Rows of strangers so far, addresses in the cache, and megabytes of the proxy and of the asking program."""
    rows = []
    with resolver(count) as port, house(port, first=_KEEPS.format(kept=kept)) as running:
        for step in track(range(STEPS), "strangers"):
            strangers = range(step * count // STEPS, (step + 1) * count // STEPS)
            come(running, strangers)
            dns = running.ask("status")["dns"]
            rows.append(
                (strangers.stop, dns["cached"], memory(running.process.pid), memory(dns["program"]["pid"])),
            )
    return rows


def memory(pid: int) -> float:
    """Megabytes of a process that it shares with nobody."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


def main() -> int:
    """Print a table; 1 if memory grows when the cache is full."""
    parser = argparse.ArgumentParser(description="memory that strangers leave behind")
    parser.add_argument("--strangers", type=int, default=12_000)
    parser.add_argument("--kept", type=int, default=1000, help="addresses in the cache")
    options = parser.parse_args()
    rows = measure(options.strangers, options.kept)
    table = Table("strangers so far", "addresses in the cache", "MB of the proxy", "MB of the asking program")
    for strangers, cached, proxy, asking in rows:
        table.add_row(f"{strangers:,}", f"{cached:,}", f"{proxy:.1f}", f"{asking:.1f}")
    Console(width=120).print(table)
    full = [proxy + asking for strangers, cached, proxy, asking in rows if cached < strangers]
    return 0 if not full or full[-1] <= full[0] * MOST_GROWTH else 1


if __name__ == "__main__":
    raise SystemExit(main())
