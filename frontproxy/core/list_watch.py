"""The watch on one DNS list: whether what it says counts, and if not, why.

A list loses its vote when it fails the test of RFC 5782 section 5 (127.0.0.2 must be listed, 127.0.0.1 must not), when
it refuses us or gives answers that no list gives, when it leaves too many questions unanswered, and when it contradicts
what we know ourselves, by listing our friends. It has none before its first test. It gets its vote back by passing its
test; one that contradicted us also has to stop listing our friends, who are asked about all the while.

Only lists that speak against somebody can contradict us: whether a list that recommends does so for our foes is not
watched, because a foe is settled by its own history and gains nothing from it.
"""

import re
from collections import OrderedDict, deque
from typing import Final, NamedTuple

from frontproxy.core.hearsay import ListAnswer

LISTED_POINT: Final = "127.0.0.2"
UNLISTED_POINT: Final = "127.0.0.1"
TEST_EVERY: Final = 300.0
"""Seconds between two tests of a list that has a vote."""
RETEST_EVERY: Final = 60.0
"""The same while it has none, or while its last test had no answer."""
SILENT_TESTS: Final = 2
"""Tests in a row without an answer that cost the vote."""
WINDOW: Final = 20
"""Look-ups that are looked at, tests not counted."""
MOST_UNANSWERED: Final = 10
"""So many of them without an answer cost the vote."""
FRIENDS: Final = 50
"""Friends that a list was asked about last, one for each network."""
FRIENDS_REMEMBERED: Final = 86400.0
LEAST_LISTED: Final = 5
"""Friends it must list to lose its vote: a list that lists everybody does so within a minute (a friend is asked about
every ten seconds), and whoever wants to silence one that has listed him needs as many networks with a good history."""
CONTRADICTS_FROM: Final = 1 / 3
"""Share of friends that must be listed beside: an honest list has some of anybody's friends, who share their servers
with others, and a list that lies has nearly all."""
AGREES_BELOW: Final = 1 / 6
"""Share below which it gets its vote back; half of the other, so that no single friend turns it back and forth."""
OURS: Final = frozenset({"busy", "lost", "no resolver"})
"""Why there was no answer when it was our own trouble."""

_refusal = re.compile(r"refused \((127\.255\.255\.\d+)\)").fullmatch


class Complaint(NamedTuple):
    """What is wrong with a list, and what to do about it."""

    why: str
    remedy: str


_UNTESTED: Final = Complaint("it has not passed its test yet", "wait a moment, or see whether DNS works at all")
_DEAD: Final = Complaint(f"its test entry {LISTED_POINT} is missing: a dead list?", "see whether it still exists")
_LISTS_ALL: Final = Complaint(f"it lists {UNLISTED_POINT}, so probably the world", "remove it if this lasts")
_UNHEARD_REMEDY: Final = "see whether our resolver reaches it"
_MISTYPED: Final = Complaint("it says that there is a typing error in the zone", "correct the zone")
_PUBLIC: Final = Complaint("it does not answer public resolvers", "ask through a resolver of your own (dns.servers)")
_TOO_MANY: Final = Complaint("it says that we ask too much", "subscribe to its service, or remove it")
# Meanings as Spamhaus has published them for its zones; other lists follow it.
_REFUSALS: Final = {"127.255.255.252": _MISTYPED, "127.255.255.254": _PUBLIC, "127.255.255.255": _TOO_MANY}


