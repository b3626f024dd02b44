"""One seed of the simulation: the month, an hour of calm, the floods, and DNS lists that list everybody."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from random import Random
from typing import Final, NamedTuple

from frontproxy.core.config_values import Config
from tests.bench.simulate_assumptions import HOUR, MONTH, Assumptions
from tests.bench.simulate_flood import capacity, flood
from tests.bench.simulate_frontproxy import Frontproxy
from tests.bench.simulate_house import House, Kind, Room, Tally
from tests.bench.simulate_month import Population, ham_senders, month
from tests.bench.simulate_outcomes import Manners
from tests.bench.simulate_people import Land, Visit
from tests.bench.simulate_plugins import Karma, RspamdReputation
from tests.bench.simulate_sides import Lists, all_but_test_listed, everybody_listed
from tests.bench.simulate_system import System
from tests.bench.simulate_systems import DnsListOnly, FirstComeFirstServed, Majority, NetworkMajority, Oracle
from tests.bench.simulate_turns import Turn, turn

Opened = Callable[[Config, Land], System]
SYSTEMS: Final[Mapping[str, Opened]] = {
    "frontproxy": Frontproxy,
    "frontproxy, cache only under stress": lambda config, land: Frontproxy(_not_asking_under_stress(config), land),
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
LIARS: Final[Mapping[str, Lists]] = {"everybody": everybody_listed, "everybody but the test": all_but_test_listed}
"""DNS lists that begin to lie an hour before a flood, or with it."""
LIAR_AT: Final = 10
"""The flood that comes then."""
CLIENTS: Final = 20
"""That turn, in each run."""

_CALM: Final = Manners(timeout=300.0, is_strict=False)
_HOSTILE: Final = Manners(timeout=60.0, is_strict=False)
_STRESSED: Final = Manners(timeout=10.0, is_strict=True)

Tallies = dict[Kind, Tally]


class Deceived(NamedTuple):
    """One system with a list that lies; floods are empty if there is none of that size."""

    calm: Tallies
    """The hour before the flood, if it begins to lie then."""
    flood: Tallies
    """The flood after that hour."""
    sudden: Tallies
    """The flood, if it begins to lie together with that."""


@dataclass(frozen=True, slots=True)
class Result:
    """One system with one seed."""

    system: str
    seed: int
    month: Tallies
    floods: dict[int, Tallies]
    calm: Tallies
    """The hour before the floods, with an honest list."""
    liars: dict[str, Deceived]
    """With each of `LIARS`."""
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
        floods = sum(map(len, self.floods.values()))
        of_liars = len(LIARS) * (len(self.eve) + 2 * len(self.floods.get(LIAR_AT, ())))
        return len(self.month) + len(self.eve) + floods + of_liars


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

    def through(system: System, visits: Sequence[Visit], until: float = inf) -> Tallies:
        house = House(system, rooms(system, config), assumptions.guess_length)
        for more in house.run(visits, until=until):
            judged(more)
        return house.tallies()

    after_month = SYSTEMS[name](config, world.people.land)
    of_month = through(after_month, world.month, MONTH)
    after_eve = after_month.copy()
    calm = through(after_eve, world.eve, MONTH + HOUR)
    floods = {times: through(after_eve.copy(), visits) for times, visits in world.floods.items()}
    flood = world.floods.get(LIAR_AT, ())
    liars = {}
    for liar, lists in LIARS.items():
        deceived, suddenly = _deceived(after_month, lists), _deceived(after_eve, lists)
        deceived_calm = through(deceived, world.eve, MONTH + HOUR)
        liars[liar] = Deceived(deceived_calm, through(deceived, flood), through(suddenly, flood))
    turns, told = turns_of(name, seed, assumptions, config)
    return Result(name, seed, of_month, floods, calm, liars, turns, told)


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


def _deceived(system: System, lists: Lists) -> System:
    copy = system.copy()
    copy.lists = lists
    return copy


def _not_asking_under_stress(config: Config) -> Config:
    return replace(config, dns=replace(config.dns, under_stress=False))


def _eve(people: Population) -> list[Visit]:
    """An hour of calm: good senders, and as many bots."""
    given, chance = people.assumptions, people.chance
    draw = ham_senders(people)
    visits: list[Visit] = []
    for _ in range(round(given.eve_ham * HOUR)):
        sender, spam = draw()
        visits.append(people.mail(MONTH + chance.uniform(0.0, HOUR), sender, spam))
        at = MONTH + chance.uniform(0.0, HOUR)
        visits.append(people.bad_visit(at, people.bot(at - chance.uniform(0.0, 24 * HOUR))))
    return sorted(visits, key=lambda visit: visit.at)
