"""What frontproxy has on its sides in the simulation: the configuration, a memory, a desk that knows the answers."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Final

from frontproxy.core import address
from frontproxy.core.budget import Budget
from frontproxy.core.config import parse
from frontproxy.core.config_values import Config
from frontproxy.core.hearsay import NOTHING_HEARD, Hearsay, ListAnswer
from frontproxy.core.history import ClientRecord, Keys, KnownName, Recalled, name_in_force
from frontproxy.core.level import Level
from frontproxy.core.list_watch import LISTED_POINT, UNLISTED_POINT
from frontproxy.core.provider import ProviderRecord
from frontproxy.lookup.desk import NAME_COST
from frontproxy.lookup.watches import Watches
from tests.bench.simulate_people import Sender, answer

ZONE: Final = "bl.example"
CODE: Final = "127.0.0.4"
_LIST_HOLDS: Final = 3600.0
_NAME_HOLDS: Final = 86400.0
_SHIPPED: Final = Path(__file__).parents[2] / "config.toml"

Lists = Callable[[Sender, float], bool]
"""Whether the DNS list lists a sender at that time."""


TEST_POINTS: Final = tuple(
    Sender(address.pack(point), point, 0, "server", answer("missing"), listed_from)
    for point, listed_from in ((LISTED_POINT, -inf), (UNLISTED_POINT, inf))
)
"""What every list is tested with: an address that it must list, and one that it must not."""


def truly_listed(sender: Sender, now: float) -> bool:
    """The list is honest, though it has some good servers by mistake."""
    return sender.listed_from <= now


def everybody_listed(_sender: Sender, _now: float) -> bool:
    """A list that lists the world, as one does whose domain was sold."""
    return True


def all_but_test_listed(sender: Sender, _now: float) -> bool:
    """The same, but it passes its tests, so that only friends of ours can find it out."""
    return sender.text != UNLISTED_POINT


def shipped_config() -> Config:
    """config.toml as it is shipped, with one DNS list as its comments show it."""
    text = _SHIPPED.read_text()
    text += f'\n[[dnslist]]\nzone = "{ZONE}"\nreplies = {{ "127.0.0.2-9" = -25, "127.0.0.10-11" = -10 }}\n'
    checked = parse(text, file_name="config.toml", folder=_SHIPPED.parent)
    assert not checked.mistakes, checked.mistakes
    return checked.config


@dataclass(slots=True)
class Memory:
    """What `HistoryFile` keeps, in dictionaries."""

    clients: dict[bytes, ClientRecord] = field(default_factory=dict)
    networks: dict[bytes, Level] = field(default_factory=dict)
    asns: dict[int, Level] = field(default_factory=dict)
    providers: dict[tuple[int, str], ProviderRecord] = field(default_factory=dict)

    def recall(self, keys: Keys, *, heard: KnownName | None = None, now: float | None = None) -> Recalled:
        """As `HistoryFile.recall`."""
        client = self.clients.get(keys.client)
        name = name_in_force(client, heard, now)
        provider = self.providers.get((keys.asn, name.domain)) if name and name.domain else None
        return Recalled(keys, name, client, self.networks.get(keys.network), provider, self.asns.get(keys.asn))

    def remember(self, learned: Recalled) -> None:
        """As `HistoryFile.remember`."""
        keys = learned.keys
        if learned.client:
            self.clients[keys.client] = learned.client
        if learned.network:
            self.networks[keys.network] = learned.network
        if learned.asn:
            self.asns[keys.asn] = learned.asn
        if learned.provider:
            self.providers[keys.asn, learned.domain] = learned.provider

    def copy(self) -> "Memory":
        """One that learns apart."""
        return Memory(dict(self.clients), dict(self.networks), dict(self.asns), dict(self.providers))


@dataclass(slots=True)
class SimulatedDesk:
    """What the DNS has told; `now` is the time of the simulation, whatever monotonic time the caller has."""

    rate: int
    watches: Watches
    lists: Lists = truly_listed
    now: float = 0.0
    budget: Budget = field(init=False)
    said: dict[bytes, tuple[Sender, float, bool]] = field(default_factory=dict)
    """Of each address asked about: whose it is, when, and whether it was listed."""
    _ticked: float = -inf

    def __post_init__(self) -> None:
        self.budget = Budget(self.rate)

    @property
    def voting(self) -> frozenset[str]:
        """Zones of the lists that have a vote."""
        return self.watches.voting

    def hearsay(self, packed: bytes, now: float) -> Hearsay:
        """As `Desk.hearsay`."""
        told = self.said.get(packed)
        if told is None or self.now >= told[1] + _NAME_HOLDS:
            return NOTHING_HEARD
        sender, at, is_listed = told
        until = now + (at - self.now)
        lists = (list_answer(is_listed, now, until + _LIST_HOLDS),) if self._knows_of_list(at) else ()
        return Hearsay(lists, sender.name._replace(at=now, until=until + _NAME_HOLDS))

    def copy(self) -> "SimulatedDesk":
        """One that has heard the same, from lists that are honest."""
        return SimulatedDesk(self.rate, deepcopy(self.watches), said=dict(self.said))

    def tick(self, now: float) -> None:
        """As `Desk.tick`, if a second has passed: the tests that are due, whose answers are there at once."""
        self.now = now
        if now - self._ticked < 1.0:
            return
        self._ticked = now
        for zone in self.watches.due(now):
            self.watches.begin_test(zone, now)
            for point in TEST_POINTS:
                self.watches.note("test", point.packed, self._answer_about(point))

    def ask(self, sender: Sender) -> None:
        """As `Desk.ask`; the answers are there at once, and nobody looks before the end of the pause."""
        told = self.said.get(sender.packed)
        needs_name = told is None or self.now >= told[1] + _NAME_HOLDS
        needs_list = ZONE in self.voting and (told is None or not self._knows_of_list(told[1]))
        cost = NAME_COST * needs_name + needs_list
        if cost and self.budget.spend(cost, self.now, sender.packed[:3]):
            is_listed = needs_list and self.lists(sender, self.now)
            self.said[sender.packed] = sender, self.now, is_listed
            if needs_list:
                self.watches.note("client", sender.packed, self._answer_about(sender))

    def friend_came(self, sender: Sender) -> None:
        """As `Desk.friend_came`."""
        if self.watches.is_friend_due(sender.packed, self.now):
            self.watches.begin_friend(sender.packed, self.now)
            self.watches.note("friend", sender.packed, self._answer_about(sender))

    def _knows_of_list(self, at: float) -> bool:
        """What the list said then still holds, and is believed."""
        return self.now < at + _LIST_HOLDS and at >= self.watches.believed_since.get(ZONE, 0.0)

    def _answer_about(self, sender: Sender) -> ListAnswer:
        return list_answer(self.lists(sender, self.now), self.now, self.now + _LIST_HOLDS)


def list_answer(is_listed: bool, at: float, until: float) -> ListAnswer:
    """What the list says."""
    return ListAnswer(ZONE, "listed" if is_listed else "not listed", (CODE,) if is_listed else (), at, until)


def watches_on(config: Config) -> Watches:
    """Watches on the DNS lists, which are tested with the first tick."""
    watches = Watches(lambda _event, /, **_values: None)
    watches.configure(config.dnslists, 0.0, retest=False)
    return watches
