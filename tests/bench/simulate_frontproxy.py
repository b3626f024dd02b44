"""frontproxy in the simulation: its own code judges and learns (`frontproxy.knowledge`, `frontproxy.core`).

Simulated are only its memory, which is a dictionary, and the desk: what the DNS says is there at the end of a pause if
it was asked, that is within the budget of look-ups, and under stress only if the configuration says so, as in
`frontproxy.proxy`.
"""

from dataclasses import replace
from typing import Any, cast

from frontproxy import knowledge
from frontproxy.core import scoring
from frontproxy.core.brake import BAD, Brake
from frontproxy.core.census import Census, Crowd
from frontproxy.core.config_values import Config
from frontproxy.core.history import Lesson
from frontproxy.core.level import Forgetting
from frontproxy.core.outcome import EARLY_TALK, Weight, weigh
from frontproxy.core.verdict import Verdict
from frontproxy.observe.geo_record import NOWHERE, Place
from frontproxy.wire.outcome_line import OutcomeLine
from tests.bench.simulate_outcomes import EPOCH
from tests.bench.simulate_people import Land, Sender
from tests.bench.simulate_sides import Lists, Memory, SimulatedDesk, watches_on
from tests.bench.simulate_system import Judgement, Session, Where


class Frontproxy:
    """The sides that `knowledge.gather` and `knowledge.teach` look at, and the steps of `session` and `outcomes`."""

    name = "frontproxy"
    has_friends = True

    def __init__(self, config: Config, land: Land) -> None:
        self.config = config
        self._land = land
        self.memory = Memory()
        self.journal = self
        self.census_of_all = Census()
        self.desk = SimulatedDesk(config.dns.lookups_per_second, watches_on(config))
        self._brake = Brake()
        settings = config.history
        self.forgetting = Forgetting(
            settings.good_half_life, settings.bad_half_life, settings.evidence_cap, settings.network_limit
        )
        self._now = 0.0
        self.verdicts: dict[Session, Verdict] = {}

    @property
    def lists(self) -> Lists:
        """What the DNS list says."""
        return self.desk.lists

    @lists.setter
    def lists(self, lists: Lists) -> None:
        self.desk.lists = lists

    @property
    def setup(self) -> "Frontproxy":
        """It is its own Setup, census and geography: what `Sides` names is what this file simulates."""
        return self

    geo = census = setup

    def lists_of(self, _packed: bytes) -> tuple[()]:
        """The operator has no lists of his own."""
        return ()

    def find(self, text: str) -> Place:
        """Where an address belongs."""
        network = bytes(map(int, text.split(".")[:3]))
        asn = self._land.asn_of.get(network)
        return Place(asn=asn) if asn else NOWHERE

    def of(self, client: bytes, _now: float) -> Crowd:
        """What the census knows of a client, at the time of the simulation."""
        return self.census_of_all.of(client, self._now)

    def learned(self, lesson: Lesson) -> None:
        """No journal is kept."""

    def verdict(self, sender: Sender, now: float, *, stress: bool = False, early: bool = False) -> Verdict:
        """What is thought of a sender."""
        self._at(now)
        evidence = knowledge.gather(cast(Any, self), sender.packed, sender.text, EPOCH + now, now=now, early=early)
        weather = scoring.Weather(("hostile",) if stress else (), lambda _pool: 0)
        return scoring.judge(evidence, self.config, pin=None, weather=weather)

    def standing(self, sender: Sender, now: float) -> Judgement:
        """What would be said of a sender that comes now."""
        verdict = self.verdict(sender, now)
        where: Where = "away" if verdict.route.reply else "reserved" if verdict.is_welcome else "open"
        return Judgement(where, verdict.score)

    def judge(self, session: Session, now: float, *, stress: bool) -> Judgement:
        """As `session.arrive` and, after the pause, `session.observe_stranger`."""
        sender = session.visit.sender
        is_new = session not in self.verdicts
        if is_new:
            self.census_of_all.arrived(sender.packed, now)
        verdict = self.verdict(sender, now, stress=stress, early=session.seen_early)
        self.verdicts[session] = verdict
        pause = 0.0
        if is_new and verdict.settled:
            self._look_after(sender, verdict)
        elif is_new:
            self._ask(sender, stress=stress)
            pause = scoring.pause(verdict.score, self.config, stress=stress)
        if verdict.route.reply and not pause:
            return Judgement("away", verdict.score)
        return Judgement("reserved" if verdict.is_welcome else "open", verdict.score, pause)

    def left(self, session: Session, now: float, *, served: bool) -> None:
        """As `Proxy.session_given` and `Proxy.session_refused`."""
        client = session.visit.sender.packed
        if served:
            self.census_of_all.welcomed(client)
            if not session.visit.is_told:
                del self.verdicts[session]
            self.census_of_all.left(client)  # sooner than in truth: nobody here has more than ten open
            return
        del self.verdicts[session]
        self.census_of_all.refused(client, session.came, now, for_now=True)
        if session.seen_early:
            self._teach(session.visit.sender, Weight(0.0, EARLY_TALK, ""), now)

    def learn(self, session: Session, line: OutcomeLine, now: float) -> None:
        """As `Outcomes`: what a session counts, less what its server refused in it while the brake is on."""
        weight = weigh(line)
        others = weigh(replace(line, refused=0))
        refusals = round(weight.bad - others.bad, 6)
        if self.verdicts.pop(session).standing == "friend":
            self._brake.note(session.visit.sender.packed, bad=refusals >= BAD, now=now)
        else:
            self._brake.let_go(now)
        if self._brake.on:
            weight = replace(weight, bad=others.bad)
        self._teach(session.visit.sender, weight, now)

    def copy(self) -> "Frontproxy":
        """One that knows the same, but for who was just here."""
        other = Frontproxy(self.config, self._land)
        other.memory = self.memory.copy()
        other.desk = self.desk.copy()
        return other

    def _at(self, now: float) -> None:
        self._now = now
        self.desk.tick(now)

    def _teach(self, sender: Sender, weight: Weight, now: float) -> None:
        self._at(now)
        knowledge.teach(cast(Any, self), sender.packed, EPOCH + now, weight)

    def _look_after(self, sender: Sender, verdict: Verdict) -> None:
        """As `Proxy` looks after whom it does not keep waiting."""
        if verdict.standing != "friend":
            return
        if verdict.is_vouched_for:
            self.desk.friend_came(sender)
        else:
            self.desk.ask(sender)

    def _ask(self, sender: Sender, *, stress: bool) -> None:
        if not stress or self.config.dns.under_stress:
            self.desk.ask(sender)
