"""What a client has earned on days long past, while old logs are learned that are older than what is known of it.

A client's record knows what was earned lately, and nothing of other days. Whoever learns old logs keeps one of these
for as long as that takes.
"""

from collections import OrderedDict

from frontproxy.core.history import GOOD_A_DAY

DAYS_KEPT = 200_000
"""Days of clients; of those that were not touched for the longest, nothing is known any more."""
_DAY = 86400.0


class Rations:
    """The good units of each client's days."""

    def __init__(self) -> None:
        self._earned: OrderedDict[tuple[bytes, int], float] = OrderedDict()

    def take(self, client: bytes, wall: float, good: float) -> float:
        """What counts of so many good units at `wall` (seconds since 1970): what is left of the day's allowance."""
        day = client, int(wall // _DAY)
        earned = self._earned.pop(day, 0.0)
        good = min(good, GOOD_A_DAY - earned)
        self._earned[day] = earned + good
        if len(self._earned) > DAYS_KEPT:
            self._earned.popitem(last=False)
        return good
