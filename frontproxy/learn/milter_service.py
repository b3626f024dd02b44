"""What the passive milter does at its door: each connection is one SMTP session, and its end is told."""

import time
from math import inf

from frontproxy.learn.loop import Loop
from frontproxy.learn.milter_session import MilterSession
from frontproxy.learn.reporter import Reporter


class MilterService:
    """Follows sessions. Those that are there when frontproxy ends are followed to their ends."""

    finishes = True

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._sessions: dict[int, MilterSession] = {}

    def begin(self, _loop: Loop) -> None:
        """Nothing is needed but connections."""

    def open(self, number: int) -> MilterSession:
        """A mail server has begun a session."""
        self._sessions[number] = MilterSession()
        return self._sessions[number]

    def close(self, number: int) -> None:
        """What ended is told, what only broke off is not."""
        if outcome := self._sessions.pop(number).outcome(time.time()):
            self._reporter.add(outcome)

    def tend(self, _now: float) -> float:
        """Nothing is ever due."""
        return inf

    def end(self) -> None:
        """Nothing is held beside them."""
