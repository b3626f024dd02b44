"""The journal: what was seen of recent sessions, and what they taught, so that it can be judged anew or taken back."""

from frontproxy.core.history import Lesson
from frontproxy.core.outcome import Weight
from frontproxy.core.session import Session
from frontproxy.wire.outcome_line import OutcomeLine


class Journal:
    """Remembers sessions, within a bound."""

    def learned(self, lesson: Lesson) -> None:
        """A session has taught something."""

    def ended(self, session: Session, pool: str, line: OutcomeLine, weight: Weight, wall: float) -> None:
        """The outcome of a session given to a pool is known; `wall` is in seconds since 1970."""

    def refused(self, session: Session, reply: str, wall: float) -> None:
        """A session was turned away with a reply."""
