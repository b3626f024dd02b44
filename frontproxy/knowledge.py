"""What is known of a client: gathered from every side as evidence, and taught by what it does. Nothing here waits."""

import time
from typing import Protocol

from frontproxy.core import address, dnslist, evidence, history
from frontproxy.core.census import Census, Crowd
from frontproxy.core.doubt import doubt_about
from frontproxy.core.evidence import Evidence
from frontproxy.core.hearsay import NOTHING_HEARD, Hearsay
from frontproxy.core.history import Lesson
from frontproxy.core.named import reason_of
from frontproxy.core.outcome import Weight
from frontproxy.core.recollection import recollect
from frontproxy.core.seen import Seen
from frontproxy.core.verdict import Reason
from frontproxy.lookup.desk import Desk
from frontproxy.memory.journal import Journal
from frontproxy.memory.sqlite import HistoryFile
from frontproxy.setup import Setup


class Recalls(Protocol):
    """History, as far as judging needs it; see `HistoryFile.recall`."""

    def recall(
        self, keys: history.Keys, *, heard: history.KnownName | None = None, now: float | None = None
    ) -> history.Recalled: ...


class Hears(Protocol):
    """What the DNS has told; see `Desk`."""

    @property
    def voting(self) -> frozenset[str]: ...
    def hearsay(self, packed: bytes, now: float) -> Hearsay: ...


class Counts(Protocol):
    """The census, as far as judging needs it."""

    def of(self, client: bytes, now: float) -> Crowd: ...


class Sources(Protocol):
    """Where evidence comes from: what is there now, or what was recorded of it."""

    @property
    def setup(self) -> Setup: ...
    @property
    def memory(self) -> Recalls: ...
    @property
    def desk(self) -> Hears: ...
    @property
    def census(self) -> Counts: ...


class Sides(Sources, Protocol):
    """Where evidence comes from, and what sessions teach goes to."""

    setup: Setup
    memory: HistoryFile
    journal: Journal
    """Keeps what was learned, so that it can be taken back."""
    desk: Desk
    census: Census


def gather(sides: Sources, packed: bytes, text: str, wall: float, *, now: float, early: bool) -> Evidence:
    """What is known of the client at this address, given packed and as text.

    Of the present moment `wall` is in seconds since 1970, `now` in monotonic ones.
    """
    setup = sides.setup
    config = setup.config
    client = address.client_of(packed)
    lists = setup.lists_of(packed)
    place = setup.geo.find(text)
    hearsay = sides.desk.hearsay(packed, now)
    keys = history.Keys(client, address.network_of(packed), place.asn)
    heard = _name_in(hearsay, now, wall)
    recalled = sides.memory.recall(keys, heard=heard, now=wall)
    recollection = recollect(recalled, now=wall, forgetting=setup.forgetting)
    crowd = sides.census.of(client, now)
    reasons = recollection.reasons
    vouched = recollection.own
    listed: tuple[str, ...] = ()
    if lists:
        found = evidence.from_lists(lists)
        reasons += found
        vouched += sum([reason.points for reason in found if reason.points > 0.0])
    if hearsay is not NOTHING_HEARD:
        doubt = doubt_about(vouched, config.listen.settled)
        reasons += _reasons_of(hearsay, sides, doubt, now)
        listed = dnslist.listed_by(hearsay.lists, config.dnslists, sides.desk.voting, doubt=doubt)
    if config.networks:
        reasons += evidence.from_place(place.asn, place.country, config.networks, place.fields)
    reasons += evidence.from_census(crowd.open_sessions, crowd.rate, config.points)
    if early or crowd.returned:
        reasons += evidence.from_manners(early=early, returned=crowd.returned, points=config.points)
    if vouched < config.listen.settled:
        reasons += evidence.from_others(reasons, config.listen.settled)
    # Two hosts in one /64 are one client, but the name remembered is of one of them.
    name = recalled.name if heard or len(packed) == 4 else None
    return Evidence(
        address=text,
        reasons=reasons,
        lists=lists,
        known=recollection.known,
        early=early,
        asn=place.asn,
        country=place.country,
        open_sessions=crowd.open_sessions,
        rate=crowd.rate,
        listed=listed,
        name=name.name if name else "",
        domain=name.domain if name else "",
        vouched=vouched,
        seen=Seen(packed, wall, now, recalled, hearsay, sides.desk.voting, crowd, early),
    )


def teach(
    sides: Sides,
    packed: bytes,
    wall: float,
    weight: Weight,
    *,
    heard: history.KnownName | None = None,
    is_rationed: bool = False,
) -> Lesson | None:
    """Learn what a session that ended at `wall` (in seconds since 1970) has counted: all learning comes through here.

    `heard` is the client's name if whoever tells of the session knows it; else it is what the DNS has told lately.
    One that counts nothing teaches nothing. `is_rationed`: see `core.history.learn`.
    """
    if not (weight.good or weight.bad or weight.taken_back):
        return None
    place = sides.setup.geo.find(address.unpack(packed))
    keys = history.Keys(address.client_of(packed), address.network_of(packed), place.asn)
    if heard is None:
        now = time.monotonic()
        heard = _name_in(sides.desk.hearsay(packed, now), now, wall)
    recalled = sides.memory.recall(keys, heard=heard)
    learned, lesson = history.learn(
        recalled,
        good=weight.good,
        bad=weight.bad,
        taken_back=weight.taken_back,
        now=wall,
        forgetting=sides.setup.forgetting,
        is_rationed=is_rationed,
    )
    sides.memory.remember(learned)
    sides.journal.learned(lesson)
    return lesson


def _name_in(hearsay: Hearsay, now: float, wall: float) -> history.KnownName | None:
    """The name of an address, an empty one if it has none that is confirmed; None if nothing was heard of it."""
    told = hearsay.name
    if told is None or told.state == "no answer":
        return None
    until = wall + told.until - now
    is_confirmed = told.state == "confirmed"
    return history.KnownName(told.name if is_confirmed else "", told.domain if is_confirmed else "", until)


def _reasons_of(hearsay: Hearsay, sides: Sources, doubt: float, now: float) -> tuple[Reason, ...]:
    """What the world says; against a client it counts as far as its own record leaves us in doubt."""
    config = sides.setup.config
    reasons = dnslist.reasons_of(hearsay.lists, config.dnslists, voting=sides.desk.voting, doubt=doubt, now=now)
    return reasons + reason_of(hearsay.name, config.points, doubt=doubt) if hearsay.name else reasons
