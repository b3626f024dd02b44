"""Sessions that feeds tell of more than once: each counts once, by all that its feeds know of it together.

One feed may know less than another: a milter sees that a message was broken off, the log that it was refused for its
content. So each line is merged into what was told before (`merged`), the whole is weighed anew, and what it counts more
is taught, or what it counts less of good taken back (`difference`). Bad that is less, because a message excuses
guessed recipients, stays: what was learned of it was little.

A session that was never ours has no identity that its feeds could know. So it is known by its client's address and
port and by when it ended: a port is used again, but not within seconds by the next session.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, fields, replace

from frontproxy.core.outcome import Weight
from frontproxy.wire.outcome_line import OutcomeLine

TOLERANCE = 10.0
"""Seconds by which two feeds may differ on when a foreign session ended."""
REMEMBERED = 20_000
"""Foreign sessions; of those of one port the latest."""

_LEAST = 1e-9  # units; less is rounding
_FACTS = tuple(field.name for field in fields(OutcomeLine) if field.type in {int, bool} and field.name != "port")


@dataclass(frozen=True, slots=True)
class Told:
    """What was told of one session, and what it has counted."""

    line: OutcomeLine
    """What its feeds know together."""
    weight: Weight

    def and_told(self, line: OutcomeLine, weigh: Callable[[OutcomeLine], Weight]) -> "tuple[Told, Weight]":
        """What is known after one more line, and what is to be learned for it."""
        together = merged(self.line, line)
        if together == self.line:
            return self, Weight(0.0, 0.0, "")
        weight = weigh(together)
        more = difference(self.weight, weight)
        return Told(together, replace(weight, bad=self.weight.bad + more.bad)), more


def merged(first: OutcomeLine, second: OutcomeLine) -> OutcomeLine:
    """What two feeds know of one session: the larger of each count, and an end other than QUIT, the first one told."""
    facts = {name: max(getattr(first, name), getattr(second, name)) for name in _FACTS}
    is_plain = first.end == "quit" and second.end != "quit"
    knows_end = second if is_plain or (first.end == second.end and second.stage == "data") else first
    return replace(first, end=knows_end.end, stage=knows_end.stage, **facts)


def difference(before: Weight, now: Weight) -> Weight:
    """What is still to be learned of a session that has counted `before`, if in all it counts this."""
    good, bad = now.good - before.good, now.bad - before.bad
    more = Weight(_rounded(good), _rounded(bad), now.text, taken_back=_rounded(-good))
    return more if more.good or more.bad or more.taken_back else Weight(0.0, 0.0, "")


def _rounded(units: float) -> float:
    return units if units > _LEAST else 0.0


class Retold:
    """Remembers what was told lately of foreign sessions, within a bound."""

    def __init__(self) -> None:
        self._told: OrderedDict[tuple[bytes, int], Told] = OrderedDict()

    def find(self, packed: bytes, line: OutcomeLine) -> Told | None:
        """What was told before of the session that a line of this client tells of.

        A feed that knows no port says 0, and is believed each time.
        """
        told = self._told.get((packed, line.port))
        return told if told and abs(line.ended - told.line.ended) <= TOLERANCE else None

    def keep(self, packed: bytes, told: Told) -> None:
        """Remember what was told of a session."""
        if not told.line.port:
            return
        key = packed, told.line.port
        self._told[key] = told
        self._told.move_to_end(key)
        if len(self._told) > REMEMBERED:
            self._told.popitem(last=False)
