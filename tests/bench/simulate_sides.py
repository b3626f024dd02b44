"""What frontproxy has on its sides in the simulation: the configuration, a memory, a desk that knows the answers."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
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
from tests.bench.simulate_people import Sender

ZONE: Final = "bl.example"
CODE: Final = "127.0.0.4"
_LIST_HOLDS: Final = 3600.0
_NAME_HOLDS: Final = 86400.0
_SHIPPED: Final = Path(__file__).parents[2] / "config.toml"

Lists = Callable[[Sender, float], bool]
"""Whether the DNS list lists a sender at that time."""


def truly_listed(sender: Sender, now: float) -> bool:
    """The list is honest, though it has some good servers by mistake."""
    return sender.listed_from <= now


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
        lists: tuple[ListAnswer, ...] = ()
        if self.now < at + _LIST_HOLDS and at >= self.watches.believed_since.get(ZONE, 0.0):
            lists = (list_answer(is_listed, now, until + _LIST_HOLDS),)
        return Hearsay(lists, sender.name._replace(at=now, until=until + _NAME_HOLDS))

    def copy(self) -> "SimulatedDesk":
        """One that has heard the same, from lists that are honest."""
        return SimulatedDesk(self.rate, deepcopy(self.watches), said=dict(self.said))

    def ask(self, sender: Sender) -> None:
        """As `Desk.ask`; the answers are there at once, and nobody looks before the end of the pause."""
        told = self.said.get(sender.packed)
        needs_name = told is None or self.now >= told[1] + _NAME_HOLDS
        needs_list = ZONE in self.voting and (told is None or self.now >= told[1] + _LIST_HOLDS)
        cost = NAME_COST * needs_name + needs_list
        if cost and self.budget.spend(cost, self.now, sender.packed[:3]):
            self.said[sender.packed] = sender, self.now, needs_list and self.lists(sender, self.now)

    def friend_came(self, sender: Sender) -> None:
        """As `Desk.friend_came`."""
        if self.watches.is_friend_due(sender.packed, self.now):
            self.watches.begin_friend(sender.packed, self.now)
            answer = list_answer(self.lists(sender, self.now), self.now, self.now + _LIST_HOLDS)
            self.watches.note("friend", sender.packed, answer)


def list_answer(is_listed: bool, at: float, until: float) -> ListAnswer:
    """What the list says."""
    return ListAnswer(ZONE, "listed" if is_listed else "not listed", (CODE,) if is_listed else (), at, until)


def trusting_watches(config: Config) -> Watches:
    """Watches on the DNS lists, which have passed their tests."""
    watches = Watches(lambda _event, /, **_values: None)
    watches.configure(config.dnslists, 0.0, retest=False)
    for settings in config.dnslists:
        watches.begin_test(settings.zone, 0.0)
        for point, is_listed in ((LISTED_POINT, True), (UNLISTED_POINT, False)):
            answer = list_answer(is_listed, 0.0, _LIST_HOLDS)
            watches.note("test", address.pack(point), answer)
    return watches
