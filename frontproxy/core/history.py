"""What sessions teach about a client and its neighbourhood, and how that is taken back.

A session teaches four levels (`core.level`): the client, its network, its provider if it has one, and its ASN. What
they say of it then is `core.recollection`'s subject. A client's record keeps its share of each, and which ASN and
provider they belong to, so that a client can be left out of what its neighbours say of it.

The confirmed name of a client is remembered with it. A verdict relies on it for as long as the DNS said it holds. A
session teaches by the last name known, however old: nobody asks for the name of a friend by its own record, and a big
sender whose hundred addresses are all such friends must not be forgotten as a provider for that.
"""

from typing import NamedTuple

from frontproxy.core.level import (
    NOTHING,
    Forgetting,
    Level,
    grown,
    left_of,
    part_taken,
    present,
    shrunk,
    taught,
    untaught,
    without,
)
from frontproxy.core.provider import ProviderRecord, witnesses_after

GOOD_A_DAY = 10.0
"""Units by which a client's good evidence can grow in a day. A good session beyond that displaces old evidence, the bad
as well, and fills what it displaced of the good: or the few sessions of a busy server that go wrong, or are told
wrongly, would outweigh the thousand good ones of the same day."""

_DAY = 86400.0
_IPV6_CLIENT = 8  # bytes of its key
_SECONDS_LOST = 2.0  # by the rounding of times, on the way to the disk and back


class Keys(NamedTuple):
    """What history knows a client by (see `core.address`)."""

    client: bytes
    network: bytes
    asn: int
    """0 if unknown."""

    @property
    def witness(self) -> bytes:
        """Whom the client can be a witness as: itself, or its network in IPv6, where one host may have many a /64."""
        return self.network if len(self.client) == _IPV6_CLIENT else self.client


class KnownName(NamedTuple):
    """The confirmed name of a client; an empty one says that it has none."""

    name: str
    """In lower case, without the last dot."""
    domain: str
    """The registrable domain it ends with; empty for names that are no provider's (access lines, generic ones)."""
    until: float
    """Until when it holds, in seconds since 1970."""


class ClientRecord(NamedTuple):
    """All that is kept about a client."""

    own: Level = NOTHING
    network_share: Level = NOTHING
    """Its own part of its network's evidence; `t` and `n` are the network's at that moment."""
    provider_share: Level = NOTHING
    """Its own part of the evidence of the provider that `name` belongs to."""
    asn_share: Level = NOTHING
    spent: float = 0.0
    """Units of good evidence lately earned; drains by `GOOD_A_DAY` a day."""
    name: KnownName | None = None
    """The last one heard."""
    asn: int = 0
    """The ASN that `asn_share` and `provider_share` belong to; 0 if unknown."""


class Recalled(NamedTuple):
    """The records about a client, as memory holds them; None for what is not known."""

    keys: Keys
    name: KnownName | None = None
    """The name it is known by, see `name_in_force`."""
    client: ClientRecord | None = None
    network: Level | None = None
    provider: ProviderRecord | None = None
    """That of `name`."""
    asn: Level | None = None

    @property
    def domain(self) -> str:
        """The registrable domain that makes its provider; empty if it has none."""
        return self.name.domain if self.name else ""


class Lesson(NamedTuple):
    """What one session taught: all that is needed to take it back (`unlearn`)."""

    t: float
    """What its units count from, in seconds since 1970: when the session ended; for one that ended before the client's
    record was last touched (and is learned from old logs), when that was."""
    keys: Keys
    domain: str
    """Of the provider it taught; empty if none."""
    good: float
    """Units counted, after the daily limit; below 0 if good was taken back."""
    bad: float
    weight: float
    """Share of the units that its network has taken; its provider and its ASN took about the same."""
    evidence: float
    """Units by which the session has displaced what the client's record knew before."""


def name_in_force(client: ClientRecord | None, heard: KnownName | None, now: float | None) -> KnownName | None:
    """The name just heard, else the one remembered if it holds at `now`; with no `now`, if it ever held."""
    if heard is not None or client is None or client.name is None:
        return heard
    return client.name if now is None or now < client.name.until else None


def learn(
    recalled: Recalled,
    *,
    good: float,
    bad: float,
    taken_back: float = 0.0,
    now: float,
    forgetting: Forgetting,
    is_rationed: bool = False,
) -> tuple[Recalled, Lesson]:
    """The records after one more session of `good` and `bad` units (0 or more, see `core.outcome`), ended at `now`.

    What there is nothing to learn about (an unknown ASN, no provider) is None. `taken_back` are good units of earlier
    sessions that turned out to be none. A session that counts nothing should not be learned, or strangers fill the
    history with nothing.

    Good units count within `GOOD_A_DAY`, and of a session from before the client's record was last touched counts what
    time has left of it by then. The record knows nothing of what was earned on that day: whoever does has seen to the
    day's limit himself, and says that it `is_rationed`.
    """
    keys, name, client, network, provider, asn = recalled
    record = client or ClientRecord()
    good, bad, evidence, spent = _counted(record, good - taken_back, bad, now, forgetting, is_rationed)
    now = max(now, record.own.t)
    weight = 1.0 / (1.0 + sum(present(record.own, now, forgetting)))
    own = grown(record.own, good, bad, now, forgetting, evidence)

    def teach(level: Level | None, share: Level) -> tuple[Level, Level]:
        return taught(level or NOTHING, share, good * weight, bad * weight, now, forgetting)

    before = network or NOTHING
    network, network_share = teach(network, record.network_share)
    asn, asn_share = teach(asn, share_of_asn(recalled)) if keys.asn else (None, NOTHING)
    provider_share = NOTHING if name or record.asn != keys.asn else record.provider_share
    if recalled.domain:
        known = provider or ProviderRecord()
        level, provider_share = teach(known.level, share_of_provider(recalled))
        provider = ProviderRecord(level, witnesses_after(known.witnesses, keys.witness, own, now, forgetting))
    else:
        provider = None
    learned = ClientRecord(own, network_share, provider_share, asn_share, spent, name or record.name, keys.asn)
    offered = max(0.0, good) + bad
    part = part_taken(before, network, offered, now, forgetting) if offered else weight
    lesson = Lesson(now, keys, recalled.domain, good, bad, part, evidence)
    return Recalled(keys, name, learned, network, provider, asn), lesson


