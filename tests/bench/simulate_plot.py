"""The simulation as a picture: what share of good sessions each system accepts at the first try, by size of the flood.

The same results always make the same file: no date, no random names, and text stays text.
"""

import io
import re
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from matplotlib.typing import RcKeyType

from tests.bench.simulate_report import shares, systems_of
from tests.bench.simulate_run import Result
from tests.bench.simulate_systems import Oracle

PLOT: Final = Path("docs/simulation.svg")
_INK: Final = "#222222"
_OURS: Final = "#1f5a9e"
_OTHERS: Final = ("#b3541e", "#3a7d44", "#8a4fa3", "#a8862a", "#4d9aa8", "#b03060", "#777777")
_LONG = re.compile(r"\b[0-9]+\.[0-9]{3,}\b")
_STYLE: dict[RcKeyType, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "simulation",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "text.color": _INK,
    "axes.edgecolor": "#999999",
    "axes.labelcolor": _INK,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "xtick.color": _INK,
    "ytick.color": _INK,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def draw(results: Sequence[Result], path: Path) -> None:
    """All good sessions on the left, those of newcomers on the right; the light bands span the seeds."""
    systems = [system for system in systems_of(results) if system != Oracle.name]
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(9.5, 4.6), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
        _draw_panel(left, results, systems, newcomers=False)
        _draw_panel(right, results, systems, newcomers=True)
        left.set_title("all good sessions", loc="left")
        right.set_title("newcomers", loc="left")
        left.set_ylabel("accepted at the first try, % of the oracle's")
        figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
        figure.suptitle("What a flood leaves to those who send good mail", fontweight="bold")
        picture = io.StringIO()
        figure.savefig(picture, format="svg", metadata={"Date": None, "Creator": None})
    path.write_text(_LONG.sub(lambda number: f"{float(number[0]):.1f}", picture.getvalue()))


def _draw_panel(panel: Axes, results: Sequence[Result], systems: Sequence[str], *, newcomers: bool) -> None:
    floods = sorted({times for result in results for times in result.floods})
    colours = iter(_OTHERS)
    for system in systems:
        found = [[100 * share for share in shares(results, system, times, newcomers=newcomers)] for times in floods]
        is_ours = system.startswith("frontproxy")
        colour = _OURS if is_ours else next(colours)
        style = "--" if is_ours and system != "frontproxy" else "-"
        means = [statistics.mean(values) for values in found]
        panel.fill_between(floods, [min(one) for one in found], [max(one) for one in found], color=colour, alpha=0.12)
        width = 2.2 if is_ours else 1.3
        panel.plot(floods, means, style, color=colour, linewidth=width, marker="o", markersize=3, label=system)
    panel.set_xscale("log")
    panel.set_xticks(floods, [f"{times} x" for times in floods])
    panel.xaxis.set_minor_locator(NullLocator())
    panel.set_xlabel("flood, in times of the capacity")
    panel.set_ylim(0, 103)
