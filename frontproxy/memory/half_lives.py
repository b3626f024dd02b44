"""Records under other half-lives: they count the same at the moment of the change, and fade by the new ones from then.

A record keeps values of the moment t of its last touch, so these are chosen such that the new half-lives lead to what
is left now: good * 2^((now - t) * (1/new - 1/old)). Nobody has more than it has seen, though: where shorter half-lives
would ask for that, t moves towards now, as far as it must.

`evidence_cap` needs no such thing: what a record has forgotten with evidence was taken off as it learned, and a new cap
is for what it learns from now on. Only the part of a neighbourhood that is left out as a client's own (three units at
most) is off by a little until that client's next session.
"""

from dataclasses import dataclass
from math import inf, log2
from typing import Self

from frontproxy.core.history import GOOD_A_DAY, ClientRecord
from frontproxy.core.level import Forgetting, Level
from frontproxy.core.provider import ProviderRecord
from frontproxy.memory.rows import Record

_DAY = 86400.0


@dataclass(frozen=True, slots=True)
class HalfLives:
    """What the values in the records fade by, in seconds."""

    good: float
    bad: float

    @classmethod
    def of(cls, forgetting: Forgetting) -> Self:
        return cls(forgetting.good_half_life, forgetting.bad_half_life)


@dataclass(frozen=True, slots=True)
class Change:
    """A change of half-lives at a moment, in seconds since 1970."""

    old: HalfLives
    new: HalfLives
    now: float

    def record(self, record: Record) -> Record:
        """The record after the change."""
        if isinstance(record, ProviderRecord):
            return record._replace(level=self.level(record.level))
        return self._client(record) if isinstance(record, ClientRecord) else self.level(record)

    def level(self, level: Level) -> Level:
        """A level, or a share, after the change."""
        t, n, good, bad = level
        age = self.now - t
        if age <= 0.0 or not (good or bad):
            return level
        good *= 2.0 ** -(age / self.old.good)
        bad *= 2.0 ** -(age / self.old.bad)
        age = min(age, _time_to(n, good, self.new.good), _time_to(n, bad, self.new.bad))
        good *= 2.0 ** (age / self.new.good)
        bad *= 2.0 ** (age / self.new.bad)
        return Level(self.now - age, n, min(n, good), min(n, bad))

    def _client(self, record: ClientRecord) -> ClientRecord:
        own = self.level(record.own)
        return record._replace(
            own=own,
            network_share=self.level(record.network_share),
            provider_share=self.level(record.provider_share),
            asn_share=self.level(record.asn_share),
            spent=max(0.0, record.spent - GOOD_A_DAY * (own.t - record.own.t) / _DAY),
        )


def _time_to(most: float, units: float, half_life: float) -> float:
    """Seconds before now at which these units were as many as `most`."""
    return half_life * max(0.0, log2(most / units)) if units else inf
