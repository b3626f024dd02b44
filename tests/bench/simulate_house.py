"""The house in virtual time: arrivals, pauses, places, lines, outcomes and returns, the same for every system.

Pools, lines and stress are those of `frontproxy.core`; who goes where is the system's to say. Reserved places are for
friends, who may spill down to the other pool; systems that know no friends have all places in one. Who waits in line
longer than the pool's patience is sent away, and so are, under stress, the worst of those beyond as many as there are
places. What a place costs depends on the personality: under stress it is shorter, but never in the reserved pool.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from math import inf
from typing import NamedTuple

from frontproxy.core.capacity import Places, WaitingLine
from frontproxy.core.config_values import Pool as PoolSettings
from frontproxy.core.stress import StressGauge
from frontproxy.wire.outcome_line import OutcomeLine
from tests.bench.simulate_outcomes import Manners, line_of, seconds_of
from tests.bench.simulate_people import Group, Visit
from tests.bench.simulate_system import Session, System

FIRST_RETURN = 300.0
"""Seconds until a server that was sent away comes back; each time it waits twice as long."""
_PULSE = 0.025
"""Seconds between two looks at the lines, at least."""


@dataclass(slots=True)
class Room:
    """One pool."""

    settings: PoolSettings
    manners: Manners
    stressed_manners: Manners
    places: Places = field(init=False)
    line: WaitingLine[Session] = field(default_factory=WaitingLine)
    stress: StressGauge = field(default_factory=StressGauge)

    def __post_init__(self) -> None:
        self.places = Places(self.settings.sessions, self.settings.per_client)

    def has_place_for(self, session: Session) -> bool:
        """There is one, and this client has not had its share."""
        return self.places.free_for(session.visit.sender.packed)


class Tally(NamedTuple):
    """What became of the sessions of one kind."""

    came: int
    first: int
    """Accepted at the first try."""
    later: int
    as_friend: int
    """Accepted as a friend's, at any try."""


Kind = tuple[Group, bool]
"""A group, and whether the session was a good one."""


