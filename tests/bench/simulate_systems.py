"""Other ways to tell friends from strangers, beside frontproxy in the simulation; see `simulate_plugins` for more.

All hear the same outcomes and may ask the same DNS list, as often as they like, and all have the same places. Those
that know friends keep the reserved places for them, as frontproxy does, although none of them was published with such;
the others have all places in one pool.
"""

from copy import deepcopy
from typing import Final

from frontproxy.wire.outcome_line import OutcomeLine
from tests.bench.simulate_outcomes import opinion_of
from tests.bench.simulate_people import Sender
from tests.bench.simulate_sides import Lists, truly_listed
from tests.bench.simulate_system import Judgement, Session, System

LISTED: Final = -1.0
"""What a listing takes from a rank: where a system has no opinion of its own, those listed come last."""


class FirstComeFirstServed:
    """Nobody is told from anybody: a mail server as it comes, adaptive under stress."""

    name = "first come, first served"
    has_friends = False

    def __init__(self) -> None:
        self.lists: Lists = truly_listed

    def standing(self, sender: Sender, now: float) -> Judgement:
        """Everybody is the same."""
        return Judgement("open", 0.0)

    def judge(self, session: Session, now: float, *, stress: bool) -> Judgement:
        """As `System.judge`."""
        return self.standing(session.visit.sender, now)

    def learn(self, session: Session, line: OutcomeLine, now: float) -> None:
        """Nothing is learned."""

    def left(self, session: Session, now: float, *, served: bool) -> None:
        """Nothing is remembered."""

    def copy(self) -> System:
        """As `System.copy`."""
        return deepcopy(self)


class DnsListOnly(FirstComeFirstServed):
    """One DNS list, and whom it lists is sent away at once (`reject_rbl_client` of Postfix; RFC 5782); no memory."""

    name = "DNS list only"

    def standing(self, sender: Sender, now: float) -> Judgement:
        """Listed or not."""
        return Judgement("away" if self.lists(sender, now) else "open", 0.0)


class Majority(FirstComeFirstServed):
    """Per-address majority: Twining, Williamson, Mowbray and Rahmouni, "Email Prioritization", USENIX 2004.

    A server most of whose mail so far was good is served first, one most of whose mail was bad comes last. Nothing is
    forgotten. Choices: what the paper counts as messages are sessions here; who has no past is between the two, and
    among those the DNS list decides who comes later.
    """

    name = "per-address majority"
    has_friends = True

    def __init__(self) -> None:
        super().__init__()
        self._counts: dict[bytes, tuple[int, int]] = {}

    def key(self, sender: Sender) -> bytes:
        """Whose past counts."""
        return sender.packed

    def standing(self, sender: Sender, now: float) -> Judgement:
        """By the share of good sessions so far."""
        good, bad = self._counts.get(self.key(sender), (0, 0))
        if good == bad:
            return Judgement("open", LISTED if self.lists(sender, now) else 0.0)
        share = good / (good + bad)
        return Judgement("reserved", share) if share > 0.5 else Judgement("open", share - 3.0)

    def learn(self, session: Session, line: OutcomeLine, now: float) -> None:
        """One more good or bad session."""
        opinion = opinion_of(line)
        key = self.key(session.visit.sender)
        good, bad = self._counts.get(key, (0, 0))
        self._counts[key] = good + (opinion > 0), bad + (opinion < 0)

    def copy(self) -> "Majority":
        """As `System.copy`; what is kept is never changed in place."""
        other = type(self)()
        other._counts = dict(self._counts)
        return other


class NetworkMajority(Majority):
    """The same for whole networks: the /24 around an address is what is good or bad."""

    name = "/24 majority"

    def key(self, sender: Sender) -> bytes:
        """The network."""
        return sender.packed[:3]


class Oracle(FirstComeFirstServed):
    """It knows which session will be a good one: the most that can be had with these places."""

    name = "oracle"
    has_friends = True

    def judge(self, session: Session, now: float, *, stress: bool) -> Judgement:
        """By the truth."""
        return Judgement("reserved", 1.0) if session.visit.is_ham else Judgement("open", 0.0)
