"""What judging a client results in: the score, the reasons it is the sum of, and where the session goes.

These values are made for every session, so they are tuples: a frozen dataclass takes three times as long to make.
"""

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:  # what was seen holds what history recalls, which gives reasons
    from frontproxy.core.seen import Seen


class Reason(NamedTuple):
    """One term of a score."""

    name: str
    """The kind of evidence: `history`, `list:partners`, `pregreet` ..."""
    points: float
    """Decibans: ten points make it ten times likelier that the next session is a good one."""
    text: str
    """One line for people."""


class Route(NamedTuple):
    """Where a session goes: to a pool, or away with a reply. Exactly one of the two is set."""

    pool: str = ""
    reply: str = ""


class Verdict(NamedTuple):
    """The log, the admin socket and the tests all print this value."""

    client: str
    score: float
    reasons: tuple[Reason, ...]
    route: Route
    settled: bool
    """Friend, foe or pinned: nothing more is asked about this client."""
    pinned: str = ""
    """The pin that decided, as the operator wrote it."""
    standing: Literal["friend", "stranger", "foe"] = "stranger"
    would: Route | None = None
    """In observe mode: the route that the rules have picked, and that it does not take."""
    learning: Literal["full", "forwarder", "none"] = "full"
    """How its outcomes become history: not at all for lists of kind own, relay and probe."""
    is_vouched_for: bool = False
    """What we know of it ourselves, or the operator says, makes it a friend, whatever others say."""
    stress: tuple[str, ...] = ()
    """Pools that were under stress."""
    seen: "Seen | None" = None
    """The facts it is founded on; None if there were none to look at."""

    @property
    def is_welcome(self) -> bool:
        """A friend, or one whom a pin or a list has sent: reserved pools serve it, and stress does not touch it."""
        return self.standing == "friend" or bool(self.pinned) or self.learning == "none"