class House:
    """One system, with its pools, through one stretch of time."""

    def __init__(self, system: System, rooms: list[Room], guessing: float, *, count_from: float = 0.0) -> None:
        """`rooms`: the best first; who finds no place in one goes to the next. Visits before `count_from` count not."""
        self.system = system
        self._rooms = rooms
        self._guessing = guessing
        self._count_from = count_from
        self._heap: list[tuple[float, int, str, Session, object]] = []
        self._numbers = count()
        self._looked = -inf
        self._came: Counter[Kind] = Counter()
        self._first: Counter[Kind] = Counter()
        self._later: Counter[Kind] = Counter()
        self._as_friend: Counter[Kind] = Counter()

    def run(self, visits: Sequence[Visit], *, until: float = inf) -> Iterator[int]:
        """All visits, in order of time, and what follows from them; yields now and then how many more there were.

        What follows later than `until` does not happen: the system must not have seen what comes after the next visits.
        """
        for number, visit in enumerate(visits):
            self._run_until(visit.at)
            if visit.at >= self._count_from:
                self._came[visit.group, visit.is_ham] += 1
            self._arrive(Session(visit, visit.at), visit.at)
            if number % 1000 == 999:
                yield 1000
        self._run_until(until)
        yield len(visits) % 1000

    def tallies(self) -> dict[Kind, Tally]:
        """Of each kind, what became of it."""
        return {
            kind: Tally(came, self._first[kind], self._later[kind], self._as_friend[kind])
            for kind, came in self._came.items()
        }

    def _run_until(self, until: float) -> None:
        while self._heap and self._heap[0][0] <= until:
            now, _number, what, session, more = heappop(self._heap)
            self._look(now)
            if what == "end":
                assert isinstance(more, Room)
                self._end(session, more, now)
            elif what == "outcome":
                assert isinstance(more, OutcomeLine)
                self.system.learn(session, more, now)
            elif what == "pause":
                self._judge(session, now)
            else:
                self._arrive(session, now)

    def _arrive(self, session: Session, now: float) -> None:
        self._look(now)
        self._judge(session, now)

    def _judge(self, session: Session, now: float) -> None:
        stress = any(room.stress.on for room in self._rooms)
        judgement = session.judgement = self.system.judge(session, now, stress=stress)
        if judgement.where == "away":
            self._send_away(session, now)
        elif judgement.pause:
            session.seen_early = session.visit.early
            self._plan(now + judgement.pause, "pause", session)
        else:
            self._admit(session, now)

    def _admit(self, session: Session, now: float) -> None:
        is_friend = session.judgement.where == "reserved"
        rooms = [room for room in self._rooms if is_friend or not room.settings.reserved]
        for room in rooms:
            if room.has_place_for(session) and not self._is_outranked(session, room):
                self._serve(session, room, now)
                return
        room = rooms[0]
        deadline = now + room.settings.patience
        leaving = room.line.join(session, score=session.judgement.rank, deadline=deadline, limit=room.settings.queue)
        if leaving is not None:
            self._send_away(leaving, now)

    def _is_outranked(self, session: Session, room: Room) -> bool:
        """One as good waits for a place there already."""
        return any(first.judgement.rank >= session.judgement.rank for first, _line in self._firsts(room))

    def _firsts(self, room: Room) -> list[tuple[Session, Room]]:
        """From each line that leads to a room, the first who could come in."""
        above = self._rooms[: self._rooms.index(room) + 1]
        found = [(other.line.first(room.has_place_for), other) for other in above if len(other.line)]
        return [(ticket.item, other) for ticket, other in found if ticket is not None]

    def _serve(self, session: Session, room: Room, now: float) -> None:
        visit = session.visit
        if visit.at >= self._count_from:
            (self._first if session.tries == 1 else self._later)[visit.group, visit.is_ham] += 1
            self._as_friend[visit.group, visit.is_ham] += session.judgement.where == "reserved"
        room.places.take(visit.sender.packed)
        self.system.left(session, now, served=True)
        stress = room.stress.on and not room.settings.reserved
        ended = now + seconds_of(visit, room.stressed_manners if stress else room.manners, self._guessing)
        self._plan(ended, "end", session, room)
        if visit.is_told:
            line = line_of(visit, ended, stress=stress, early=session.seen_early)
            self._plan(ended + visit.lag, "outcome", session, line)

    def _end(self, session: Session, room: Room, now: float) -> None:
        room.places.release(session.visit.sender.packed)
        self._call_next(room, now)

    def _call_next(self, room: Room, now: float) -> None:
        """Give free places to the best of all lines that lead there."""
        while room.places.taken < room.places.sessions and (firsts := self._firsts(room)):
            session, source = max(firsts, key=lambda first: (first[0].judgement.rank, -first[0].came))
            ticket = source.line.first(room.has_place_for)
            assert ticket is not None
            source.line.leave(ticket)
            self._serve(session, room, now)

    def _look(self, now: float) -> None:
        """What no client waits for: impatience, stress, and who is too much under it."""
        if now - self._looked < _PULSE:
            return
        self._looked = now
        for room in self._rooms:
            if len(room.line):
                for session in room.line.expired(now):
                    self._send_away(session, now)
            while room.stress.on and len(room.line) > room.places.sessions:
                worst = room.line.last()
                if worst is None or worst.judgement.where == "reserved":
                    break
                room.line.dismiss_last()
                self._send_away(worst, now)
            room.stress.observe(share=room.places.share, slow=False, now=now)

    def _send_away(self, session: Session, now: float) -> None:
        self.system.left(session, now, served=False)
        if session.tries <= session.visit.returns:
            delay = FIRST_RETURN * 2 ** (session.tries - 1)
            self._plan(now + delay, "return", Session(session.visit, now + delay, session.tries + 1))

    def _plan(self, at: float, what: str, session: Session, more: object = None) -> None:
        heappush(self._heap, (at, next(self._numbers), what, session, more))
