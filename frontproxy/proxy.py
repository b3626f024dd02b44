"""The live state of the proxy: the Setup in force, census, pools, memory, waiting room; and what befalls a session.

Everything here is synchronous: a verdict, a place and a handover cost no task and no wait.
"""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from socket import socket

import trio

from frontproxy.clock import AnchoredClock
from frontproxy.core import address, outcome, scoring
from frontproxy.core.census import Census
from frontproxy.core.rations import Rations
from frontproxy.core.session import Session
from frontproxy.core.verdict import Verdict
from frontproxy.handover.backends import Given
from frontproxy.handover.farewell import Farewell
from frontproxy.handover.held import HeldSockets
from frontproxy.handover.pools import Pools
from frontproxy.knowledge import gather, teach
from frontproxy.log import Log
from frontproxy.lookup.desk import Desk
from frontproxy.lookup.flights import Inquiry
from frontproxy.memory.journal import NOTHING_KEPT, Journal
from frontproxy.memory.journal_rows import reasons_of
from frontproxy.memory.pins import Pins
from frontproxy.memory.sqlite import HistoryFile
from frontproxy.setup import Setup
from frontproxy.waiting_room import WaitingRoom

_EARLY_TALK = outcome.Weight(0.0, outcome.EARLY_TALK, "talked before the greeting")


@dataclass(slots=True)
class _OffTheRecord:
    """For lessons that nobody will want to take back.

    Refusing costs us next to nothing, so strangers can talk early by the thousand a second; if the journal kept what
    that teaches, `learn undo` would not reach back an hour. No trouble of a mail server can make clients talk early.
    """

    setup: Setup
    memory: HistoryFile
    desk: Desk
    census: Census
    journal: Journal = NOTHING_KEPT


