"""What the flood's sessions say: shares served and times, as a table and as JSON."""

import json
import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from rich.table import Table

from tests.bench.flood_scripts import SERVED

CALM = 20
"""Seconds of calm before a flood."""
RESULTS = Path("var/flood.json")


class Sample(NamedTuple):
    """One session of a known client: when it began (monotonic clock, seconds), how long it took, what came of it."""

    began: float
    seconds: float
    result: str


@dataclass(frozen=True, slots=True)
class Phase:
    """Some sessions of known clients, taken together; times are seconds, of those served, None if there are none."""

    sessions: int
    served: float
    median: float | None
    p99: float | None


@dataclass(frozen=True, slots=True)
class Strangers:
    """What the strangers' process tells: how often they connected, for how long they came, and the CPU it took."""

    arrivals: int
    thrown_out: dict[str, int]
    seconds: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Run:
    """One system under one flood."""

    system: str
    strangers: int
    flood_began: float
    becoming: list[Sample]
    calm: list[Sample]
    flooded: list[Sample]
    told: Strangers


def summarise(samples: Sequence[Sample]) -> Phase:
    """The share served, and how long those took."""
    times = sorted(sample.seconds for sample in samples if sample.result == SERVED)
    if not times:
        return Phase(len(samples), 0.0, None, None)
    p99 = times[math.ceil(len(times) * 0.99) - 1]
    return Phase(len(samples), len(times) / len(samples), statistics.median(times), p99)


def table(runs: Sequence[Run]) -> Table:
    """Known clients before and during one flood, a line per system; times in ms."""
    title = f"Known clients, calm and with {runs[0].strangers:,} strangers; times in ms"
    grid = Table(title=title, title_justify="left")
    grid.add_column("system")
    for heading in ("calm:\nserved", "\nmedian", "\np99", "flood:\nserved", "\nmedian", "\np99", "median\nx calm"):
        grid.add_column(heading, justify="right")
    for run in runs:
        grid.add_row(run.system, *_cells(summarise(run.calm)), *_cells(summarise(run.flooded)), _times_calm(run))
    return grid


def about_the_load(runs: Sequence[Run]) -> list[str]:
    """What the strangers' process did in each run, and what became of messages not served; a line each."""
    lines = []
    for run in runs:
        told = run.told
        thrown = ", ".join(f"{kind} {count}" for kind, count in told.thrown_out.items()) or "nobody"
        lines.append(
            f"{run.system}: {told.arrivals / told.seconds:.0f} strangers a second came in, thrown out: {thrown};"
            f" their process took {told.cpu / told.seconds:.1%} of a CPU; not served: {failures(run) or 'none'}"
        )
    return lines


def failures(run: Run) -> dict[str, int]:
    """What known clients met in the flood instead of service, and how often."""
    return dict(Counter(sample.result for sample in run.flooded if sample.result != SERVED).most_common())


def write(runs: Sequence[Run], path: Path) -> None:
    """All of it as JSON, with its summary."""
    path.parent.mkdir(exist_ok=True)
    told = [
        {
            "summary": {"calm": asdict(summarise(run.calm)), "flood": asdict(summarise(run.flooded))},
            "not_served": failures(run),
            **asdict(run),
        }
        for run in runs
    ]
    path.write_text(json.dumps(told) + "\n")


def read(path: Path) -> list[Run]:
    """What `write` wrote."""
    return [
        Run(
            system=told["system"],
            strangers=told["strangers"],
            flood_began=told["flood_began"],
            becoming=_samples(told["becoming"]),
            calm=_samples(told["calm"]),
            flooded=_samples(told["flooded"]),
            told=Strangers(**told["told"]),
        )
        for told in json.loads(path.read_text())
    ]


def _samples(values: list[tuple[float, float, str]]) -> list[Sample]:
    return [Sample(*value) for value in values]


def _cells(phase: Phase) -> list[str]:
    return [f"{phase.served:.1%}", _milliseconds(phase.median), _milliseconds(phase.p99)]


def _milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1e3:.1f}"


def _times_calm(run: Run) -> str:
    """The median during the flood, in medians of the calm."""
    calm, flooded = summarise(run.calm).median, summarise(run.flooded).median
    return f"{flooded / calm:.2f}" if calm and flooded else "-"
