"""Places in a pool, and the line in front of it: who may come in, who is next, who has waited too long."""

from bisect import bisect_left, insort
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class Places:
    """The places of one pool and who has taken them."""

    sessions: int
    per_client: int
    taken: int = 0
    _by_client: dict[bytes, int] = field(default_factory=dict)

    def free_for(self, client: bytes) -> bool:
        """There is a place, and the client has not had its share."""
        return self.taken < self.sessions and self._by_client.get(client, 0) < self.per_client

    def take(self, client: bytes) -> None:
        """One place less."""
        self.taken += 1
        self._by_client[client] = self._by_client.get(client, 0) + 1

    def release(self, client: bytes) -> None:
        """One place more; to be called once for each `take`."""
        remaining = self._by_client[client] - 1
        self.taken -= 1
        if remaining:
            self._by_client[client] = remaining
        else:
            del self._by_client[client]

    @property
    def share(self) -> float:
        """The share of places that is taken: 0 to 1, more after a reload with fewer places."""
        return self.taken / self.sessions


@dataclass(frozen=True, slots=True, order=True)
class Ticket(Generic[T]):
    """One who stands in line; tickets sort by rank."""

    _negated_score: float
    _number: int
    deadline: float = field(compare=False)
    item: T = field(compare=False)

    @property
    def score(self) -> float:
        """The score it stands in line with."""
        return -self._negated_score


class WaitingLine(Generic[T]):
    """A bounded line: the best score first, among equals the one who came first."""

    def __init__(self) -> None:
        self._by_rank: list[Ticket[T]] = []
        self._by_age: dict[Ticket[T], None] = {}
        self._numbers = 0

    def __len__(self) -> int:
        return len(self._by_rank)

    def join(self, item: T, *, score: float, deadline: float, limit: int) -> T | None:
        """Stand in line until `deadline`; returns who must leave because the line is longer than `limit`."""
        self._numbers += 1
        ticket = Ticket(-score, self._numbers, deadline, item)
        insort(self._by_rank, ticket)
        self._by_age[ticket] = None
        return self.dismiss_last() if len(self._by_rank) > limit else None

    def dismiss_last(self) -> T | None:
        """The lowest score, among equals the one who came last, leaves; None if nobody is there."""
        if not self._by_rank:
            return None
        last = self._by_rank[-1]
        self.leave(last)
        return last.item

    def last(self) -> T | None:
        """Who would be dismissed next; it stays in line."""
        return self._by_rank[-1].item if self._by_rank else None

    def first(self, admissible: Callable[[T], bool]) -> Ticket[T] | None:
        """The first in line who could come in now; it stays in line until it leaves."""
        return next((ticket for ticket in self._by_rank if admissible(ticket.item)), None)

    def leave(self, ticket: Ticket[T]) -> None:
        """One leaves the line."""
        del self._by_rank[bisect_left(self._by_rank, ticket)], self._by_age[ticket]

    def expired(self, now: float) -> list[T]:
        """Those who have waited too long leave. All wait equally long, so the eldest are due first."""
        due: list[T] = []
        for ticket in list(self._by_age):
            if ticket.deadline > now:
                break
            self.leave(ticket)
            due.append(ticket.item)
        return due

    def eldest(self) -> T | None:
        """Who has waited longest."""
        return next((ticket.item for ticket in self._by_age), None)
