"""The watches on all DNS lists: who has a vote, which tests and which friends are due, and what people are told."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from math import inf
from typing import Any, Final

from frontproxy.core.address import network_of, unpack
from frontproxy.core.config_values import DnsListSettings
from frontproxy.core.hearsay import ListAnswer
from frontproxy.core.list_watch import Watch
from frontproxy.lookup.flights import Purpose

FRIEND_EVERY: Final = 10.0
"""Seconds between two friends that lists are asked about."""
FRIEND_AGAIN: Final = 3600.0
"""Seconds until a friend of the same network may be asked about again."""
DISPUTED_EVERY: Final = 1.0
DISPUTED_AGAIN: Final = 60.0
"""The same two while a list contradicts us, or has just listed friends of two networks: it may have begun to lie, or
have stopped, and those who are taken for foes meanwhile cannot wait until tomorrow."""
DOUBTED: Final = 300.0
"""Seconds for which a list that has listed a friend is looked at more closely."""
FRIENDS_REMEMBERED: Final = 10_000
"""More than can be asked about in that time."""
_SUSPICIOUS: Final = 2  # networks whose friends were listed lately
NEW: Final = 10.0
"""Seconds in which it is no trouble that a new list has no vote."""


class Watches:
    """One for each list; times are monotonic seconds."""

    def __init__(self, log: Callable[..., None]) -> None:
        self._log = log
        self._watches: dict[str, Watch] = {}
        self._settings: dict[str, DnsListSettings] = {}
        self._asked_about: OrderedDict[bytes, float] = OrderedDict()
        self._next_friend = 0.0
        self._listed: OrderedDict[bytes, float] = OrderedDict()
        """Networks of friends that some list has listed lately, and when."""
        self.voting: frozenset[str] = frozenset()
        """Zones of the lists that have a vote."""
        self.zones: tuple[str, ...] = ()
        """Of all lists, in the order of the file."""
        self.believed_since: dict[str, float] = {}
        """Of each list: what it said before it last got its vote back may be its lies, and is as good as unsaid."""
        self.blaming: tuple[str, ...] = ()
        """Of the lists that speak against somebody, and so may contradict us."""

    def configure(self, lists: tuple[DnsListSettings, ...], now: float, *, retest: bool) -> None:
        """From now on these; what is known of those that stay is kept, though they may have to be tested anew."""
        before, changed = self._watches, self._settings
        self._settings = {settings.zone: settings for settings in lists}
        self._watches = {}
        for zone, settings in self._settings.items():
            watch = self._watches[zone] = before.get(zone) or Watch(zone, now, blames=_blames(settings))
            if retest:
                watch.test_soon()
        self.zones = tuple(self._watches)
        self.believed_since = {zone: self.believed_since.get(zone, 0.0) for zone in self.zones}
        for zone in [zone for zone, settings in self._settings.items() if settings != changed.get(zone)]:
            self._forget_friends(self._watches[zone], now)
        self.blaming = tuple([zone for zone, watch in self._watches.items() if watch.blames])
        self._count_votes()

    def due(self, now: float) -> list[str]:
        """Zones of the lists to be tested now."""
        return [zone for zone, watch in self._watches.items() if watch.is_test_due(now)]

    def begin_test(self, zone: str, now: float) -> None:
        """Both points of the list are being asked about."""
        self._watches[zone].begin_test(now)

    def note(self, purpose: Purpose, packed: bytes, answer: ListAnswer) -> None:
        """What a list said of a client, a friend, or a test point."""
        watch = self._watches.get(answer.zone)
        if watch is None:  # not asked any more
            return
        before = watch.has_vote
        if purpose == "test":
            watch.tested(unpack(packed), answer)
        else:
            watch.looked_up(answer)
        if purpose == "friend" and answer.state != "no answer":
            against = (self._settings[answer.zone].worth(answer.codes) or 0.0) < 0
            watch.friend(network_of(packed), against=against, now=answer.at)
            if against:
                self._friend_was_listed(watch, network_of(packed), answer.at)
        if watch.has_vote != before:
            self._turned(watch, answer.at)

    def is_friend_due(self, packed: bytes, now: float) -> bool:
        """Lists should be asked about this friend: one is due, and none of its network was asked about lately."""
        if now < self._next_friend or not self.blaming:
            return False
        asked = self._asked_about.get(network_of(packed))
        return asked is None or now - asked >= (DISPUTED_AGAIN if self._is_disputed(now) else FRIEND_AGAIN)

    def begin_friend(self, packed: bytes, now: float) -> None:
        """Lists are being asked about this friend."""
        self._next_friend = now + (DISPUTED_EVERY if self._is_disputed(now) else FRIEND_EVERY)
        network = network_of(packed)
        self._asked_about.pop(network, None)
        self._asked_about[network] = now
        if len(self._asked_about) > FRIENDS_REMEMBERED:
            self._asked_about.popitem(last=False)

    def status(self, now: float) -> list[dict[str, Any]]:
        """Each list, as `status` tells it."""
        return [
            {
                "zone": watch.zone,
                "vote": watch.has_vote,
                "why": watch.complaint.why if watch.complaint else None,
                "asked": watch.asked,
                "listed": watch.listed,
                "no_answer": watch.no_answer,
                "friends": list(watch.friends),
                "tested": None if watch.tested_at is None else round(now - watch.tested_at, 1),
            }
            for watch in self._watches.values()
        ]

    def troubles(self, now: float) -> Iterator[str]:
        """A sentence for each list without a vote."""
        for watch in self._watches.values():
            complaint = watch.complaint
            if complaint and now - watch.began > NEW:
                yield f"DNS list {watch.zone} has no vote: {complaint.why}; {complaint.remedy}"

    def _friend_was_listed(self, watch: Watch, network: bytes, now: float) -> None:
        """It may have begun to list the world, which a test shows at once; if not, friends will."""
        if watch.tested_at is None or now - watch.tested_at >= FRIEND_EVERY:
            watch.test_soon()
        if now - self._listed.get(network, -inf) < FRIEND_AGAIN:
            return  # asking about the same ones again is no news
        self._listed.pop(network, None)
        self._listed[network] = now
        if len(self._listed) > _SUSPICIOUS:
            self._listed.popitem(last=False)
        if self._is_disputed(now):
            self._next_friend = min(self._next_friend, now + DISPUTED_EVERY)

    def _is_disputed(self, now: float) -> bool:
        """A list contradicts us, or may be about to."""
        lately = sum(now - at < DOUBTED for at in self._listed.values())
        return lately >= _SUSPICIOUS or any(watch.contradicts for watch in self._watches.values())

    def _forget_friends(self, watch: Watch, now: float) -> None:
        """What it said of them was judged by other points."""
        before = watch.has_vote
        watch.forget_friends(blames=_blames(self._settings[watch.zone]))
        self._asked_about.clear()
        if watch.has_vote != before:
            self._turned(watch, now)

    def _turned(self, watch: Watch, at: float) -> None:
        self._count_votes()
        complaint = watch.complaint
        if complaint:
            self._log("dnslist", zone=watch.zone, state="no_vote", why=complaint.why)
        else:
            self.believed_since[watch.zone] = at
            self._log("dnslist", zone=watch.zone, state="vote", why=None)

    def _count_votes(self) -> None:
        self.voting = frozenset([zone for zone, watch in self._watches.items() if watch.has_vote])


def _blames(settings: DnsListSettings) -> bool:
    """It speaks against somebody."""
    return any(reply.points < 0 for reply in settings.replies)
