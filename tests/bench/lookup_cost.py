"""What the look-ups of a stranger cost in a whole house: five lists and its name, known already or asked of real DNS.

Run it alone: `python -m tests.bench.lookup_cost [--strangers 300] [--rounds 5]`.

CPU of all processes of the front end, as the kernel counts it; unbound and rbldnsd are not in it. In every round as
many strangers come to a house without DNS, then to one with it, then the same to the latter again. Subtracted from
each other, that is what look-ups cost; medians over the rounds. A stranger who is asked about takes seven look-ups,
two of them for its name.
"""

import argparse
import statistics
from collections import defaultdict

from rich.console import Console
from rich.progress import track
from rich.table import Table

from tests.bench.cpu import cpu_of, family
from tests.bench.visitors import ZONES, come, house, resolver
from tests.real.house import House

BUDGETS = {"known": 100.0, "asked": 2000.0}
"""Microseconds of CPU for one stranger."""
WARM_UP = 60
Costs = dict[str, list[float]]


def measure(house: House, strangers: range, *, questions: int) -> tuple[float, float]:
    """Microseconds of CPU for each of them, of all processes and of the asking program; each takes `questions`."""
    dns = house.ask("status")["dns"]
    every = family(house.process.pid)
    asking = [dns["program"]["pid"]] if dns["program"] else []
    before = cpu_of(every), cpu_of(asking)
    come(house, strangers)
    after = cpu_of(every), cpu_of(asking)
    asked = house.ask("status")["dns"]["asked"] - dns["asked"]
    assert asked == questions * len(strangers), f"{asked} questions"
    whole, part = ((end - begin).total / len(strangers) * 1e6 for begin, end in zip(before, after, strict=True))
    return whole, part


def measure_all(count: int, rounds: int) -> tuple[Costs, Costs]:
    """What a stranger costs beyond one in a house without DNS, and what of it is spent in the asking program."""
    costs: Costs = defaultdict(list)
    asking: Costs = defaultdict(list)
    with resolver(WARM_UP + count * rounds) as port, house(port) as asks, house(None) as asks_nobody:
        for one in (asks, asks_nobody):
            come(one, range(WARM_UP))
        for number in track(range(rounds), "strangers, round after round"):
            strangers = range(WARM_UP + number * count, WARM_UP + (number + 1) * count)
            without, _nothing = measure(asks_nobody, strangers, questions=0)
            for kind, questions in (("asked", len(ZONES) + 1), ("known", 0)):
                whole, part = measure(asks, strangers, questions=questions)
                costs[kind].append(whole - without)
                asking[kind].append(part)
            costs["no DNS"].append(without)
    return costs, asking


def main() -> int:
    """Print a table; 1 if a budget is not kept."""
    parser = argparse.ArgumentParser(description="CPU of look-ups in a whole house")
    parser.add_argument("--strangers", type=int, default=300, help="in each round")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    costs, asking = measure_all(options.strangers, options.rounds)
    table = Table("what is looked up", "us of CPU a stranger", "least", "most", "in the asking program", "budget")
    for kind, budget in BUDGETS.items():
        numbers = (statistics.median(costs[kind]), min(costs[kind]), max(costs[kind]), statistics.median(asking[kind]))
        table.add_row(kind, *(f"{number:.0f}" for number in numbers), f"{budget:.0f}")
    Console(width=120).print(table)
    print(f"all else that a stranger costs until it has left: {statistics.median(costs['no DNS']):.0f} us")
    return 0 if all(statistics.median(costs[kind]) <= budget for kind, budget in BUDGETS.items()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