class Watch:
    """What is known of one list; tell it what the list says, and read `has_vote`."""

    def __init__(self, zone: str, began: float, *, blames: bool) -> None:
        """`blames`: some of its replies cost points. `began` and all other times are monotonic seconds."""
        self.zone = zone
        self.began = began
        self.blames = blames
        self.asked = 0
        """Look-ups that ended, those of friends among them; tests are not counted."""
        self.listed = 0
        self.no_answer = 0
        self.tested_at: float | None = None
        """When a test last came to its end."""
        self._test_began: float | None = None
        self._said_of: dict[str, ListAnswer] = {}
        """In the test that goes on: what it said of each point."""
        self._silent_tests = 0
        self._test_failed: Complaint | None = _UNTESTED
        self._answered: deque[bool] = deque(maxlen=WINDOW)
        self._leaves_unanswered = False
        self._friends: OrderedDict[bytes, tuple[bool, float]] = OrderedDict()
        """Of each friend's network: whether it was listed, and when."""
        self.contradicts = False
        """It lists too many of our friends."""

    @property
    def complaint(self) -> Complaint | None:
        """Why it has no vote; None if it has one."""
        if self._test_failed:
            return self._test_failed
        if self._leaves_unanswered:
            why = f"{MOST_UNANSWERED} of its last {WINDOW} look-ups had no answer"
            return Complaint(why, _UNHEARD_REMEDY)
        if self.contradicts:
            listed, asked = self.friends
            return Complaint(f"it lists {listed} of {asked} of our friends", "remove it if this lasts")
        return None

    @property
    def has_vote(self) -> bool:
        """What it says counts."""
        return not (self._test_failed or self._leaves_unanswered or self.contradicts)

    @property
    def friends(self) -> tuple[int, int]:
        """How many of our friends it listed, and how many it was asked about, lately."""
        return sum(listed for listed, _at in self._friends.values()), len(self._friends)

    def is_test_due(self, now: float) -> bool:
        """It should be tested now."""
        if self._test_began is None:
            return True
        is_sound = self.has_vote and not self._silent_tests
        return now - self._test_began >= (TEST_EVERY if is_sound else RETEST_EVERY)

    def test_soon(self) -> None:
        """What it said in its last tests may be different now."""
        self._test_began = None

    def begin_test(self, now: float) -> None:
        """It is asked about both points; what it says of each is to be told to `tested`."""
        self._test_began = now
        self._said_of = {}

    def tested(self, point: str, answer: ListAnswer) -> None:
        """What it said of one of the points."""
        self._said_of[point] = answer
        if len(self._said_of) == 2:
            self._judge_test(self._said_of[LISTED_POINT], self._said_of[UNLISTED_POINT])
            self._said_of = {}

    def looked_up(self, answer: ListAnswer) -> None:
        """What it said of a client."""
        self.asked += 1
        self.listed += answer.state == "listed"
        self.no_answer += answer.state == "no answer"
        if answer.why in OURS:
            return
        if refusal := _refused(answer):
            self._test_failed = refusal
            return
        self._answered.append(answer.state != "no answer")
        if self._answered.count(False) >= MOST_UNANSWERED:
            self._leaves_unanswered = True

    def forget_friends(self, *, blames: bool) -> None:
        """Its replies are worth something else now: what it said of friends is no reproach any more."""
        self.blames = blames
        self._friends.clear()
        self.contradicts = False

    def friend(self, network: bytes, *, against: bool, now: float) -> None:
        """It has answered about a friend of ours in this network: something that costs points, or not.

        One host may have as many clients as a network has, and be a friend of ours with each: they are one witness.
        """
        if not self.blames:
            return
        friends = self._friends
        friends.pop(network, None)
        friends[network] = (against, now)
        while len(friends) > FRIENDS or now - next(iter(friends.values()))[1] > FRIENDS_REMEMBERED:
            friends.popitem(last=False)
        listed, asked = self.friends
        if self.contradicts:
            self.contradicts = listed >= AGREES_BELOW * asked
        else:
            self.contradicts = listed >= LEAST_LISTED and listed >= CONTRADICTS_FROM * asked

    def _judge_test(self, listed: ListAnswer, unlisted: ListAnswer) -> None:
        if {listed.why, unlisted.why} & OURS:
            self.test_soon()
            return
        self.tested_at = max(listed.at, unlisted.at)
        failure = _refused(listed) or _refused(unlisted) or _failure(listed, unlisted)
        if not failure and "no answer" in {listed.state, unlisted.state}:
            self._silent_tests += 1
            if self._silent_tests >= SILENT_TESTS and (not self._test_failed or self._test_failed is _UNTESTED):
                why = listed.why or unlisted.why
                self._test_failed = Complaint(f"its last tests had no answer ({why})", _UNHEARD_REMEDY)
            return
        self._silent_tests = 0
        self._test_failed = failure
        if not failure:
            self._answered.clear()
            self._leaves_unanswered = False


def _failure(listed: ListAnswer, unlisted: ListAnswer) -> Complaint | None:
    """What a test that was answered has shown."""
    if unlisted.state == "listed":
        return _LISTS_ALL
    return _DEAD if listed.state == "not listed" else None


def _refused(answer: ListAnswer) -> Complaint | None:
    """The answer says that it will give none, or is such as no list gives."""
    if match := _refusal(answer.why):
        why, remedy = _REFUSALS.get(match[1], Complaint("it refuses us", "ask those who run it, or remove it"))
        return Complaint(f"{why} ({match[1]})", remedy)
    if answer.why.startswith("not a list"):
        return Complaint(f"its answers are not those of a list: {answer.why}", "see whether the zone is right")
    return None
