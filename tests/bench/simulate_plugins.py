"""The reputation modules of Haraka and rspamd, as their documentation and shipped configuration describe them.

Neither was made to give places at the door, so what each would say there is a choice, told in its docstring.
"""

from math import exp, tanh
from typing import Final, NamedTuple

from frontproxy.wire.outcome_line import OutcomeLine
from tests.bench.simulate_assumptions import DAY
from tests.bench.simulate_outcomes import opinion_of
from tests.bench.simulate_people import Sender
from tests.bench.simulate_system import Judgement, Session
from tests.bench.simulate_systems import FirstComeFirstServed

_WITHOUT_NAME: Final = {"missing": -6.0, "unconfirmed": -4.0, "confirmed": 0.0}
"""Haraka's awards for what `fcrdns` finds; a name that does not lead back has no valid PTR."""
_ACCESS_NAME: Final = -1.0
_ZEN: Final = -5.0
_MANY: Final = 5


class _Past(NamedTuple):
    """Good and bad connections, and when the last one was."""

    good: int = 0
    bad: int = 0
    seen: float = 0.0


class Karma(FirstComeFirstServed):
    """Haraka's plugin karma (haraka-plugin-karma, README and config/karma.ini as shipped).

    Good and bad connections are counted for each address and each ASN, without weights, and forgotten together 60 days
    after the last (an ASN's after 120). A connection is worth, when it comes: history below -1 and -3, -1 each; more
    than five good and none bad +2, the reverse -2; an ASN beyond +-5 +-1, and as before +-2; a listing by Spamhaus -5;
    no name -6, an unconfirmed one -4, that of an access line -1; below -8 it is denied.

    Choices: an address with more good connections than bad, worth 0 or more, is a friend; the rank is that worth, then
    the history. Whether a session was good is told by its outcome alone: with the awards above added to it, as Haraka
    does, one that was bad would hardly ever be good again. Country, HELO and the like are not simulated.
    """

    name = "Haraka karma"
    has_friends = True
    denied_below = -8.0

    def __init__(self) -> None:
        super().__init__()
        self._addresses: dict[bytes, _Past] = {}
        self._asns: dict[int, _Past] = {}

    def standing(self, sender: Sender, now: float) -> Judgement:
        """By the awards at connecting."""
        past = self._addresses.get(sender.packed, _Past())
        if now - past.seen > 60 * DAY:
            past = _Past()
        around = self._asns.get(sender.asn, _Past())
        history = past.good - past.bad
        worth = _all_or_nothing(past) - (history < -1) - (history < -3)
        worth += _all_or_nothing(around) + _beyond(around.good - around.bad)
        worth += _WITHOUT_NAME[sender.name.state] + _ACCESS_NAME * sender.name.is_access
        worth += _ZEN * self.lists(sender, now)
        if worth < self.denied_below:
            return Judgement("away", worth)
        rank = worth + tanh(history / 10.0)
        return Judgement("reserved" if history > 0 and worth >= 0.0 else "open", rank)

    def learn(self, session: Session, line: OutcomeLine, now: float) -> None:
        """One more good or bad connection of the address and of its ASN."""
        opinion = opinion_of(line)
        sender = session.visit.sender
        self._addresses[sender.packed] = _counted(self._addresses.get(sender.packed, _Past()), opinion, now)
        self._asns[sender.asn] = _counted(self._asns.get(sender.asn, _Past()), opinion, now)

    def copy(self) -> "Karma":
        """As `System.copy`."""
        other = type(self)()
        other._addresses, other._asns = dict(self._addresses), dict(self._asns)
        return other


def _counted(past: _Past, opinion: int, now: float) -> _Past:
    return _Past(past.good + (opinion > 0), past.bad + (opinion < 0), now)


def _all_or_nothing(past: _Past) -> float:
    if past.good > _MANY and not past.bad:
        return 2.0
    return -2.0 if past.bad > _MANY and not past.good else 0.0


def _beyond(difference: int) -> float:
    return float((difference > _MANY) - (difference < -_MANY))


class _Average(NamedTuple):
    """A running average of message scores."""

    messages: int
    score: float
    seen: float


class RspamdReputation(FirstComeFirstServed):
    """rspamd's module reputation, the rule `ip` with its defaults (rspamd.com/doc/modules/reputation.html).

    For each address and each ASN an average of message scores, in which a new one weighs 1 - exp(-t / 30 days) after a
    time t without any; ten messages at least; forgotten ten days after the last. The reputation of both is tanh(1.83 *
    average / reject - 0.549), from -0.5 (all clean) to 1; it counts once for the address and 0.4 times for the ASN.

    Choices: a good message scores 0, a bad one 20, where 15 is rejected; only sessions with a message have a score; an
    address whose own reputation and sum are below 0 is a friend; the rank is the sum, the DNS list weighing 1.
    """

    name = "rspamd reputation"
    has_friends = True
    reject, least, window, expiry = 15.0, 10, 30 * DAY, 10 * DAY
    of_good, of_bad = 0.0, 20.0

    def __init__(self) -> None:
        super().__init__()
        self._averages: dict[bytes | int, _Average] = {}

    def standing(self, sender: Sender, now: float) -> Judgement:
        """By the reputation of the address and of its ASN."""
        own = self._reputation(sender.packed, now)
        total = own + 0.4 * self._reputation(sender.asn, now) + self.lists(sender, now)
        return Judgement("reserved" if own < 0.0 and total < 0.0 else "open", -total)

    def learn(self, session: Session, line: OutcomeLine, now: float) -> None:
        """One more message, if there was one."""
        if not (line.messages or line.content_refused):
            return
        score = self.of_bad if line.content_refused else self.of_good
        for key in (session.visit.sender.packed, session.visit.sender.asn):
            self._averages[key] = self._after(self._averages.get(key), score, now)

    def copy(self) -> "RspamdReputation":
        """As `System.copy`."""
        other = type(self)()
        other._averages = dict(self._averages)
        return other

    def _after(self, before: _Average | None, score: float, now: float) -> _Average:
        if before is None or now - before.seen > self.expiry:
            return _Average(1, score, now)
        share = 1.0 - exp(-max(0.0, now - before.seen) / self.window)
        return _Average(before.messages + 1, share * score + (1.0 - share) * before.score, now)

    def _reputation(self, key: bytes | int, now: float) -> float:
        average = self._averages.get(key)
        if average is None or average.messages < self.least or now - average.seen > self.expiry:
            return 0.0
        return tanh(average.score / self.reject * 1.83178 - 0.5493)
