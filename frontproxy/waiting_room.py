"""The waiting room: strangers being observed. When it is full the lowest score leaves, possibly the newcomer.

Friends and foes never enter it, so a room full of silent strangers costs them nothing.
"""

from bisect import bisect_left, insort
from collections.abc import Callable
from dataclasses import dataclass, field

import trio

from frontproxy.core.session import Session
from frontproxy.observe.pregreet import Manners, listen_for_pregreet

FULL = "421 4.3.2 Too many strangers are waiting, please try again later"


@dataclass(slots=True, order=True)
class Chair:
    """One stranger's place; chairs sort by who would have to leave first: the lowest score, then the latest."""

    score: float
    _negated_number: int
    session: Session = field(compare=False)
    scope: trio.CancelScope = field(compare=False, default_factory=trio.CancelScope)
    reply: str = field(compare=False, default="")
    """What a client is told that must leave the room before its time."""
    why: str = field(compare=False, default="")

    def leave_at(self, deadline: float) -> None:
        """Its pause is over at `deadline` (Trio's clock), if not before."""
        self.scope.deadline = min(self.scope.deadline, deadline)


class WaitingRoom:
    """`places` chairs at most."""

    def __init__(self, places: int) -> None:
        self.places = places
        self._chairs: list[Chair] = []
        self._numbers = 0

    def __len__(self) -> int:
        return len(self._chairs)

    def enter(self, session: Session) -> Chair | None:
        """A chair for the session; in a full room the lowest is shed for it, and None says that this is the lowest."""
        self._numbers += 1
        chair = Chair(session.verdict.score, -self._numbers, session)
        insort(self._chairs, chair)
        if len(self._chairs) > self.places:
            lowest = self._chairs[0]
            if lowest is chair:
                del self._chairs[0]
                return None
            self.shed(len(self._chairs) - self.places)  # more than one if a reload has taken places away
        return chair

    async def observe(self, chair: Chair, *, deadline: float, talked: Callable[[], None]) -> Manners | None:
        """How the client behaves until `deadline` (Trio's clock); None if it must leave. Its chair is free then.

        Meanwhile the pause may be made shorter (`Chair.leave_at`). `talked` is called when the client talks early; it
        stays to the end of its pause all the same.
        """
        chair.leave_at(deadline)
        try:
            manners: Manners = "quiet"
            with chair.scope:
                manners = await listen_for_pregreet(chair.session.socket)
                if manners == "early":
                    talked()
                    await trio.sleep_forever()
            return None if chair.reply else manners
        finally:
            if not chair.reply:
                self._leave(chair)

    def rescore(self, chair: Chair, score: float) -> None:
        """More is known now about who sits there."""
        if not chair.reply:
            self._leave(chair)
            chair.score = score
            insort(self._chairs, chair)

    def shed(self, count: int, reply: str = FULL, why: str = "waiting_room") -> int:
        """The `count` lowest leave with a reply; returns how many there were."""
        lowest = self._chairs[:count]
        for chair in lowest:
            self._leave(chair)
            chair.reply, chair.why = reply, why
            chair.scope.cancel()
        return len(lowest)

    def _leave(self, chair: Chair) -> None:
        del self._chairs[bisect_left(self._chairs, chair)]
