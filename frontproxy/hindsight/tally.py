"""What was found in the logs: sessions and clients by log, and what became of them."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from frontproxy.core.address import client_of, pack
from frontproxy.hindsight.events import LogRead
from frontproxy.past import Learned, Standing

CLIENTS_LIMIT: Final = 500_000
"""Clients that are told apart; a log of a year may name more strangers than we care to remember."""

LEFT_OUT: Final[dict[str, str]] = {
    "nothing": "nothing to learn from it",
    "told": "told by a log before",
    "live": "learned as it happened",
    "old": "too old to count",
    "early": "from before what history remembers to have been told",
    "future": "from the future",
    "excused": "of a list that is never learned",
    "loopback": "from this machine",
    "authenticated": "of users who authenticate",
}
"""Why a session was left out, in words."""


@dataclass(slots=True)
class LogTally:
    """One log."""

    read: LogRead
    fates: Counter[str] = field(default_factory=Counter)

    def left_out(self) -> Counter[str]:
        """Sessions that were not learned, by why."""
        left_out = Counter({why: self.fates[why] for why in LEFT_OUT if self.fates[why]})
        for why, count in (("loopback", self.read.loopback), ("authenticated", self.read.authenticated)):
            if count:
                left_out[why] = count
        return left_out


@dataclass(slots=True)
class Tally:
    """All logs."""

    logs: list[LogTally] = field(default_factory=list)
    """In the order in which they are read."""
    _clients: dict[bytes, tuple[int, Standing]] = field(default_factory=dict)
    """By client: the log that named it first, and its standing now."""

    def heard(self, read: LogRead) -> None:
        """The reading program tells of a log."""
        for log in self.logs:
            if log.read.log == read.log:
                log.read = read
                return
        self.logs.append(LogTally(read))

    def learned(self, learned: Learned) -> None:
        """A batch of the log that is being read was learned."""
        index = self._current()
        self.logs[index].fates.update(learned.fates)
        for text, standing in learned.standings.items():
            client = client_of(pack(text))
            first, _before = self._clients.get(client, (index, standing))
            if client in self._clients or len(self._clients) < CLIENTS_LIMIT:
                self._clients[client] = first, standing

    @property
    def has_all_clients(self) -> bool:
        """Whether there are no more clients than could be counted."""
        return len(self._clients) < CLIENTS_LIMIT

    def clients(self) -> list[Counter[Standing]]:
        """By log, the clients that it was the first to name, by their standing."""
        counts: list[Counter[Standing]] = [Counter() for _log in self.logs]
        for first, standing in self._clients.values():
            counts[first][standing] += 1
        return counts

    def _current(self) -> int:
        return next(index for index, log in enumerate(self.logs) if not log.read.done)