class Proxy:
    """One running proxy. `clock` is wall time for what is remembered; everything short-lived is monotonic."""

    def __init__(
        self,
        setup: Setup,
        memory: HistoryFile,
        pins: Pins,
        log: Log,
        clock: AnchoredClock,
        held: HeldSockets,
        journal: Journal = NOTHING_KEPT,
    ) -> None:
        self.setup = setup
        self.memory = memory
        self.journal = journal
        self.pins = pins
        self.log = log
        self.clock = clock
        self.census = Census()
        self.desk = Desk(log)
        self.farewell = Farewell()
        self.pools = Pools(self, held)
        self.room = WaitingRoom(setup.config.listen.waiting_room)
        self.counters: Counter[str] = Counter()
        self.rations = Rations()
        self.stirred = trio.Event()
        """Set when somebody comes."""
        self.started = clock.now()
        prefix = f"{int(self.started):x}"
        self.ids = (f"{prefix}-{number:x}" for number in count(1))
        """Of the sessions to come."""

    @property
    def is_idle(self) -> bool:
        """Nobody is here, and nothing can happen before somebody comes."""
        return self.pools.are_idle and not len(self.farewell) and not len(self.room)

    def open_session(
        self,
        sock: socket,
        peer: tuple[str, int],
        server: tuple[str, int] | None = None,
        *,
        health_check: bool = False,
    ) -> Session:
        """A session for a connection just accepted, counted and judged.

        The client has come to `server`, which is the address of the socket where nobody tells another. `health_check`:
        a proxy in front of us only looks whether we serve. Raises OSError or AddressError if nobody is there.
        """
        server_address, server_port = server or sock.getsockname()[:2]
        now = time.monotonic()
        packed = address.pack(peer[0])
        client = address.client_of(packed)
        text = address.unpack(packed)
        self.census.arrived(client, now)
        self.counters["accepted"] += 1
        self.stirred.set()
        return Session(
            id=next(self.ids),
            socket=sock,
            packed=packed,
            client=client,
            address=text,
            port=peer[1],
            server=(address.plain(server_address), server_port),
            accepted=now,
            verdict=scoring.health_check(text, self.setup.config) if health_check else self.judge_guarded(packed, text),
            is_direct=server is None,
        )

    def judge(self, packed: bytes, text: str, *, early: bool = False) -> Verdict:
        """The verdict on a client, from what is at hand. It changes nothing and waits for nothing."""
        wall = self.clock.now()
        pin = self.pins.find(packed, wall)
        if pin is not None and pin.pool not in self.pools:
            pin = None
        weather = scoring.Weather(self.pools.stressed, self.pools.open_in)
        evidence = gather(self, packed, text, wall, now=time.monotonic(), early=early)
        return scoring.judge(evidence, self.setup.config, pin=pin, weather=weather)

    def judge_guarded(self, packed: bytes, text: str, *, early: bool = False) -> Verdict:
        """The verdict; a stranger's if judging itself fails, which is a bug and goes into the log."""
        try:
            return self.judge(packed, text, early=early)
        except Exception as error:  # noqa: BLE001  a bug in judging must not cost a client its mail
            self.log.bug("judge", error, client=text)
            return scoring.stranger(text, self.setup.config)

    def ask_about(self, packed: bytes, heard: Callable[[], None] | None = None) -> Inquiry | None:
        """Ask the DNS what it has not told yet about a stranger.

        `heard` is called when it has told all of it, and before when it has told enough to judge the stranger anew.

        Under stress nothing may be asked, if the operator says so: then what is known must do.
        """
        if self.pools.stressed and not self.setup.config.dns.under_stress:
            return None
        return self.desk.ask(packed, time.monotonic(), heard=heard)

    def look_after(self, session: Session) -> None:
        """A client that nobody asks about now: what is heard of it counts the next time, or for those who say it.

        For a friend by what others taught, the DNS is asked without waiting; for one that we know ourselves, now and
        then, whether lists speak against such.
        """
        if session.verdict.standing == "friend":
            if session.verdict.is_vouched_for:
                self.desk.friend_came(session.packed, time.monotonic())
            else:
                self.ask_about(session.packed)

    def place(self, session: Session) -> None:
        """Do what the verdict says: refuse the session, or look for a place for it."""
        reply = session.verdict.route.reply
        if reply:
            self.session_refused(session, reply, "route")
        else:
            self.pools.admit(session, time.monotonic())

    def session_given(self, given: Given) -> None:
        """A session was handed over; we are out of its way."""
        self.journal.given(given.session, given.pool)
        self.census.welcomed(given.session.client)
        self.counters["handed_over"] += 1
        verdict = given.session.verdict
        self.log(
            "handover",
            session=given.session.id,
            client=given.session.address,
            port=given.session.port,
            score=round(verdict.score, 1),
            pool=given.pool,
            would=(verdict.would.pool or "reply") if verdict.would else None,
            settled=verdict.settled,
            reasons=reasons_of(verdict),
            ms=round((given.given_at - given.session.accepted) * 1000, 1),
        )

    def session_refused(self, session: Session, reply: str, why: str) -> None:
        """A session is given back to its client with a reply."""
        now = time.monotonic()
        self.farewell.reply(session.socket, reply, now)
        self.census.refused(session.client, session.accepted, now, for_now=reply.startswith("4"))
        self.counters[f"refused_{why}"] += 1
        self.journal.refused(session)
        verdict = session.verdict
        if session.early and verdict.learning != "none":  # nobody else has seen it, and will tell
            sides = self if _has_done_good(verdict) else _OffTheRecord(self.setup, self.memory, self.desk, self.census)
            teach(sides, session.packed, self.clock.now(), _EARLY_TALK)
        self.log.often(
            "refused",
            why,
            session=session.id,
            client=session.address,
            port=session.port,
            score=round(verdict.score, 1),
            reply=reply,
            settled=verdict.settled,
            reasons=reasons_of(verdict),
        )

    def session_gone(self, session: Session) -> None:
        """A client hung up before it was given a place."""
        session.socket.close()
        self.census.left(session.client)
        self.counters["gone"] += 1
        seconds = round(time.monotonic() - session.accepted, 1)
        self.log.often("gone", "hung_up", session=session.id, client=session.address, port=session.port, after=seconds)

    def session_relayed(self, given: Given, to_server: int, to_client: int, why: str) -> None:
        """The relay has carried a session to its end; octets each way."""
        session = given.session
        self.log(
            "relayed",
            session=session.id,
            client=session.address,
            port=session.port,
            pool=given.pool,
            backend=given.backend.name,
            to_server=to_server,
            to_client=to_client,
            end=why,
            seconds=round(time.monotonic() - given.given_at, 1),
        )

    def bug(self, error: Exception) -> None:
        """A bug befell one session; the others go on."""
        self.log.bug("session", error)
        self.counters["bugs"] += 1

    def session_ended(self, given: Given) -> None:
        """A session that was given away has ended."""
        self.census.left(given.session.client)
        self.counters["survivors_ended" if given.is_survivor else "ended"] += 1


def _has_done_good(verdict: Verdict) -> bool:
    client = verdict.seen.recalled.client if verdict.seen else None
    return client is not None and client.own.good > 0.0
