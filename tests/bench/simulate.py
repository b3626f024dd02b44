"""The simulation: a month of mail, then floods, with frontproxy's own scoring code and seven others beside it.

Run it: `python -m tests.bench simulate [--seeds 1,2,3] [--scale 1] [--systems "frontproxy;oracle"]`. Time is virtual,
chance comes from the seed alone, so the same seed gives the same numbers. docs/simulation.md says what it means.

Results as JSON go to var/simulation.json. A run of all systems with all seeds at full scale, which takes a quarter of
an hour, also writes the tables of docs/simulation.md and the plot beside it.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from tests.bench import simulate_plot, simulate_report
from tests.bench.simulate_assumptions import Assumptions
from tests.bench.simulate_measures import MEASURES, measured
from tests.bench.simulate_run import FLOODS, SYSTEMS, Result, run, world
from tests.bench.simulate_sides import shipped_config

SEEDS: Final = (1, 2, 3)
RESULTS: Final = Path("var/simulation.json")


def main(arguments: Sequence[str] | None = None) -> None:
    """Every system with every seed; then the table, and with all of them the page."""
    options = _options(arguments)
    assumptions = Assumptions(scale=options.scale)
    results = simulate(options.seeds, assumptions, options.systems)
    Console(width=200).print(simulate_report.table(results))
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(_told(results)) + "\n")
    is_complete = set(options.systems) == set(SYSTEMS) and set(options.seeds) == set(SEEDS)
    if is_complete and options.scale == 1.0:
        simulate_report.write(results, assumptions, simulate_report.PAGE)
        simulate_plot.draw(results, simulate_plot.PLOT)


def simulate(seeds: Sequence[int], assumptions: Assumptions, systems: Sequence[str]) -> list[Result]:
    """The results, seed by seed."""
    config = shipped_config()
    results = []
    columns = TextColumn("{task.description:44}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    with Progress(*columns) as progress:
        whole = progress.add_task("the simulation", total=None)
        done, sessions = 0, 0
        for number, seed in enumerate(seeds):
            a_world = world(seed, assumptions, config, FLOODS)
            sessions += a_world.sessions * len(systems)
            progress.update(whole, total=sessions * len(seeds) / (number + 1))
            for name in systems:
                progress.update(whole, description=f"seed {seed}, {name}", completed=done)
                results.append(run(name, seed, a_world, config, lambda more: progress.advance(whole, more)))
                done += a_world.sessions
                progress.update(whole, completed=done)
    return results


def _told(results: Sequence[Result]) -> list[dict[str, Any]]:
    """As JSON can have it; and of each system all measures."""
    measures = [
        {
            "system": system,
            "measures": {one.name: measured(one, results, system) for one in MEASURES},
        }
        for system in simulate_report.systems_of(results)
    ]
    runs = [
        {
            **asdict(result),
            "month": _plain(result.month),
            "floods": {times: _plain(tallies) for times, tallies in result.floods.items()},
            "calm": _plain(result.calm),
            "liars": {liar: [_plain(tallies) for tallies in deceived] for liar, deceived in result.liars.items()},
        }
        for result in results
    ]
    return [*measures, *runs]


def _plain(tallies: Any) -> dict[str, Any]:
    return {f"{group}, {'good' if is_ham else 'bad'}": tally._asdict() for (group, is_ham), tally in tallies.items()}


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=_numbers, default=list(SEEDS), help="separated by commas")
    parser.add_argument("--scale", type=float, default=1.0, help="size of the population")
    parser.add_argument(
        "--systems", type=_systems, default=list(SYSTEMS), help=f"of {'; '.join(SYSTEMS)}, separated by ;"
    )
    return parser.parse_args(arguments)


def _numbers(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


def _systems(text: str) -> list[str]:
    names = text.split(";")
    unknown = set(names) - set(SYSTEMS)
    if unknown:
        raise argparse.ArgumentTypeError(
            f"no such system: {', '.join(sorted(unknown))}; there are {', '.join(SYSTEMS)}"
        )
    return names


if __name__ == "__main__":
    main()
