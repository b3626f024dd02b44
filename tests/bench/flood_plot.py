"""The flood as a picture: how long the known clients' sessions took, second by second, and how many were served.

`python -m tests.bench.flood_plot` draws it again from the last results. The same results always make the same file:
no date, no random names; text stays text, so that it is small and can be searched.
"""

import io
import math
import re
import statistics
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from matplotlib.typing import RcKeyType

from tests.bench.flood_known import DEADLINE
from tests.bench.flood_report import CALM, RESULTS, Phase, Run, read, summarise
from tests.bench.flood_scripts import SERVED

PLOT = Path("docs/flood.svg")
_NOT_SERVED, _TOP = 15.0, 22.5
"""Seconds, on the axis of time, at which sessions that were not served are shown, and where the axis ends."""
_DARK, _LIGHT, _PALE, _INK = "#1f5a9e", "#a9c8ea", "#f9d5b9", "#222222"
_LONG = re.compile(r"\b[0-9]+\.[0-9]{3,}\b")
"""Coordinates, which are written with six decimals; one is enough for any screen and makes the file smaller."""
_TITLE = "Known clients' sessions, second by second: their median time (line) and all of them (light)"
_STYLE: dict[RcKeyType, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "flood",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "text.color": _INK,
    "axes.edgecolor": "#999999",
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def draw(runs: Sequence[Run], path: Path) -> None:
    """A row for each system, a column for each flood."""
    systems = list(dict.fromkeys(run.system for run in runs))
    floods = sorted({run.strangers for run in runs})
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(1 + 4 * len(floods), 0.6 + 1.35 * len(systems)), layout="constrained")
        panels = figure.subplots(len(systems), len(floods), sharex=True, sharey=True, squeeze=False)
        for run in runs:
            _draw_run(panels[systems.index(run.system)][floods.index(run.strangers)], run)
        for row, system in zip(panels, systems, strict=True):
            row[0].set_ylabel(system, fontweight="bold")
        for panel, strangers in zip(panels[0], floods, strict=True):
            _write_above(panel, -CALM, 16, "calm")
            _write_above(panel, 0, 16, f"{strangers:,} strangers come")
        for panel in panels[-1]:
            panel.set_xlabel("seconds")
        figure.suptitle(_TITLE, fontweight="bold")
        picture = io.StringIO()
        figure.savefig(picture, format="svg", metadata={"Date": None, "Creator": None})
    path.write_text(_LONG.sub(lambda number: f"{float(number[0]):.1f}", picture.getvalue()))


def times(run: Run) -> dict[int, list[float]]:
    """By the second they began in, counted from the flood's beginning, how long the sessions took, shortest first.

    In seconds; a session that was not served has the time at which the picture shows those.
    """
    seconds: dict[int, list[float]] = defaultdict(list)
    for sample in [*run.calm, *run.flooded]:
        second = math.floor(sample.began - run.flood_began)
        seconds[second].append(sample.seconds if sample.result == SERVED else _NOT_SERVED)
    return {second: sorted(seconds[second]) for second in sorted(seconds)}


def _draw_run(panel: Axes, run: Run) -> None:
    seconds = times(run)
    shortest, longest = ([took[end] for took in seconds.values()] for end in (0, -1))
    panel.axhspan(DEADLINE, _TOP, color=_PALE)
    panel.fill_between(list(seconds), shortest, longest, color=_LIGHT, linewidth=0)
    panel.plot(list(seconds), [statistics.median(took) for took in seconds.values()], color=_DARK, linewidth=1.4)
    panel.axvline(0, color=_INK, linewidth=1.2)
    panel.set_yscale("log")
    panel.set_ylim(0.001, _TOP)
    panel.set_yticks([0.001, 0.01, 0.1, 1, _NOT_SERVED], ["1 ms", "10 ms", "0.1 s", "1 s", "not served"])
    panel.yaxis.set_minor_locator(NullLocator())
    panel.set_xlim(-CALM, max(seconds))
    for phase, left in ((summarise(run.calm), -CALM), (summarise(run.flooded), 0)):
        _write_above(panel, left, 3, _words(phase))


def _write_above(panel: Axes, second: int, points: float, text: str) -> None:
    """Text that begins at that second, so many points above the panel."""
    panel.annotate(text, (second, _TOP), (1, points), textcoords="offset points")


def _words(phase: Phase) -> str:
    share = f"{phase.served * 100:.0f} %"
    if phase.median is None:
        return share
    return f"{share}, {phase.median:.1f} s" if phase.median >= 1 else f"{share}, {phase.median * 1e3:.1f} ms"


if __name__ == "__main__":
    draw(read(RESULTS), PLOT)
