"""Gathering: all that is known about a client at one moment, from every side, as evidence. Nothing here waits."""

import time
from typing import Protocol

from frontproxy.core import address, dnslist, evidence, history
from frontproxy.core.census import Census
from frontproxy.core.doubt import doubt_about
from frontproxy.core.evidence import Evidence
from frontproxy.core.hearsay import NOTHING_HEARD, Hearsay
from frontproxy.core.named import reason_of
from frontproxy.core.verdict import Reason
from frontproxy.lookup.desk import Desk
from frontproxy.memory.sqlite import HistoryFile
from frontproxy.setup import Setup


class Sides(Protocol):
    """Where evidence comes from."""

    setup: Setup
    memory: HistoryFile
    desk: Desk
    census: Census


def gather(sides: Sides, packed: bytes, text: str, wall: float, *, early: bool) -> Evidence:
    """What is known of the client at this address, given packed and as text; `wall` is now, in seconds since 1970."""
    setup = sides.setup
    config = setup.config
    now = time.monotonic()
    client = address.client_of(packed)
    lists = setup.lists_of(packed)
    place = setup.geo.find(text)
    hearsay = sides.desk.hearsay(packed, now)
    keys = history.Keys(client, address.network_of(packed), place.asn)
    recalled = sides.memory.recall(keys, heard=name_in(hearsay, now, wall), now=wall)
    recollection = history.recollect(recalled, now=wall, forgetting=setup.forgetting)
    crowd = sides.census.of(client, now)
    reasons = recollection.reasons
    listed: tuple[str, ...] = ()
    if hearsay is not NOTHING_HEARD:
        doubt = doubt_about(recollection.own, config.listen.settled)
        reasons += _reasons_of(hearsay, sides, doubt, now)
        if doubt:  # of a friend, a rule that asks for lists must not hear anything either
            listed = dnslist.listed_by(hearsay.lists, config.dnslists, sides.desk.voting)
    if lists:
        reasons += evidence.from_lists(lists)
    if config.networks:
        reasons += evidence.from_place(place.asn, place.country, config.networks, place.fields)
    reasons += evidence.from_census(crowd.open_sessions, crowd.rate, config.points)
    if early or crowd.returned:
        reasons += evidence.from_manners(early=early, returned=crowd.returned, points=config.points)
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
        name=recalled.name.name if recalled.name else "",
        domain=recalled.domain,
        own=recollection.own,
    )


def name_in(hearsay: Hearsay, now: float, wall: float) -> history.KnownName | None:
    """The name of an address, an empty one if it has none that is confirmed; None if nothing was heard of it."""
    told = hearsay.name
    if told is None or told.state == "no answer":
        return None
    until = wall + told.until - now
    is_confirmed = told.state == "confirmed"
    return history.KnownName(told.name if is_confirmed else "", told.domain if is_confirmed else "", until)


def _reasons_of(hearsay: Hearsay, sides: Sides, doubt: float, now: float) -> tuple[Reason, ...]:
    """What the world says; against a client it counts as far as its own record leaves us in doubt."""
    config = sides.setup.config
    reasons = dnslist.reasons_of(hearsay.lists, config.dnslists, voting=sides.desk.voting, doubt=doubt, now=now)
    return reasons + reason_of(hearsay.name, config.points, doubt=doubt) if hearsay.name else reasons
