"""The verb that takes back what was learned in a window of time, because a recipient table was lost then, say.

Each lesson is taken back from the records it had taught, the latest first, a few milliseconds at a time while mail goes
on; what was learned before and after stays. Nothing is taken back twice: the history notes that a lesson was, in the
same transaction as what became of its records, and only then the lesson leaves the journal. So undo can be broken off
at any moment, by a crash too, and goes on when it is asked again.
"""

import sqlite3
import time
from collections.abc import Mapping
from datetime import UTC, datetime

import trio

from frontproxy.control.words import Answer, Controls, Refused, take_options
from frontproxy.core import durations
from frontproxy.core.history import Lesson, unlearn
from frontproxy.memory.told import told_key
from frontproxy.proxy import Proxy

AT_ONCE = 250
"""Lessons taken from the journal, and taken back, in one step."""
_SLICE = 0.003  # seconds of work before others have their turn
_USAGE = "usage: undo --since 2h|2026-11-20T14:00[Z]"


async def undo(controls: Controls, arguments: list[str]) -> Answer:
    """Answers how many sessions of how many clients were taken back, and since when: the journal may begin later."""
    proxy = controls.proxy
    now = proxy.clock.now()
    options = take_options(arguments, {"--since"}, _USAGE)
    if arguments or not options.get("--since"):
        raise Refused("usage", _USAGE)
    since = max(time_of(options["--since"], now), proxy.journal.lessons_since)
    try:
        lessons, clients = await _take_back(proxy, since, now)
    except (sqlite3.Error, RuntimeError) as error:
        raise Refused("failed", f"not all was taken back: {error}; see to that and undo again") from None
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
    errors = proxy.memory.read_errors
    await proxy.journal.flush()
    while True:
        kept = await proxy.journal.last_lessons(since, until, AT_ONCE)
        if not kept:
            return number, len(clients)
        lessons = await _unlearn(proxy, {_key(one.id, one.lesson): one.lesson for one in kept if one.lesson})
        await proxy.memory.flush()  # bit by bit: a large one at the end would hold others up
        if proxy.memory.read_errors != errors or proxy.memory.is_failing:  # the lessons stay, for another time
            raise RuntimeError("the history cannot be read or written")
        await proxy.journal.drop_lessons([one.id for one in kept])
        number += len(lessons)
        clients |= {lesson.keys.client for lesson in lessons}


async def _unlearn(proxy: Proxy, lessons: Mapping[int, Lesson]) -> list[Lesson]:
    """Take back those that were not yet; another `undo` may be at the same ones. Returns them."""
    began, unlearned = time.monotonic(), []
    for key, lesson in lessons.items():
        if proxy.memory.is_told(key):
            continue
        recalled = proxy.memory.recall(lesson.keys)
        now = proxy.clock.now()
        proxy.memory.remember(unlearn(recalled, lesson, now=now, forgetting=proxy.setup.forgetting))
        proxy.memory.note_told(key)
        unlearned.append(lesson)
        if time.monotonic() - began > _SLICE:
            await trio.lowlevel.checkpoint()
            began = time.monotonic()
    return unlearned


def _key(number: int, lesson: Lesson) -> int:
    """By which history knows a lesson that was taken back; its number may come again, but not at the same time."""
    return told_key(lesson.keys.client, 0, lesson.t, f"undo {number} {lesson.t!r}")


def _shown(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
