"""One seed of the simulation: the month, its last hour, the floods, and a DNS list that lists everybody."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Final, NamedTuple

from frontproxy.core.config_values import Config
from tests.bench.simulate_assumptions import HOUR, MONTH, Assumptions
from tests.bench.simulate_flood import capacity, flood
from tests.bench.simulate_frontproxy import Frontproxy
from tests.bench.simulate_house import House, Kind, Room, Tally
from tests.bench.simulate_month import Population, ham_senders, month
from tests.bench.simulate_outcomes import Manners
from tests.bench.simulate_people import Land, Sender, Visit
from tests.bench.simulate_plugins import Karma, RspamdReputation
from tests.bench.simulate_system import System
from tests.bench.simulate_systems import DnsListOnly, FirstComeFirstServed, Majority, NetworkMajority, Oracle
from tests.bench.simulate_turns import Turn, turn

Opened = Callable[[Config, Land], System]
SYSTEMS: Final[Mapping[str, Opened]] = {
    "frontproxy": Frontproxy,
    "frontproxy asking under stress": lambda config, land: Frontproxy(config, land, asks_under_stress=True),
    FirstComeFirstServed.name: lambda _config, _land: FirstComeFirstServed(),
    DnsListOnly.name: lambda _config, _land: DnsListOnly(),
    Majority.name: lambda _config, _land: Majority(),
    NetworkMajority.name: lambda _config, _land: NetworkMajority(),
    Karma.name: lambda _config, _land: Karma(),
    RspamdReputation.name: lambda _config, _land: RspamdReputation(),
    Oracle.name: lambda _config, _land: Oracle(),
}
FLOODS: Final = (2, 5, 10, 20)
"""In times of the capacity."""
LIAR_AT: Final = 10
"""The flood that comes while a list lists everybody."""
CLIENTS: Final = 20
"""That turn, in each run."""

_CALM: Final = Manners(timeout=300.0, is_strict=False)
_HOSTILE: Final = Manners(timeout=60.0, is_strict=False)
_STRESSED: Final = Manners(timeout=10.0, is_strict=True)

Tallies = dict[Kind, Tally]


@dataclass(frozen=True, slots=True)
class Result:
    """One system with one seed."""

    system: str
    seed: int
    month: Tallies
    floods: dict[int, Tallies]
    liar_calm: tuple[Tallies, Tallies]
    """The hour before a flood: with an honest list, and with one that lists everybody."""
    liar_flood: Tallies
    """The flood after it."""
    turns: list[Turn]
    """With outcomes as in the month: some wrong, some never told."""
    turns_told: Turn
    """With all told, and rightly."""


class World(NamedTuple):
    """All sessions of one seed, the same for every system."""

    people: Population
    month: Sequence[Visit]
    eve: Sequence[Visit]
    """An hour of calm before the floods."""
    floods: Mapping[int, Sequence[Visit]]

    @property
    def sessions(self) -> int:
        """That a system is to judge in a run, for the progress bar."""
        floods = sum(map(len, self.floods.values())) + len(self.floods.get(LIAR_AT, ()))
        return len(self.month) + 2 * len(self.eve) + floods


def world(seed: int, assumptions: Assumptions, config: Config, floods: Sequence[int]) -> World:
    """What the seed makes of the assumptions."""
    people = Population(assumptions, Random(seed))
    people.settle()
    sessions = month(people)
    rate = capacity(assumptions, sum(pool.sessions for pool in config.pools), _STRESSED.timeout)
    begin = MONTH + HOUR
    return World(people, sessions, _eve(people), {times: flood(people, times, rate, begin) for times in floods})


def run(name: str, seed: int, world: World, config: Config, judged: Callable[[int], None]) -> Result:
    """One system through all of it; `judged` hears how many more sessions are done."""
    assumptions = world.people.assumptions

    def through(system: System, visits: Sequence[Visit]) -> Tallies:
        house = House(system, rooms(system, config), assumptions.guess_length)
        for more in house.run(visits):
            judged(more)
        return house.tallies()

    system = SYSTEMS[name](config, world.people.land)
    of_month = through(system, world.month)
    deceived = system.copy()
    deceived.lists = everybody_listed
    calm, deceived_calm = through(system, world.eve), through(deceived, world.eve)
    floods = {times: through(system.copy(), visits) for times, visits in world.floods.items()}
    liar = through(deceived, world.floods[LIAR_AT]) if LIAR_AT in world.floods else {}
    turns, told = turns_of(name, seed, assumptions, config)
    return Result(name, seed, of_month, floods, (calm, deceived_calm), liar, turns, told)


def turns_of(name: str, seed: int, assumptions: Assumptions, config: Config) -> tuple[list[Turn], Turn]:
    """How soon a system changes its mind, with outcomes as in the month, and with all told rightly."""
    if name in {Oracle.name, FirstComeFirstServed.name, DnsListOnly.name}:  # they have no opinion to change
        return [], Turn(0, 0, 0)

    def opened(land: Land) -> System:
        return SYSTEMS[name](config, land)

    told = replace(assumptions, wrong=0.0, missing=0.0)
    turns = [turn(opened, assumptions, Random(seed * 1000 + number)) for number in range(CLIENTS)]
    return turns, turn(opened, told, Random(seed))


def rooms(system: System, config: Config) -> list[Room]:
    """The pools of the configuration; all in one for systems that know no friends."""
    nice, hostile = config.pools
    if system.has_friends:
        return [Room(nice, _CALM, _CALM), Room(hostile, _HOSTILE, _STRESSED)]
    sessions = nice.sessions + hostile.sessions
    return [Room(replace(nice, sessions=sessions, reserved=False, fallback=""), _CALM, _STRESSED)]


def everybody_listed(_sender: Sender, _now: float) -> bool:
    """A list that lists the world, though it passes its tests."""
    return True


def _eve(people: Population) -> list[Visit]:
    """An hour of calm: good senders at a tenth of their pace in a flood, and as many bots."""
    given, chance = people.assumptions, people.chance
    draw = ham_senders(people)
    visits: list[Visit] = []
    for _ in range(round(given.flood_ham / 10 * HOUR)):
        sender, spam = draw()
        visits.append(people.mail(MONTH + chance.uniform(0.0, HOUR), sender, spam))
        at = MONTH + chance.uniform(0.0, HOUR)
        visits.append(people.bad_visit(at, people.bot(at - chance.uniform(0.0, 24 * HOUR))))
    return sorted(visits, key=lambda visit: visit.at)
