"""What was seen of a client when it was judged: the facts behind the evidence, so that it can be judged anew later."""

from typing import NamedTuple

from frontproxy.core.census import Crowd
from frontproxy.core.hearsay import Hearsay
from frontproxy.core.history import Recalled


class Seen(NamedTuple):
    """The facts that change by the hour. What the operator's own files say of an address can be looked up again."""

    packed: bytes
    """The client's address (`core.address.pack`)."""
    wall: float
    """When it was judged, in seconds since 1970."""
    now: float
    """The same in monotonic seconds, by which hearsay is dated."""
    recalled: Recalled
    """What history held about it."""
    hearsay: Hearsay
    voting: frozenset[str]
    """Zones of the DNS lists whose word counted."""
    crowd: Crowd
    early: bool

    @property
    def is_known(self) -> bool:
        """Whether it had history of its own."""
        client = self.recalled.client
        return client is not None and client.own.n > 0.0
