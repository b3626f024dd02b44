"""A flood: bots from ever new addresses, many times what all places can serve, while good senders send on."""

from collections.abc import Iterator

from tests.bench.simulate_assumptions import DAY, MONTH, Assumptions
from tests.bench.simulate_month import Population, ham_senders
from tests.bench.simulate_outcomes import THROWN_OUT
from tests.bench.simulate_people import Visit

_MEAN_OF_MEDIAN = 1.197
"""Mean of a log-normal variable with a sigma of 0.6, in medians."""


def capacity(assumptions: Assumptions, places: int, timeout: float) -> float:
    """Bots a second that so many places can serve under stress, if they serve nobody else."""
    mail = 1.0 - assumptions.guessing - assumptions.idle
    seconds = mail * assumptions.bad_length * _MEAN_OF_MEDIAN
    seconds += assumptions.guessing * THROWN_OUT + assumptions.idle * timeout
    return places / seconds


def flood(people: Population, times: float, capacity: float, begin: float = MONTH) -> list[Visit]:
    """All sessions of a flood that is so many times the capacity, the earliest first."""
    visits = [*_attack(people, times * capacity, begin), *_good(people, begin)]
    visits.sort(key=lambda visit: visit.at)
    return visits


def _attack(people: Population, rate: float, begin: float) -> Iterator[Visit]:
    given, chance = people.assumptions, people.chance
    seconds = given.flood_seconds
    fresh = [people.land.network(3000 + chance.randrange(given.bot_asns)) for _ in range(given.number(1000))]
    left = round(rate * seconds)
    while left > 0:
        sessions = min(left, chance.randint(1, 2 * given.flood_sessions - 1))
        left -= sessions
        network = chance.choice(fresh) if chance.random() < given.flood_fresh else None
        bot = people.bot(begin - chance.uniform(0.0, DAY), network=network)
        for _ in range(sessions):
            yield people.bad_visit(begin + chance.uniform(0.0, seconds), bot)


def _good(people: Population, begin: float) -> Iterator[Visit]:
    """What else comes, at its own pace: good servers, and the bad mail they also send."""
    given, chance = people.assumptions, people.chance
    draw = ham_senders(people)
    good = 0
    while good < given.flood_ham * given.flood_seconds:
        sender, spam = draw()
        visit = people.mail(begin + chance.uniform(0.0, given.flood_seconds), sender, spam)
        good += visit.is_ham
        yield visit
