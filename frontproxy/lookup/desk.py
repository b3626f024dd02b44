"""The desk: where questions about clients go out, and what is said of them comes in and is kept.

It asks nothing of the DNS itself: the asking program does, at the other end of a link. Whoever judges a client reads
what is known, and never waits. A question that cannot be asked, because the budget is spent, too many are on their way,
or the program does not keep up, is not asked: no answer is no evidence.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from socket import socket
from typing import Any, Final

from frontproxy.core.address import network_of, pack, unpack
from frontproxy.core.budget import Budget
from frontproxy.core.config_values import Dns, DnsListSettings
from frontproxy.core.hearsay import NOTHING_HEARD, Hearsay, ListAnswer, NameAnswer
from frontproxy.core.list_watch import LISTED_POINT, UNLISTED_POINT
from frontproxy.lookup.cache import Cache
from frontproxy.lookup.flights import Flight, Flights, Inquiry, Purpose, wait_for
from frontproxy.lookup.keeping import as_heard, no_list_answer, no_name_answer
from frontproxy.lookup.link import Link, Log
from frontproxy.lookup.messages import Answer, ListSaid, Question
from frontproxy.lookup.watches import Watches

NAME_COST: Final = 2
"""Look-ups that a name takes: there, and back again."""
SILENCE: Final = 50
"""Questions in a row without any answer that are a trouble."""
_NOT_ASKED: Final = frozenset({"busy", "lost"})
"""Why there was no answer when the DNS was not asked at all."""
_COUNTED: Final = ("asked", "answers", "no_answer", "over_budget", "no_room", "unexpected")
_POINTS: Final = {pack(point): point for point in (LISTED_POINT, UNLISTED_POINT)}


class Desk:
    """`now` is always a time of `clock`, which is monotonic, in seconds."""

    def __init__(self, log: Log, clock: Callable[[], float] = time.monotonic) -> None:
        """Asks nothing before it is configured; somebody must `run` it, and `tick` it once a second."""
        self._clock = clock
        self._dns = Dns()
        self._budget = Budget(self._dns.lookups_per_second)
        self._cache = Cache()
        self._flights = Flights()
        self._watches = Watches(log)
        self._link = Link(self._hear, log)
        self._counts = dict.fromkeys(_COUNTED, 0)
        self._answered: deque[bool] = deque(maxlen=SILENCE)

    @property
    def voting(self) -> frozenset[str]:
        """Zones of the lists whose word counts."""
        return self._watches.voting

    def configure(self, dns: Dns, lists: tuple[DnsListSettings, ...], link: socket | None) -> None:
        """From now on ask these lists, through `link`, which does not block; None if nothing is to be asked.

        The cache stays, and what is known of lists that stay. What was asked through a link that is replaced stays
        without an answer; whoever made the link closes it.
        """
        now = self._clock()
        self._dns, self._budget.rate = dns, dns.lookups_per_second
        is_new = self._link.connect(link)
        self._watches.configure(lists, now, retest=is_new)
        if is_new:
            for flight in self._flights:
                self._give_up(flight, now)

    def hearsay(self, packed: bytes, now: float) -> Hearsay:
        """What is known of an address, from the lists that are configured, with a vote or without."""
        found = self._cache.find(packed, now)
        if found is NOTHING_HEARD:
            return found
        since = self._watches.believed_since
        lists = tuple([answer for answer in found.lists if answer.at >= since.get(answer.zone, math.inf)])
        return Hearsay(lists, found.name if self._dns.names else None)

    def ask(
        self, packed: bytes, now: float, *, name: bool = True, heard: Callable[[], None] | None = None
    ) -> Inquiry | None:
        """Ask what is not known of an address: the lists that have a vote, and its name unless `name` is false.

        None if there is nothing to ask, or it cannot be asked now. Otherwise `heard` is called when everything was
        answered, or no more answers will come, and before that when the lists have answered and one lists it: whoever
        owns a reverse zone can keep us waiting for a name, but not for what is said against him.
        """
        known = self.hearsay(packed, now)
        said = {answer.zone for answer in known.lists}
        zones = [zone for zone in self._watches.zones if zone in self.voting and zone not in said]
        flights = self._inquire(packed, zones, now, name=name and known.name is None, is_free=False)
        return wait_for(flights, heard, listed=heard)

    def ask_all(self, packed: bytes, now: float, heard: Callable[[], None] | None = None) -> Inquiry | None:
        """Ask everything anew, lists without a vote too, whatever is known, and whatever the budget says.

        As `ask`, but `heard` is called only once, at the end.
        """
        return wait_for(self._inquire(packed, self._watches.zones, now, name=True, is_free=True), heard)

    def friend_came(self, packed: bytes, now: float) -> None:
        """A client has come that we know to be good: now and then we look whether lists speak against such a one.

        This is not taken from the budget, which a flood of strangers spends, just when a list may go wrong.
        """
        blaming = self._watches.blaming
        if self._watches.is_friend_due(packed, now) and self._send(packed, blaming, now, "friend", is_free=True):
            self._watches.begin_friend(packed, now)

    def tick(self, now: float) -> None:
        """Once a second: give up what will not be answered any more, and begin the tests that are due."""
        for flight in self._flights.overdue(now):
            self._give_up(flight, now)
        for zone in self._watches.due(now):
            if not self._link.is_there or not self._flights.has_room(len(_POINTS), "test"):
                break
            self._watches.begin_test(zone, now)
            for point in _POINTS:
                self._send(point, [zone], now, "test", is_free=True)

    async def run(self) -> None:
        """Receive answers, for ever."""
        await self._link.run()

    def status(self) -> dict[str, Any]:
        """What `status` tells of look-ups."""
        return {
            "cached": len(self._cache),
            "in_flight": self._flights.open,
            **self._counts,
            "malformed": self._link.malformed,
            "lists": self._watches.status(self._clock()),
        }

    def troubles(self) -> Iterator[str]:
        """What an operator must know, while it lasts."""
        is_silent = len(self._answered) == SILENCE and not any(self._answered)
        if is_silent:
            what = f"DNS answers nothing: the last {SILENCE} questions had no answer"
            yield f"{what}; do the resolvers of dns.servers (or else of resolv.conf) run, and may we ask them?"
        yield from self._watches.troubles(self._clock())

    def _inquire(self, packed: bytes, zones: Collection[str], now: float, *, name: bool, is_free: bool) -> set[Flight]:
        """Ask what is not being asked already; the flights that bring the answers to both."""
        listing = self._flights.asking_lists(packed, zones)
        naming = self._flights.asking_name(packed) if name and self._dns.names else []
        missing = [zone for zone in zones if not any(zone in flight.zones for flight in listing)]
        name = name and self._dns.names and not naming and (is_free or self._may_ask_name(packed))
        flights = {*listing, *naming}
        if (missing or name) and (flight := self._send(packed, missing, now, "client", name=name, is_free=is_free)):
            flights.add(flight)
        return flights

    def _may_ask_name(self, packed: bytes) -> bool:
        """Names leave places to lists, and the names of one network to those of others."""
        has_room = self._flights.has_room_for_name(packed)
        self._counts["no_room"] += not has_room
        return has_room

    def _send(
        self,
        packed: bytes,
        zones: Collection[str],
        now: float,
        purpose: Purpose,
        *,
        name: bool = False,
        is_free: bool = False,
    ) -> Flight | None:
        """Ask all of it, or nothing."""
        if not self._link.is_there:
            return None
        if not self._flights.has_room(len(zones) + name, purpose):
            self._counts["no_room"] += 1
            return None
        if not is_free and not self._budget.spend(len(zones) + NAME_COST * name, now, network_of(packed)):
            self._counts["over_budget"] += 1
            return None
        flight = self._flights.begin(packed, set(zones), purpose, now, name=name)
        if not self._link.send(Question(flight.id, unpack(packed), tuple(zones), name)):
            self._flights.end(flight)
            self._counts["no_room"] += 1
            return None
        self._counts["asked"] += flight.open
        return flight

    def _hear(self, number: int, said: Iterable[Answer]) -> None:
        """Answers to one question have come; what was not asked is not believed."""
        now, flight, heard = self._clock(), self._flights.find(number), []
        for answer in said:
            if flight and self._flights.take(flight, answer.zone if isinstance(answer, ListSaid) else None):
                heard.append(as_heard(answer, now))
            else:
                self._counts["unexpected"] += 1
        if flight and heard:
            self._keep(flight, heard, now)

    def _give_up(self, flight: Flight, now: float) -> None:
        """What has not been answered will not be: the program has died, or has a successor."""
        lost: list[ListAnswer | NameAnswer] = [no_list_answer(zone, "lost", now) for zone in flight.zones]
        if flight.name:
            lost.append(no_name_answer("lost", now))
        self._keep(flight, lost, now)
        self._flights.end(flight)

    def _keep(self, flight: Flight, heard: Sequence[ListAnswer | NameAnswer], now: float) -> None:
        """Remember what was heard, then tell those who wait, if that was all, or all about a client that is listed.

        One listing alone is not told: a list that recommends must not win because it is faster than one that blames.
        """
        if flight.purpose != "test":
            self._cache.add(flight.packed, heard, now)
        for answer in heard:
            is_answer = answer.state != "no answer"
            self._counts["answers" if is_answer else "no_answer"] += 1
            if is_answer or self._must_be_answered(answer):
                self._answered.append(is_answer)
            if isinstance(answer, ListAnswer):
                self._watches.note(flight.purpose, flight.packed, answer)
        if not flight.open:
            self._flights.end(flight)
        lists = [answer for answer in heard if isinstance(answer, ListAnswer)]
        flight.is_listed = flight.is_listed or any(answer.state == "listed" for answer in lists)
        if lists and flight.is_listed and not flight.zones:
            for inquiry in flight.inquiries:
                inquiry.listed()

    def _must_be_answered(self, answer: ListAnswer | NameAnswer) -> bool:
        """That there was no answer is a sign that DNS answers nothing.

        Of a name it is none, since strangers may have reverse zones that are silent, unless only names are asked.
        """
        return answer.why not in _NOT_ASKED and (isinstance(answer, ListAnswer) or not self._watches.zones)