def _counted(
    record: ClientRecord, good: float, bad: float, now: float, forgetting: Forgetting, is_rationed: bool
) -> tuple[float, float, float, float]:
    """What counts of a session, good and bad; what it displaces; and what is then spent of what a day allows.

    A record knows what was spent at its last touch, and not on any day before. So sessions from before (of old logs)
    have no day of their own, unless they are rationed: together they can count what was left to spend at the last
    touch, until the client is seen again. That is less than they may deserve, and never more than one day's worth.
    """
    spent = max(0.0, record.spent - GOOD_A_DAY * max(0.0, now - record.own.t) / _DAY)
    good, bad = left_of(good, bad, now, record.own.t, forgetting)
    evidence = max(0.0, good) + bad
    before, kept = present(record.own, now, forgetting)[0], present(record.own, now, forgetting, evidence)[0]
    if good < 0.0:  # no more can be taken back than there is
        return max(good, -kept), bad, evidence, spent
    if is_rationed and now < record.own.t:
        return good, bad, evidence, spent
    good = min(good, before - kept + max(0.0, GOOD_A_DAY - spent))
    return good, bad, evidence, max(0.0, spent + kept + good - before)


def unlearn(recalled: Recalled, lesson: Lesson, *, now: float, forgetting: Forgetting) -> Recalled:
    """The records without a session: what it added goes, and what it had displaced comes back.

    Lessons are to be taken back in the reverse order, the latest first: then a client's own evidence is what it would
    be without them. Its neighbourhoods come close: what it had displaced there does not come back. When a record was
    last touched is not known any more. A lesson that is newer than the record (a crash lost it, or an old copy was
    restored) changes nothing, nor does one about a client of whom nothing is known any more: it was forgotten since.
    """
    client = recalled.client
    if client is None or not client.own.n or lesson.t >= client.own.t + _SECONDS_LOST:
        return recalled
    good, bad = lesson.good, lesson.bad
    evidence = min(client.own.n, lesson.evidence)
    own = shrunk(client.own, *left_of(good, bad, lesson.t, client.own.t, forgetting), evidence, forgetting)
    client = client._replace(own=own, spent=max(0.0, client.spent - max(0.0, good)))
    return _unlearn_around(recalled._replace(client=client), client, lesson, now, forgetting)


def forgotten(recalled: Recalled, *, forgetting: Forgetting) -> Recalled:
    """The records without the client, which has been nobody's neighbour then, and no witness.

    What it taught a network, provider or ASN that is not at hand any more stays there. An IPv6 network stays a witness,
    as others in it may have made it one.
    """
    client = recalled.client or ClientRecord()
    network, provider, asn = recalled.network, recalled.provider, recalled.asn
    if network:
        network = without(network, client.network_share, forgetting)
    if provider:
        level = without(provider.level, share_of_provider(recalled), forgetting)
        others = tuple(witness for witness in provider.witnesses if witness.key != recalled.keys.client)
        provider = ProviderRecord(level, others)
    if asn:
        asn = without(asn, share_of_asn(recalled), forgetting)
    return recalled._replace(client=None, network=network, provider=provider, asn=asn)


def _unlearn_around(
    recalled: Recalled, client: ClientRecord, lesson: Lesson, now: float, forgetting: Forgetting
) -> Recalled:
    """The records without what a lesson has taught the client's neighbourhoods, as far as they are still the same."""
    keys, _name, _client, network, provider, asn = recalled

    def unteach(level: Level, share: Level) -> tuple[Level, Level]:
        good, bad = lesson.good * lesson.weight, lesson.bad * lesson.weight
        return untaught(level, share, good, bad, lesson.t, forgetting)

    if network:
        network, share = unteach(network, client.network_share)
        client = client._replace(network_share=share)
    if client.asn == keys.asn == lesson.keys.asn:
        if asn:
            asn, share = unteach(asn, client.asn_share)
            client = client._replace(asn_share=share)
        if provider and client.name and client.name.domain == recalled.domain == lesson.domain:
            level, share = unteach(provider.level, client.provider_share)
            client = client._replace(provider_share=share)
            provider = ProviderRecord(
                level, witnesses_after(provider.witnesses, keys.witness, client.own, now, forgetting)
            )
    return recalled._replace(client=client, network=network, provider=provider, asn=asn)


def share_of_provider(recalled: Recalled) -> Level:
    """The client's share of the provider at hand; what it taught one of another name or ASN is none."""
    client = recalled.client
    if client and client.name and (client.asn, client.name.domain) == (recalled.keys.asn, recalled.domain):
        return client.provider_share
    return NOTHING


def share_of_asn(recalled: Recalled) -> Level:
    """The client's share of the ASN at hand; only a file of version 1 does not tell which it is of: likely this one."""
    client = recalled.client
    return client.asn_share if client and client.asn in {0, recalled.keys.asn} else NOTHING
