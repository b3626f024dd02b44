"""Sessions that were never ours, as feeds tell of them: one that two feeds have seen counts once.

Nobody else gives such a session an identity, so it is known by its client's address and port and by when it ended: a
port is used again, but not within seconds by the next session.
"""

from collections import OrderedDict

TOLERANCE = 10.0
"""Seconds by which two feeds may differ on when a session ended."""
REMEMBERED = 20_000
"""Sessions; of those of one port the latest."""


class Retold:
    """Remembers what was told lately, within a bound."""

    def __init__(self) -> None:
        self._ended: OrderedDict[tuple[bytes, int], float] = OrderedDict()

    def note(self, packed: bytes, port: int, ended: float) -> bool:
        """A feed tells of a session, `ended` in seconds since 1970; true if one has done so before.

        A feed that knows no port says 0, and is believed each time.
        """
        if not port:
            return False
        before = self._ended.get((packed, port))
        if before is not None and abs(ended - before) <= TOLERANCE:
            return True
        self._ended[packed, port] = ended
        self._ended.move_to_end((packed, port))
        if len(self._ended) > REMEMBERED:
            self._ended.popitem(last=False)
        return False
