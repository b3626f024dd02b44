"""Who goes where under another configuration, instead of where it was sent, and what that means.

In observe mode everybody was sent to the first pool, and is here, too; where a session goes now is what the rules say,
whatever the mode. So what was recorded in observe mode tells what enforcing would have changed.

Sessions are counted by how many each recorded one stands for. A session was good or bad by what its outcome counted
more; of one that was refused, or whose outcome nobody told, nothing is known.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from frontproxy.core.address import client_of, client_text
from frontproxy.core.verdict import Verdict
from frontproxy.memory.journal_rows import REASON_LIMIT, Entry, reasons_of

Kind = Literal["good", "bad", "unknown"]
KINDS: tuple[Kind, ...] = ("good", "bad", "unknown")
SHOWN = 10
"""Clients that are named, of those that fare better and of those that fare worse."""
_CLIENTS_KEPT = 50_000


@dataclass(slots=True)
class Sessions:
    """How many sessions there were of each kind."""

    good: float = 0.0
    bad: float = 0.0
    unknown: float = 0.0

    def count(self, kind: Kind, sessions: float) -> None:
        """So many more."""
        setattr(self, kind, getattr(self, kind) + sessions)

    @property
    def total(self) -> float:
        """Of all kinds."""
        return self.good + self.bad + self.unknown


@dataclass(slots=True)
class ChangedClient:
    """One client that changes: how many of its sessions, and the last of these."""

    client: str
    sessions: float
    good: float
    """How many of them were good."""
    before: str
    """The pool, or the reply."""
    after: str
    score: float
    score_after: float
    reasons: tuple[str, ...]
    """What has gone, with `-` in front, and what has come, with `+`: `-network:1.0`, `+network:2.0`; if nothing has,
    all of them."""


@dataclass(slots=True)
class Changes:
    """All that the command tells of."""

    pools: Sequence[str]
    """Of the new configuration, the best first."""
    recorded: int = 0
    unreadable: int = 0
    observed: float = 0.0
    """Sessions in observe mode."""
    first: float = 0.0
    last: float = 0.0
    """When the recorded sessions were, in seconds since 1970."""
    routes: defaultdict[tuple[str, str], Sessions] = field(default_factory=lambda: defaultdict(Sessions))
    """By where they were sent and where they would be."""
    turned_away: Sessions = field(default_factory=Sessions)
    """Those that the new rules would refuse."""
    zones: set[str] = field(default_factory=set)
    """DNS lists that listed somebody."""
    _clients: dict[bytes, ChangedClient] = field(default_factory=dict)
    _better: set[bytes] = field(default_factory=set)

    def note(self, entry: Entry, verdict: Verdict) -> None:
        """A recorded session, and the verdict on it under the new configuration."""
        seen = entry.seen
        self.recorded += 1
        self.first = min(self.first or seen.wall, seen.wall)
        self.last = max(self.last, seen.wall)
        self.zones |= seen.voting
        self.observed += entry.stands_for if entry.would else 0.0
        route = verdict.would or verdict.route
        after = route.pool or route.reply
        kind = kind_of(entry)
        self.routes[entry.route, after].count(kind, entry.stands_for)
        if route.reply:
            self.turned_away.count(kind, entry.stands_for)
        if after != entry.route:
            self._note_client(client_of(seen.packed), entry, verdict, after)

    def better(self) -> list[ChangedClient]:
        """The clients that fare better, those first whose score rises most, then those with the most sessions."""
        found = [self._clients[client] for client in self._better]
        return sorted(found, key=lambda one: (-_rise(one), -one.sessions))[:SHOWN]

    def worse(self) -> list[ChangedClient]:
        """The clients that fare worse, those first whose score falls most, then those with the most good sessions."""
        found = [one for client, one in self._clients.items() if client not in self._better]
        return sorted(found, key=lambda one: (_rise(one), -one.good, -one.sessions))[:SHOWN]

    def total(self) -> Sessions:
        """All sessions."""
        return _sum(self.routes.values())

    def went_to(self, pool: str) -> Sessions:
        """Those that were sent to a pool."""
        return _sum(sessions for (before, _after), sessions in self.routes.items() if before == pool)

    def would_go_to(self, pool: str) -> Sessions:
        """Those that the new rules send there."""
        return _sum(sessions for (_before, after), sessions in self.routes.items() if after == pool)

    def changed(self) -> list[tuple[str, str, Sessions]]:
        """Those that change, the most first: from where, to where, how many."""
        found = [(*way, sessions) for way, sessions in self.routes.items() if way[0] != way[1]]
        return sorted(found, key=lambda one: -one[2].total)

    def _note_client(self, client: bytes, entry: Entry, verdict: Verdict, after: str) -> None:
        known = self._clients.get(client)
        if known is None and len(self._clients) >= _CLIENTS_KEPT:
            return
        now = ChangedClient(
            client_text(client),
            entry.stands_for + (known.sessions if known else 0.0),
            entry.stands_for * (kind_of(entry) == "good") + (known.good if known else 0.0),
            entry.route,
            after,
            entry.score,
            verdict.score,
            _difference(entry.reasons, reasons_of(verdict)[:REASON_LIMIT]),
        )
        self._clients[client] = now
        if self._rank(after) < self._rank(entry.route):
            self._better.add(client)
        else:
            self._better.discard(client)

    def _rank(self, route: str) -> int:
        return self.pools.index(route) if route in self.pools else len(self.pools)


def kind_of(entry: Entry) -> Kind:
    """What its outcome says of a session."""
    if entry.end.good > entry.end.bad:
        return "good"
    return "bad" if entry.end.bad > 0.0 else "unknown"


def _rise(client: ChangedClient) -> float:
    """Of its score, as people see it: the journal keeps numbers in single precision."""
    return round(client.score_after - client.score, 1)


def _sum(many: Iterable[Sessions]) -> Sessions:
    total = Sessions()
    for sessions in many:
        for kind in KINDS:
            total.count(kind, getattr(sessions, kind))
    return total


def _difference(before: str, after: str) -> tuple[str, ...]:
    old, new = (list(filter(None, reasons.split(","))) for reasons in (before, after))
    difference = (*[f"-{one}" for one in old if one not in new], *[f"+{one}" for one in new if one not in old])
    return difference or tuple(new)
