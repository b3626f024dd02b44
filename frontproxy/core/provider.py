"""A provider: all clients of one ASN whose confirmed names have one registrable domain, such as a big sender's hundred.

Anybody can give addresses a name in a domain of his, so a provider says nothing before some of its clients speak for
it: those with a good history of their own, its witnesses. All clients of an IPv6 network are one witness, for they may
be one host. A client has a provider for its neighbourhood once three others are witnesses. One more is kept than that,
so that what a client does itself never decides whether its provider counts for it. A witness stays while its sessions
find it good, and until it has not been seen for two `good_half_life`.
"""

from typing import NamedTuple

from frontproxy.core.level import NOTHING, Forgetting, Level

WITNESSES_NEEDED = 3
"""Clients with a good history that it takes to make a provider count for another client."""

_GOOD_ODDS = 3.0  # of a good session to a bad one, that make a witness


class Witness(NamedTuple):
    """A client with a good history of its own, or the IPv6 network of one."""

    key: bytes
    """See `core.history.Keys.witness`."""
    seen: float
    """When its last session taught, in seconds since 1970."""


class ProviderRecord(NamedTuple):
    """All that is kept about a provider."""

    level: Level = NOTHING
    witnesses: tuple[Witness, ...] = ()
    """At most `WITNESSES_NEEDED` + 1, those that were seen last."""

    def counts_for(self, key: bytes, now: float, forgetting: Forgetting) -> bool:
        """Whether enough others than this witness have a good history."""
        return sum(witness.key != key for witness in _present(self.witnesses, now, forgetting)) >= WITNESSES_NEEDED


def witnesses_after(
    witnesses: tuple[Witness, ...], key: bytes, own: Level, now: float, forgetting: Forgetting
) -> tuple[Witness, ...]:
    """The witnesses after a session of a client whose own record is now `own`."""
    kept = [witness for witness in _present(witnesses, now, forgetting) if witness.key != key]
    if own.good + 1.0 >= _GOOD_ODDS * (own.bad + 1.0):
        kept.append(Witness(key, max(now, own.t)))
    kept.sort(key=lambda witness: witness.seen)
    return tuple(kept[-WITNESSES_NEEDED - 1 :])


def _present(witnesses: tuple[Witness, ...], now: float, forgetting: Forgetting) -> list[Witness]:
    return [witness for witness in witnesses if now - witness.seen < 2.0 * forgetting.good_half_life]
