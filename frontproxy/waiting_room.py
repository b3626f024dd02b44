"""The waiting room: strangers being observed. When it is full the lowest score leaves, possibly the newcomer.

Friends and foes never enter it, so a room full of silent strangers costs them nothing.
"""

from bisect import bisect_left, insort
from dataclasses import dataclass, field

import trio

from frontproxy.core.session import Session
from frontproxy.observe.pregreet import Manners, listen_for_pregreet


@dataclass(slots=True, order=True)
class Chair:
    """One stranger's place; chairs sort by who would have to leave first: the lowest score, then the latest."""

    score: float
    _negated_number: int
    session: Session = field(compare=False)
    scope: trio.CancelScope = field(compare=False, default_factory=trio.CancelScope)
    is_shed: bool = field(compare=False, default=False)


class WaitingRoom:
    """`places` chairs at most."""

    def __init__(self, places: int) -> None:
        self.places = places
        self._chairs: list[Chair] = []
        self._numbers = 0

    def __len__(self) -> int:
        return len(self._chairs)

    def enter(self, session: Session) -> Chair | None:
        """A chair for the session; in a full room the lowest score is shed for it. None if that is the newcomer itself."""
        self._numbers += 1
        chair = Chair(session.verdict.score, -self._numbers, session)
        insort(self._chairs, chair)
        if len(self._chairs) > self.places:
            lowest = self._chairs[0]
            if lowest is chair:
                del self._chairs[0]
                return None
            self._shed(lowest)
        return chair

    async def observe(self, chair: Chair, *, deadline: float) -> Manners | None:
        """How the client in the chair behaves until `deadline` (Trio's clock); None if it was shed. Frees the chair."""
        try:
            with chair.scope:
                return await listen_for_pregreet(chair.session.socket, deadline=deadline)
            return None
        finally:
            if not chair.is_shed:
                self._leave(chair)

    def shed(self, count: int) -> int:
        """The `count` lowest leave, because something is short; returns how many there were."""
        lowest = self._chairs[:count]
        for chair in lowest:
            self._shed(chair)
        return len(lowest)

    def _shed(self, chair: Chair) -> None:
        self._leave(chair)
        chair.is_shed = True
        chair.scope.cancel()

    def _leave(self, chair: Chair) -> None:
        del self._chairs[bisect_left(self._chairs, chair)]
