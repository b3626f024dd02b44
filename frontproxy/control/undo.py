"""The verb that takes back what was learned in a window of time, because a recipient table was lost then, say.

Each lesson is taken back from the records it had taught, the latest first, a few milliseconds at a time while mail goes
on; what was learned before and after stays. Lessons leave the journal as they are taken back, so nothing is taken back
twice.
"""

import sqlite3
import time
from datetime import UTC, datetime
from math import ceil

import trio

from frontproxy.control.words import Answer, Controls, Refused, take_options
from frontproxy.core import durations
from frontproxy.core.history import Lesson, unlearn
from frontproxy.proxy import Proxy

AT_ONCE = 250
"""Lessons taken from the journal, and taken back, in one step."""
_SLICE = 0.003  # seconds of work before others have their turn
_USAGE = "usage: undo --since 2h|2026-11-20T14:00[Z]"


async def undo(controls: Controls, arguments: list[str]) -> Answer:
    """Answers how many sessions of how many clients were taken back."""
    proxy = controls.proxy
    now = proxy.clock.now()
    options = take_options(arguments, {"--since"}, _USAGE)
    if arguments or not options.get("--since"):
        raise Refused("usage", _USAGE)
    since = time_of(options["--since"], now)
    reach = proxy.journal.lessons_since
    if since < reach:
        raise Refused("failed", f"the journal knows what was learned since {_shown(ceil(reach))}, and nothing before")
    try:
        lessons, clients = await _take_back(proxy, since, now)
    except (sqlite3.Error, RuntimeError) as error:
        raise Refused("failed", f"the journal cannot be read ({error}); what was taken back stays so") from None
    proxy.log("undo", since=_shown(since), sessions=lessons, clients=clients)
    return {"since": round(since, 3), "sessions": lessons, "clients": clients}


def time_of(text: str, now: float) -> float:
    """A time since 1970 from `2h` (ago) or a date and time, local unless it has a zone. Raises Refused."""
    try:
        return now - durations.parse_duration(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text).timestamp()  # one without a zone is local time
    except (ValueError, OverflowError, OSError):
        raise Refused("usage", f"{text[:40]!a} is no time; write 2h, 2026-11-20T14:00 or 2026-11-20T14:00Z") from None
    if moment > now:
        raise Refused("usage", f"{text[:40]!a} is in the future")
    return moment


async def _take_back(proxy: Proxy, since: float, until: float) -> tuple[int, int]:
    """The number of lessons, and of clients."""
    clients: set[bytes] = set()
    number = 0
    await proxy.journal.flush()
    while True:
        with trio.CancelScope(shield=True):  # what has left the journal must be taken back
            lessons = await proxy.journal.take_lessons(since, until, AT_ONCE)
            await _unlearn(proxy, lessons)
            await proxy.memory.flush()  # bit by bit: a large one at the end would hold others up
        if not lessons:
            return number, len(clients)
        number += len(lessons)
        clients |= {lesson.keys.client for lesson in lessons}
        await trio.lowlevel.checkpoint()


async def _unlearn(proxy: Proxy, lessons: list[Lesson]) -> None:
    began = time.monotonic()
    for lesson in lessons:
        recalled = proxy.memory.recall(lesson.keys)
        now = proxy.clock.now()
        proxy.memory.remember(unlearn(recalled, lesson, now=now, forgetting=proxy.setup.forgetting))
        if time.monotonic() - began > _SLICE:
            await trio.lowlevel.checkpoint()
            began = time.monotonic()


def _shown(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
