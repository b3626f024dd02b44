"""The flood as a picture: how many of the known clients' messages were served, second by second.

`python -m tests.bench.flood_plot` draws it again from the last results. The same results always make the same file:
no date, no random names; text stays text, so that it is small and can be searched.
"""

import math
import statistics
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.typing import RcKeyType

from tests.bench.flood_report import CALM, RESULTS, Phase, Run, read, summarise
from tests.bench.flood_scripts import SERVED

PLOT = Path("docs/flood.svg")
_SERVED, _NOT_SERVED, _INK = "#2b6cb0", "#f6c9a8", "#222222"
_STYLE: dict[RcKeyType, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "flood",
    "font.family": "sans-serif",
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
        figure = Figure(figsize=(1 + 4 * len(floods), 0.6 + 1.15 * len(systems)), layout="constrained")
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
        figure.suptitle("Known clients: messages served within ten seconds, and their median time", fontweight="bold")
        figure.savefig(path, metadata={"Date": None, "Creator": None})


def shares(run: Run) -> list[float]:
    """Of the sessions begun in each second, the share that was served; NaN where none began.

    The first second is `-CALM`, 0 is when the strangers began to come.
    """
    seconds: dict[int, list[bool]] = defaultdict(list)
    for sample in [*run.calm, *run.flooded]:
        seconds[math.floor(sample.began - run.flood_began)].append(sample.result == SERVED)
    return [statistics.mean(seconds[second] or [math.nan]) for second in range(-CALM, max(seconds) + 1)]


def _draw_run(panel: Axes, run: Run) -> None:
    values = shares(run)
    panel.stairs(values, range(-CALM, len(values) - CALM + 1), fill=True, color=_SERVED)
    panel.set_facecolor(_NOT_SERVED)
    panel.axvline(0, color=_INK, linewidth=1.2)
    panel.set_xlim(-CALM, len(values) - CALM)
    panel.set_ylim(0, 1)
    panel.set_yticks([0, 1], ["0 %", "100 %"])
    for phase, left in ((summarise(run.calm), -CALM), (summarise(run.flooded), 0)):
        _write_above(panel, left, 3, _words(phase))


def _write_above(panel: Axes, second: int, points: float, text: str) -> None:
    """Text that begins at that second, so many points above the panel."""
    panel.annotate(text, (second, 1), (1, points), textcoords="offset points")


def _words(phase: Phase) -> str:
    share = f"{phase.served * 100:.0f} %"
    if phase.median is None:
        return share
    return f"{share}, {phase.median:.1f} s" if phase.median >= 1 else f"{share}, {phase.median * 1e3:.1f} ms"


if __name__ == "__main__":
    draw(read(RESULTS), PLOT)
