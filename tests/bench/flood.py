"""The flood: what known clients notice when strangers come in numbers, with four systems in front of the same Postfix.

Run it alone, as root: `python -m tests.bench.flood [--strangers 300,3000] [--seconds 40] [--systems frontproxy,...]`.

For each system in turn: 20 known clients become known by sending 12 messages each; then they send one message a second
each, first in a calm, then while strangers hold what they can get (a third idle, a third guessing recipients, a third
talking before the greeting), from ever new addresses, each back at once when thrown out. Served means: the message
accepted and the session ended with QUIT within ten seconds of connecting. A session begins on its second whatever
became of those before, so a client that has to wait has several open, as large senders do (postscreen looks into its
cache only for a client's sole connection, and takes the others for new). The load comes from two processes, one for the
known clients and one for the strangers, on the same machine; the lines below the table say what CPU the latter took.

Results as JSON go to var/flood.json, and if all four systems ran, the plot goes to docs/flood.svg.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from tests.bench import flood_plot
from tests.bench.flood_report import CALM, RESULTS, Run, Sample, Strangers, about_the_load, table, write
from tests.bench.flood_systems import SYSTEMS
from tests.real.install import find

MESSAGES = 12
SETTLING = 3.0
"""Seconds until what was learned is known everywhere."""
ARRIVALS = 300
"""Connections a second that the strangers make together, at most."""
_DESCRIPTORS = 20_000
_REFRESH = 0.25
"""Seconds between two looks of the progress bar."""


class PhaseBar:
    """The progress bar of one run, phase by phase."""

    def __init__(self, progress: Progress, about: str) -> None:
        self._progress = progress
        self._about = about
        self._task = progress.add_task(about, total=None)

    def begin(self, phase: str, seconds: float | None) -> None:
        """A phase that takes about so long; None if nobody knows."""
        self._progress.reset(self._task, total=seconds, description=f"{self._about}: {phase}")

    def wait_for(self, process: subprocess.Popen[str]) -> str:
        """Move on until the process has ended; what it wrote."""
        while True:
            try:
                output, _ = process.communicate(timeout=_REFRESH)
            except subprocess.TimeoutExpired:
                self._progress.advance(self._task, _REFRESH)
            else:
                assert process.returncode == 0, process.args
                return output

    def close(self) -> None:
        """Take it off the screen."""
        self._progress.remove_task(self._task)


def main() -> None:
    """Every system with every number of strangers; then the table, the results as JSON, the plot."""
    options = _options()
    prepare()
    wanted = [(name, strangers) for strangers in options.strangers for name in options.systems]
    runs = []
    with Progress(TextColumn("{task.description:56}"), BarColumn(), TimeElapsedColumn()) as progress:
        whole = progress.add_task("the flood", total=len(wanted))
        for name, strangers in wanted:
            bar = PhaseBar(progress, f"  {name}, {strangers} strangers")
            runs.append(run(name, SYSTEMS[name](), strangers, options.seconds, bar))
            bar.close()
            progress.advance(whole)
    console = Console()
    for strangers in options.strangers:
        one_flood = [one for one in runs if one.strangers == strangers]
        console.print(table(one_flood), *about_the_load(one_flood), sep="\n", highlight=False, soft_wrap=True)
    write(runs, RESULTS)
    if set(options.systems) == set(SYSTEMS):
        flood_plot.draw(runs, flood_plot.PLOT)


def prepare() -> None:
    """End the program if this machine cannot have a flood; else let us open what one takes."""
    if os.geteuid() != 0 or find("postfix") is None or find("haproxy") is None:
        sys.exit("the flood needs root, Postfix and HAProxy: python -m tests.real.install")
    _allow_descriptors()


def run(
    name: str,
    system: AbstractContextManager[int],
    strangers: int,
    seconds: int,
    bar: PhaseBar,
    *,
    before_flood: Callable[[], object] = lambda: None,
) -> Run:
    """One system from its start to its end. `before_flood` is called when the calm is over."""
    bar.begin("starts", None)
    with system as port:
        bar.begin("clients become known", None)
        becoming = known_clients(port, "become", MESSAGES, bar)
        time.sleep(SETTLING)
        bar.begin("calm", CALM)
        calm = known_clients(port, "steady", CALM, bar)
        before_flood()
        bar.begin("flood", seconds)
        began = time.monotonic()
        flooded, told = flood(port, strangers, seconds, bar)
    return Run(name, strangers, began, becoming, calm, flooded, told)


def known_clients(port: int, phase: str, amount: int, bar: PhaseBar) -> list[Sample]:
    """Run a phase of the known clients; what their sessions were like."""
    return [Sample(*sample) for sample in json.loads(bar.wait_for(_start("flood_known", port, phase, amount)))]


def flood(port: int, strangers: int, seconds: int, bar: PhaseBar) -> tuple[list[Sample], Strangers]:
    """Strangers come, and stay until the last session of a known client has ended."""
    process = _start("flood_strangers", port, strangers, ARRIVALS)
    try:
        samples = known_clients(port, "steady", seconds, bar)
    finally:
        process.terminate()
        told, _ = process.communicate(timeout=60)
    return samples, Strangers(**json.loads(told))


def _start(module: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", f"tests.bench.{module}", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _allow_descriptors() -> None:
    """Let this process, and so all it starts, open as many as thousands of strangers need."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (enough, hard))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--strangers", type=_numbers, default=[300, 3000], help="how many, separated by commas")
    parser.add_argument("--seconds", type=int, default=40, help="of flood")
    parser.add_argument("--systems", type=_systems, default=list(SYSTEMS), help=f"of {', '.join(SYSTEMS)}")
    return parser.parse_args()


def _numbers(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


def _systems(text: str) -> list[str]:
    names = text.split(",")
    unknown = set(names) - set(SYSTEMS)
    if unknown:
        raise argparse.ArgumentTypeError(
            f"no such system: {', '.join(sorted(unknown))}; there are {', '.join(SYSTEMS)}"
        )
    return names


if __name__ == "__main__":
    main()
