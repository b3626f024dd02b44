"""What large messages cost in front of a server: CPU per byte of the relay beside HAProxy and nginx, no PROXY header.

Run it alone: `python -m tests.bench.bulk [--rounds 5] [--messages 4]`. Eight sessions at a time send messages of 5 MB
to smtp-sink, which is quicker than any of them. Every round asks every front end once; medians over the rounds. The
budget of the relay is 1.2 times HAProxy's.
"""

import argparse
import statistics
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from rich.console import Console
from rich.progress import track
from rich.table import Table

from tests.bench import fronts
from tests.bench.fronts import Front
from tests.real.postfix import smtp_source
from tests.real.servers import Sink

SESSIONS = 8
SIZE = 5_000_000
"""Bytes of a message."""
BUDGET = 1.2


@contextmanager
def systems() -> Iterator[list[Front]]:
    """All of them at once, in front of one sink."""
    with ExitStack() as stack:
        sink = stack.enter_context(Sink())
        yield [
            stack.enter_context(fronts.frontproxy("frontproxy, relay", f"tcp:127.0.0.1:{sink.port}?proxy=none")),
            stack.enter_context(fronts.haproxy("HAProxy", sink.port, send_proxy="")),
            stack.enter_context(fronts.nginx("nginx", sink.port, send_proxy=False)),
        ]


def measure(front: Front, messages: int) -> float:
    """Milliseconds of CPU for each megabyte, when every session sends that many messages one after the other."""
    number = SESSIONS * messages
    before = front.cpu()
    smtp_source(front.port, "-s", str(SESSIONS), "-d", "-l", str(SIZE), "-m", str(number))
    return (front.cpu() - before).total * 1e3 / (number * SIZE / 1e6)


def show(costs: dict[str, list[float]]) -> dict[str, float]:
    """A table; and each front end's ratio to HAProxy, the median of all rounds' ratios."""
    table = Table("front end", "ms of CPU a megabyte", "least", "most", "/ HAProxy")
    ratios = {}
    for name, measured in costs.items():
        ratios[name] = statistics.median(one / other for one, other in zip(measured, costs["HAProxy"], strict=True))
        numbers = (statistics.median(measured), min(measured), max(measured))
        table.add_row(name, *(f"{number:.3f}" for number in numbers), f"{ratios[name]:.2f}")
    Console(width=120).print(table)
    return ratios


def main() -> int:
    """Measure, round after round; 1 if the budget is not kept."""
    parser = argparse.ArgumentParser(description="CPU of front ends per byte")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--messages", type=int, default=4)
    options = parser.parse_args()
    costs: dict[str, list[float]] = defaultdict(list)
    with systems() as all_fronts:
        for front in all_fronts:
            measure(front, 1)
        for _ in track(range(options.rounds), "rounds of bulk"):
            for front in all_fronts:
                costs[front.name].append(measure(front, options.messages))
    ratios = show(costs)
    return 0 if ratios["frontproxy, relay"] <= BUDGET else 1


if __name__ == "__main__":
    raise SystemExit(main())
