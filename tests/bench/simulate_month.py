"""The month: everybody who sends mail in it, and all their sessions."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from math import inf
from random import Random

from tests.bench.simulate_assumptions import DAY, HOUR, MONTH, Assumptions
from tests.bench.simulate_people import Deed, Fate, Group, Land, Names, Sender, Visit, answer


@dataclass(slots=True)
class Population:
    """All senders, and where new ones come from."""

    assumptions: Assumptions
    chance: Random
    land: Land = field(default_factory=lambda: Land({}))
    servers: list[Sender] = field(default_factory=list)
    pools: list[list[Sender]] = field(default_factory=list)
    """The addresses of each provider."""
    forwarders: list[Sender] = field(default_factory=list)
    lairs: list[bytes] = field(default_factory=list)
    """Networks that bots live in."""
    hosting: list[bytes] = field(default_factory=list)
    """Networks of servers."""
    born: int = 0
    """Newcomers and bots so far."""

    @property
    def names(self) -> Names:
        """Draws reverse names."""
        return Names(self.chance)

    @property
    def fate(self) -> Fate:
        """Draws what befalls sessions."""
        given = self.assumptions
        return Fate(self.chance, given.wrong, given.missing, given.late)

    def settle(self) -> None:
        """All who are there from the beginning."""
        given, chance = self.assumptions, self.chance
        for _ in range(given.number(given.servers) // 3 + 1):
            self.hosting.append(self.land.network(1000 + chance.randrange(40)))
        for number in range(given.number(given.servers)):
            self.servers.append(self._server(number, "server"))
        for number in range(given.number(given.forwarders)):
            self.forwarders.append(self._server(number, "forwarder"))
        for number in range(given.providers):
            self.pools.append(self._pool(number, given.number(round(given.largest_pool / (number + 1) ** 0.5))))
        for _ in range(given.number(given.bot_networks)):
            self.lairs.append(self.land.network(3000 + chance.randrange(given.bot_asns)))

    def newcomer(self) -> Sender:
        """A good server that never came before; half of them live among bots."""
        given, chance = self.assumptions, self.chance
        self.born += 1
        is_among_bots = chance.random() < given.newcomers_among_bots
        network = chance.choice(self.lairs if is_among_bots else self.hosting)
        name = self.names.of_server(f"new{self.born}.example", given.unnamed_server)
        return self.land.sender(network, chance.randrange(256), "newcomer", name, listed_from=self._mistake())

    def bot(self, since: float, *, network: bytes | None = None) -> Sender:
        """A bot that began to send at that time, to others or to us."""
        given, chance = self.assumptions, self.chance
        self.born += 1
        name = self.names.of_bot(self.born, given.unnamed_bot)
        listed_from = since + chance.uniform(0.0, 6 * HOUR) if chance.random() < given.bots_listed else inf
        network = network or chance.choice(self.lairs)
        return self.land.sender(network, chance.randrange(256), "bot", name, listed_from=listed_from)

    def bad_visit(self, at: float, bot: Sender) -> Visit:
        """A session of a bot: mail, guesses, or silence."""
        given, chance = self.assumptions, self.chance
        drawn = chance.random()
        deed: Deed = "guess" if drawn < given.guessing else "idle" if drawn < given.guessing + given.idle else "mail"
        early = deed != "idle" and chance.random() < given.early
        returns = int(chance.random() < given.bots_returning)
        length = given.bad_length
        return self.fate.visit(at, bot, is_ham=False, length=length, deed=deed, early=early, returns=returns)

    def mail(self, at: float, sender: Sender, spam: float) -> Visit:
        """A session of a mail server, whose mail is bad by that chance."""
        is_ham = self.chance.random() >= spam
        length = self.assumptions.good_length if is_ham else self.assumptions.bad_length
        return self.fate.visit(at, sender, is_ham=is_ham, length=length)

    def _server(self, number: int, group: Group) -> Sender:
        chance = self.chance
        name = self.names.of_server(f"{group}{number}.example", self.assumptions.unnamed_server)
        network = chance.choice(self.hosting)
        return self.land.sender(network, chance.randrange(256), group, name, listed_from=self._mistake())

    def _pool(self, number: int, addresses: int) -> list[Sender]:
        """A provider's: at most fifty in each network, all names in one domain."""
        domain = f"provider{number}.example"
        senders: list[Sender] = []
        network = b""
        for host in range(addresses):
            if host % 50 == 0:
                network = self.land.network(2000 + number)
            name = answer("confirmed", f"out-{host}.{domain}", domain=domain)
            senders.append(self.land.sender(network, 10 + host % 50, "provider", name, listed_from=self._mistake()))
        return senders

    def _mistake(self) -> float:
        """When the DNS list begins to list a good sender."""
        chance = self.chance
        return chance.uniform(0.0, MONTH) if chance.random() < self.assumptions.ham_listed else inf


