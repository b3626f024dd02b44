"""A few clients of one network and ASN, and their history: for the tests of what history teaches."""

from dataclasses import replace

from frontproxy.core.history import (
    ClientRecord,
    Keys,
    KnownName,
    Lesson,
    Recalled,
    learn,
    name_in_force,
)
from frontproxy.core.level import Forgetting, Level
from frontproxy.core.provider import ProviderRecord
from frontproxy.core.recollection import Recollection, recollect

DAY = 86400.0
START = 1.7e9
FORGETTING = Forgetting(good_half_life=30 * DAY, bad_half_life=7 * DAY, evidence_cap=25, network_limit=4)
TIMELESS = replace(FORGETTING, good_half_life=1e18, bad_half_life=1e18)
ASN = 64500


class World:
    """Clients are called by any text; `names` holds the domains that the DNS tells of them, and of nobody else."""

    def __init__(self, forgetting: Forgetting = FORGETTING) -> None:
        self.forgetting = forgetting
        self.now = START
        self.clients: dict[str, ClientRecord] = {}
        self.network: Level | None = None
        self.asn: Level | None = None
        self.providers: dict[str, ProviderRecord] = {}
        self.names: dict[str, str] = {}
        self.lesson: Lesson
        """What the last session taught."""

    def recall(self, client: str, *, for_learning: bool = False) -> Recalled:
        """What a memory holds about a client."""
        heard = None
        if client in self.names:
            domain = self.names[client]
            heard = KnownName(f"mx.{domain}" if domain else "", domain, self.now + DAY)
        record = self.clients.get(client)
        name = name_in_force(record, heard, None if for_learning else self.now)
        provider = self.providers.get(name.domain) if name else None
        return Recalled(Keys(client.encode(), b"net", ASN), name, record, self.network, provider, self.asn)

    def session(self, client: str, good: float = 0.0, bad: float = 0.0, taken_back: float = 0.0) -> None:
        recalled = self.recall(client, for_learning=True)
        learned, self.lesson = learn(
            recalled, good=good, bad=bad, taken_back=taken_back, now=self.now, forgetting=self.forgetting
        )
        self.keep(client, learned)

    def keep(self, client: str, recalled: Recalled) -> None:
        """Remember what there is now."""
        assert recalled.client
        self.clients[client], self.network, self.asn = recalled.client, recalled.network, recalled.asn
        if recalled.provider:
            self.providers[recalled.domain] = recalled.provider

    def days(self, count: float) -> None:
        self.now += count * DAY

    def recollect(self, client: str) -> Recollection:
        return recollect(self.recall(client), now=self.now, forgetting=self.forgetting)

    def points(self, client: str) -> float:
        return self.recollect(client).points
