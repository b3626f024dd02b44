"""What the results of several seeds say: each measure with its mean and its range."""

from collections.abc import Callable, Iterable, Sequence
from statistics import mean, median
from typing import Final, NamedTuple

from tests.bench.simulate_house import Tally
from tests.bench.simulate_people import Group
from tests.bench.simulate_run import LIAR_AT, Result, Tallies
from tests.bench.simulate_systems import Oracle
from tests.bench.simulate_turns import LIMIT, Turn

TIMES: Final = 10
"""The flood of the targets."""


class Measured(NamedTuple):
    """Over all seeds."""

    mean: float
    least: float
    most: float


class Measure(NamedTuple):
    """One line of the table."""

    name: str
    target: str
    of: Callable[[Result, Result], float | None]
    """Its value for a system and for the oracle with the same seed; None if it has none."""
    unit: str


def share_of_oracle(result: Result, oracle: Result, times: int, group: Group | None = None) -> float | None:
    """Good sessions accepted at the first try in a flood, as a share of what the oracle accepts."""
    if times not in result.floods or times not in oracle.floods:
        return None
    most = accepted(oracle.floods[times], group)
    return accepted(result.floods[times], group) / most if most else None


def accepted(tallies: Tallies, group: Group | None = None) -> float:
    """The share of good sessions that were accepted at the first try."""
    good = [tally for (kind, is_ham), tally in tallies.items() if is_ham and group in {None, kind}]
    return _ratio(sum(tally.first for tally in good), sum(tally.came for tally in good))


def as_friend(tallies: Tallies, group: Group) -> float:
    """The share of bad sessions of a group that were accepted as a friend's."""
    tally = tallies.get((group, False), Tally(0, 0, 0, 0))
    return _ratio(tally.as_friend, tally.came)


def liar_cost(result: Result, liar: str) -> float:
    """What a list that lies takes from the share accepted, in calm or in either flood, whichever is most."""
    deceived = result.liars[liar]
    calm = accepted(result.calm) - accepted(deceived.calm)
    floods = [accepted(result.floods[LIAR_AT]) - accepted(one) for one in (deceived.flood, deceived.sudden) if one]
    return max([calm, *floods])


def _of_flood(group: Group | None) -> Callable[[Result, Result], float | None]:
    return lambda result, oracle: share_of_oracle(result, oracle, TIMES, group)


def _of_turns(place: int, choose: Callable[[Iterable[int]], float]) -> Callable[[Result, Result], float | None]:
    """`choose` picks one of the clients that turned, by the `place`-th number of a `Turn`."""
    return lambda result, _oracle: choose([one[place] for one in result.turns]) if result.turns else None


def _of_told(result: Result, _oracle: Result) -> float | None:
    return result.turns_told.worse_until if result.turns else None


def _of_friends(group: Group) -> Callable[[Result, Result], float | None]:
    return lambda result, _oracle: as_friend(result.month, group)


def _of_calm(result: Result, _oracle: Result) -> float | None:
    return 1.0 - accepted(result.month)


def _of_liar(liar: str) -> Callable[[Result, Result], float | None]:
    return lambda result, _oracle: 100.0 * liar_cost(result, liar)


_FRIEND, _BETTER, _WORSE = (Turn._fields.index(name) for name in ("friend_until", "better_until", "worse_until"))

MEASURES: Final = (
    Measure("flood of ten times the capacity: good sessions accepted at first try", "95 %", _of_flood(None), "%"),
    Measure("- of newcomers", "80 %", _of_flood("newcomer"), "%"),
    Measure("- of provider pools", "95 %", _of_flood("provider"), "%"),
    Measure("- of corporate servers", "", _of_flood("server"), "%"),
    Measure("- of forwarders", "", _of_flood("forwarder"), "%"),
    Measure("bad sessions of a turned friend until it is a stranger", "50", _of_turns(_BETTER, median), ""),
    Measure("- the slowest of twenty", "50", _of_turns(_BETTER, max), ""),
    Measure("- until it is no friend any more", "", _of_turns(_FRIEND, median), ""),
    Measure("good sessions until an unjustly bad client is a stranger, if all are told", "20", _of_told, ""),
    Measure("- if 30 % are never told, 5 % wrongly", "20", _of_turns(_WORSE, median), ""),
    Measure("calm month: good sessions refused or delayed", "1 %", _of_calm, "%"),
    Measure("cost of a DNS list that lists everybody, points of percentage", "1", _of_liar("everybody"), ""),
    Measure("- of one that passes its tests nevertheless", "1", _of_liar("everybody but the test"), ""),
    Measure("bad sessions accepted as a friend's: of servers that turned", "", _of_friends("turned"), "%"),
    Measure("- of attackers that built trust", "", _of_friends("builder"), "%"),
)


def measured(measure: Measure, results: Sequence[Result], system: str) -> Measured | None:
    """A measure of a system over all seeds; None if it has none."""
    oracles = {result.seed: result for result in results if result.system == Oracle.name}
    of_system = [result for result in results if result.system == system]
    values = [measure.of(result, oracles.get(result.seed, result)) for result in of_system]
    return summed_up([value for value in values if value is not None])


def summed_up(values: Sequence[float]) -> Measured | None:
    """Mean and range; None of nothing."""
    return Measured(mean(values), min(values), max(values)) if values else None


def shown(found: Measured | None, unit: str) -> str:
    """As the table has it: the mean, and the range if there is one."""
    if found is None:
        return "-"
    texts = [_text(value, unit) for value in found]
    return texts[0] if texts[1] == texts[2] else f"{texts[0]} ({texts[1]} to {texts[2]})"


def _text(value: float, unit: str) -> str:
    if unit == "%":
        return f"{value * 100:.1f}"
    if value >= LIMIT:
        return f"over {LIMIT:,}"
    return f"{value:.1f}".removesuffix(".0") if value < 100 else f"{value:,.0f}"


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