def zipf(count: int, exponent: float) -> list[float]:
    """The weights of Zipf's law."""
    return [rank**-exponent for rank in range(1, count + 1)]


def ham_senders(people: Population) -> Callable[[], tuple[Sender, float]]:
    """Draws who sends the next mail that is no attack, and by what chance it is bad.

    So that the good ones have their shares, those who also send bad mail send more.
    """
    given, chance = people.assumptions, people.chance
    rest = 1.0 - given.provider_share - given.newcomer_share - given.forwarder_share
    shares = [
        given.provider_share / (1.0 - given.provider_spam),
        given.newcomer_share,
        given.forwarder_share / (1.0 - given.forwarder_spam),
        rest / (1.0 - given.server_spam),
    ]
    of_pools, of_servers = zipf(len(people.pools), given.zipf), zipf(len(people.servers), given.zipf)

    def draw() -> tuple[Sender, float]:
        kind = chance.choices(range(4), shares)[0]
        if kind == 0:
            return chance.choice(chance.choices(people.pools, of_pools)[0]), given.provider_spam
        if kind == 1:
            return people.newcomer(), 0.0
        if kind == 2:
            return chance.choice(people.forwarders), given.forwarder_spam
        return chance.choices(people.servers, of_servers)[0], given.server_spam

    return draw


def month(people: Population) -> list[Visit]:
    """All sessions of the month, the earliest first."""
    visits = [*_ordinary(people), *_bots(people), *_snowshoes(people), *_turned(people), *_builders(people)]
    visits.sort(key=lambda visit: visit.at)
    return visits


def _ordinary(people: Population) -> Iterator[Visit]:
    given, chance = people.assumptions, people.chance
    draw = ham_senders(people)
    good = 0
    while good < given.number(given.ham):
        sender, spam = draw()
        visit = people.mail(chance.uniform(0.0, MONTH), sender, spam)
        good += visit.is_ham
        yield visit


def _bots(people: Population) -> Iterator[Visit]:
    given, chance = people.assumptions, people.chance
    for _ in range(given.number(given.bots)):
        begin = chance.uniform(-DAY, MONTH)
        life = 60.0 * 1440.0 ** chance.random() if chance.random() < given.bots_brief else chance.uniform(1, 20) * DAY
        is_few = chance.random() < given.bots_few
        sessions = chance.randint(1, 10) if is_few else round(10.0 * (given.bots_most / 10.0) ** chance.random())
        bot = people.bot(begin)
        for at in sorted(chance.uniform(begin, begin + life) for _ in range(sessions)):
            if 0.0 <= at < MONTH:
                yield people.bad_visit(at, bot)


def _snowshoes(people: Population) -> Iterator[Visit]:
    given, chance = people.assumptions, people.chance
    for number in range(given.number(given.snowshoes)):
        begin = chance.uniform(0.0, MONTH - 2 * DAY)
        listed_from = begin + DAY if chance.random() < given.snowshoe_listed else inf
        network = people.land.network(4000 + number % 5)
        domain = f"snow{number}.example"
        for host in range(given.snowshoe_hosts):
            name = answer("confirmed", f"mail{host}.{domain}", domain=domain)
            sender = people.land.sender(network, host, "snowshoe", name, listed_from=listed_from)
            for _ in range(given.snowshoe_sessions):
                at = chance.uniform(begin, begin + 2 * DAY)
                yield people.fate.visit(at, sender, is_ham=False, length=given.bad_length)


def _turned(people: Population) -> Iterator[Visit]:
    given, chance = people.assumptions, people.chance
    for sender in chance.sample(people.servers, min(len(people.servers), given.number(given.turned))):
        begin = chance.uniform(10 * DAY, 25 * DAY)
        for _ in range(given.turned_sessions):
            at = chance.uniform(begin, begin + 2 * DAY)
            yield people.fate.visit(at, sender, is_ham=False, length=given.bad_length, group="turned", returns=1)


def _builders(people: Population) -> Iterator[Visit]:
    given, chance = people.assumptions, people.chance
    for number in range(given.number(given.builders)):
        name = answer("confirmed", f"mx.builder{number}.example", domain=f"builder{number}.example")
        sender = people.land.sender(chance.choice(people.hosting), chance.randrange(256), "builder", name)
        begin = chance.uniform(0.0, MONTH - 11 * DAY)
        times: Sequence[tuple[int, float, float, bool]] = (
            (given.builder_good, begin, 10 * DAY, True),
            (given.builder_bad, begin + 10 * DAY, 4 * HOUR, False),
        )
        for sessions, since, seconds, is_ham in times:
            for _ in range(sessions):
                at = since + chance.uniform(0.0, seconds)
                length = given.good_length if is_ham else given.bad_length
                yield people.fate.visit(at, sender, is_ham=is_ham, length=length, returns=1)
