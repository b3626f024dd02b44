"""What every system in the simulation has to do: say of each session where it belongs, and learn how it ended."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, Protocol

from frontproxy.wire.outcome_line import OutcomeLine
from tests.bench.simulate_people import Sender, Visit

Where = Literal["reserved", "open", "away"]


class Judgement(NamedTuple):
    """What a system says of a session."""

    where: Where
    """A friend, to the reserved places; anybody, to the others; away with a reply."""
    rank: float
    """The higher the sooner its turn."""
    pause: float = 0.0
    """Seconds it must wait until it is judged again."""


UNJUDGED: Final = Judgement("open", 0.0)


@dataclass(slots=True, eq=False)
class Session:
    """A visit, or one of its returns."""

    visit: Visit
    came: float
    tries: int = 1
    judgement: Judgement = UNJUDGED
    seen_early: bool = False


class System(Protocol):
    """One way to tell friends from strangers. Times are seconds of the simulation."""

    name: str
    has_friends: bool
    """It tells whom the reserved places are for; else all places are one pool."""
    lists: Callable[[Sender, float], bool]
    """Whether the DNS list lists a sender at a time."""

    def standing(self, sender: Sender, now: float) -> Judgement:
        """What it would say of a sender, without a session."""

    def judge(self, session: Session, now: float, *, stress: bool) -> Judgement:
        """A session has come, or its pause is over."""

    def learn(self, session: Session, line: OutcomeLine, now: float) -> None:
        """An outcome is told."""

    def left(self, session: Session, now: float, *, served: bool) -> None:
        """It was given a place, or sent away, and counts no more."""

    def copy(self) -> "System":
        """One that knows the same, and learns apart."""
