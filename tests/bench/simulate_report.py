"""The tables of the simulation: on the terminal, and in docs/simulation.md between two marks."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from rich.table import Table

from tests.bench.simulate_assumptions import Assumptions, rows
from tests.bench.simulate_measures import MEASURES, measured, share_of_oracle, shown, summed_up
from tests.bench.simulate_run import Result
from tests.bench.simulate_systems import Oracle

PAGE: Final = Path("docs/simulation.md")
_BEGIN, _END = "<!-- {}: begins, written by tests/bench/simulate.py -->", "<!-- {}: ends -->"


def systems_of(results: Sequence[Result]) -> list[str]:
    """In the order of the run."""
    return list(dict.fromkeys(result.system for result in results))


def table(results: Sequence[Result]) -> Table:
    """Every measure, a column for each system, for the terminal."""
    systems = systems_of(results)
    grid = Table(title="Mean of the seeds (and range); shares in %", title_justify="left")
    grid.add_column("")
    grid.add_column("target", justify="right")
    for system in systems:
        grid.add_column(system, justify="right")
    for measure in MEASURES:
        cells = [shown(measured(measure, results, system), measure.unit) for system in systems]
        grid.add_row(measure.name, measure.target, *cells)
    return grid


def write(results: Sequence[Result], assumptions: Assumptions, page: Path) -> None:
    """Put the tables into the page, in place of those it has."""
    text = page.read_text()
    for name, lines in (
        ("results", _measures(results)),
        ("floods", _floods(results)),
        ("assumptions", _assumptions(assumptions)),
    ):
        text = _replaced(text, name, "\n".join(lines))
    page.write_text(text)


def _replaced(text: str, name: str, inside: str) -> str:
    begin, end = _BEGIN.format(name), _END.format(name)
    before, _, rest = text.partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise ValueError(f"the page has no place for {name}")
    return f"{before}{begin}\n\n{inside}\n\n{end}{after}"


def _measures(results: Sequence[Result]) -> Iterator[str]:
    """Turned round: a line for each system would be too wide, so each measure is one."""
    systems = systems_of(results)
    yield f"| | target | {' | '.join(systems)} |"
    yield f"|---|---{'|---:' * len(systems)}|"
    for measure in MEASURES:
        cells = [shown(measured(measure, results, system), measure.unit) for system in systems]
        yield f"| {measure.name} | {measure.target} | {' | '.join(cells)} |"


def _floods(results: Sequence[Result]) -> Iterator[str]:
    floods = sorted({times for result in results for times in result.floods})
    yield f"| good sessions accepted at first try, % of the oracle's | {' | '.join(f'{times} x' for times in floods)} |"
    yield f"|---{'|---:' * len(floods)}|"
    for system in systems_of(results):
        cells = [shown(summed_up(shares(results, system, times)), "%") for times in floods]
        yield f"| {system} | {' | '.join(cells)} |"


def shares(results: Sequence[Result], system: str, times: int, *, newcomers: bool = False) -> list[float]:
    """Of each seed, what share of the oracle's a system accepts in one flood."""
    oracles = {result.seed: result for result in results if result.system == Oracle.name}
    found = [
        share_of_oracle(result, oracles.get(result.seed, result), times, "newcomer" if newcomers else None)
        for result in results
        if result.system == system
    ]
    return [share for share in found if share is not None]


def _assumptions(assumptions: Assumptions) -> Iterator[str]:
    yield "| what | how much | where from |"
    yield "|---|---:|---|"
    for what, value, source in rows(assumptions):
        yield f"| {what} | {value} | {source} |"
