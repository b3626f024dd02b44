"""The sides of evidence as they were when a recorded session was judged, for judging it by another configuration.

What the operator's files say (lists, ASN, country) is looked up in those of that configuration. What time has brought
(history, hearsay, the census) is as it was recorded, so its half-lives cannot be applied to the past.
"""

from frontproxy.core import address, scoring
from frontproxy.core.census import Crowd
from frontproxy.core.hearsay import Hearsay
from frontproxy.core.history import Keys, KnownName, Recalled
from frontproxy.core.names import is_below
from frontproxy.core.seen import Seen
from frontproxy.core.verdict import Verdict
from frontproxy.knowledge import gather
from frontproxy.memory.journal_rows import Entry
from frontproxy.memory.pins import Pin
from frontproxy.setup import Setup


class Then:
    """All sides in one; `judge` puts them where a session was."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.memory = self.desk = self.census = self
        self._pools = {pool.name for pool in setup.config.pools}
        self._generic = frozenset(setup.config.dns.generic)
        self._seen: Seen

    def judge(self, entry: Entry) -> Verdict:
        """The verdict on a recorded session. Places taken in pools are not recorded: `pool_open` is 0."""
        seen = self._seen = entry.seen
        text = address.unpack(seen.packed)
        pin = None
        pool = entry.would or entry.route
        if entry.pinned and pool in self._pools:
            pin = Pin(text, pool, until=None, because="", made=seen.wall)
        stress = tuple([pool for pool in entry.stress if pool in self._pools])
        evidence = gather(self, seen.packed, text, seen.wall, now=seen.now, early=seen.early)
        return scoring.judge(evidence, self.setup.config, pin=pin, weather=scoring.Weather(stress, _nobody))

    @property
    def voting(self) -> frozenset[str]:
        """Zones of the DNS lists whose word counted, as far as they had one about this client."""
        return self._seen.voting

    def hearsay(self, _packed: bytes, _now: float) -> Hearsay:
        """What the DNS had told."""
        hearsay = self._seen.hearsay
        return hearsay if self.setup.config.dns.names else hearsay._replace(name=None)

    def recall(self, keys: Keys, *, heard: KnownName | None = None, now: float | None = None) -> Recalled:
        """What history held, as far as it is about these keys: other databases may know another ASN."""
        recalled = self._seen.recalled._replace(keys=keys)
        if keys.asn != self._seen.recalled.keys.asn:
            recalled = recalled._replace(asn=None, provider=None)
        name = recalled.name
        if name and name.domain and self._generic and is_below(name.domain, self._generic):
            recalled = recalled._replace(name=name._replace(domain=""), provider=None)
        return recalled

    def of(self, _client: bytes, _now: float) -> Crowd:
        """What the census knew."""
        return self._seen.crowd


def _nobody(_pool: str) -> int:
    return 0
