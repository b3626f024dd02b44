"""Sessions and lessons for tests of the journal."""

import socket
from itertools import count
from typing import Literal

from frontproxy.core.address import client_of, network_of, pack, unpack
from frontproxy.core.census import Crowd
from frontproxy.core.hearsay import NOTHING_HEARD
from frontproxy.core.history import ClientRecord, Keys, Lesson, Recalled
from frontproxy.core.level import Level
from frontproxy.core.outcome import Weight
from frontproxy.core.seen import Seen
from frontproxy.core.session import Session
from frontproxy.core.verdict import Reason, Route, Verdict
from frontproxy.memory.journal import Journal
from frontproxy.wire.outcome_line import OutcomeLine

WALL = 1.7e9
GOOD, BAD, NOTHING = Weight(1.0, 0.0, "good"), Weight(0.0, 2.0, "bad"), Weight(0.0, 0.0, "")
_NUMBERS = count(1)
_CLOSED = socket.socket()
_CLOSED.close()


def session(address: str = "192.0.2.1", *, known: bool = False, wall: float = WALL, score: float = 0.0) -> Session:
    """A session that was judged; a known client has ten good sessions behind it."""
    packed = pack(address)
    client = ClientRecord(Level(wall - 60, 10.0, 10.0, 0.0)) if known else None
    recalled = Recalled(Keys(client_of(packed), network_of(packed), 0), None, client)
    seen = Seen(packed, wall, 0.0, recalled, NOTHING_HEARD, frozenset(), Crowd(1, 1.0, returned=False), early=False)
    route = Route(pool="nice" if score >= 5 else "hostile")
    standing: Literal["friend", "stranger"] = "friend" if score >= 5 else "stranger"
    reasons = (Reason("history", score, ""),) if score else ()
    number = next(_NUMBERS)
    return Session(
        id=f"s{number}",
        socket=_CLOSED,
        packed=packed,
        client=client_of(packed),
        address=unpack(packed),
        port=1024,
        server=("198.51.100.25", 25),
        accepted=0.0,
        verdict=Verdict(address, score, reasons, route, standing != "stranger", standing=standing, seen=seen),
    )


def line(messages: int = 1) -> OutcomeLine:
    """How a session ended."""
    return OutcomeLine(client="192.0.2.1", port=1024, ended=WALL, end="quit", messages=messages)


def lesson(number: int = 1, *, t: float = WALL, domain: str = "") -> Lesson:
    """What a good session of the number-th client has taught."""
    packed = number.to_bytes(4, "big")
    return Lesson(t, Keys(packed, packed[:3], 64500), domain, 1.0, 0.0, 0.25, 1.0)


async def taken(journal: Journal, since: float, until: float, count: int = 9) -> list[Lesson]:
    """The last lessons of that time, which leave the journal."""
    kept = await journal.last_lessons(since, until, count)
    await journal.drop_lessons([one.id for one in kept])
    return [one.lesson for one in kept if one.lesson]
