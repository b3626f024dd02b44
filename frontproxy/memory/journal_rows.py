"""What the journal keeps, as values and as rows: sessions to be judged anew, and lessons to be taken back.

Columns that people may want to look at stand in plain; only the facts of a session are packed (`journal_facts`).
"""

from typing import NamedTuple

from frontproxy.core.address import network_of
from frontproxy.core.history import Keys, Lesson
from frontproxy.core.seen import Seen
from frontproxy.core.verdict import Verdict
from frontproxy.memory.journal_facts import pack_seen, unpack_seen

SqlValue = int | float | str | bytes | None
Row = tuple[SqlValue, ...]

REASON_LIMIT = 300
"""Characters kept of the reasons of a score."""
_WORD_LIMIT = 100  # characters of a route or a pool
_IPV6_CLIENT = 8  # bytes of its key


class End(NamedTuple):
    """How a session ended, as far as somebody told."""

    kind: str
    """`unknown`, `refused`, or the end of the outcome line: `quit`, `lost` ..."""
    good: float = 0.0
    """Units that it counted."""
    bad: float = 0.0
    messages: int = 0


class KeptLesson(NamedTuple):
    """A lesson as the journal keeps it."""

    id: int
    lesson: Lesson | None
    """None if it has rotted."""


UNTOLD = End("unknown")
"""Nobody has told."""


class Entry(NamedTuple):
    """One session, as it was judged."""

    stands_for: float
    """Sessions that this one stands for, itself included."""
    pool: str
    """That it was given to; empty if it was refused, or others had let it in."""
    route: str
    """Where it was sent, whatever happened then: a pool, or a reply. In observe mode that is the first pool."""
    would: str
    """What the rules had picked in observe mode; empty in enforce mode, where the route is that."""
    score: float
    pinned: bool
    stress: tuple[str, ...]
    reasons: str
    """Names and points, as the log writes them: `history:9.7,asn:-1.0`."""
    seen: Seen
    end: End = UNTOLD


def entry_of(verdict: Verdict, pool: str, stands_for: float) -> Entry | None:
    """What is to be kept of a session that is given away, or refused (no pool); None if it was not judged by facts."""
    if verdict.seen is None:
        return None
    would = verdict.would
    return Entry(
        stands_for,
        pool,
        verdict.route.pool or verdict.route.reply,
        would.pool or would.reply if would else "",
        verdict.score,
        bool(verdict.pinned),
        verdict.stress,
        reasons_of(verdict)[:REASON_LIMIT],
        verdict.seen,
    )


def reasons_of(verdict: Verdict) -> str:
    """The names and points of its reasons, as the log writes them."""
    return ",".join([f"{reason.name}:{reason.points:z.1f}" for reason in verdict.reasons])


def entry_row(entry: Entry) -> Row:
    """In the order of the columns of `session`, but for the first."""
    seen, end = entry.seen, entry.end
    return (
        round(seen.wall, 3),
        entry.stands_for,
        int(seen.is_known),
        seen.packed,
        entry.pool[:_WORD_LIMIT],
        entry.route[:_WORD_LIMIT] if entry.route != entry.pool else None,
        entry.would[:_WORD_LIMIT] or None,
        round(entry.score, 6),
        int(entry.pinned),
        ",".join(entry.stress)[:_WORD_LIMIT],
        entry.reasons,
        end.kind,
        end.good,
        end.bad,
        end.messages,
        pack_seen(seen),
    )


def entry_from(row: Row) -> Entry:
    """The session in a row of all columns. Raises journal_facts.Rotten, TypeError or ValueError if there is none."""
    (
        _id,
        t,
        stands_for,
        _known,
        packed,
        pool,
        route,
        would,
        score,
        pinned,
        stress,
        reasons,
        kind,
        good,
        bad,
        messages,
        facts,
    ) = row
    if not (isinstance(packed, bytes) and isinstance(facts, bytes) and len(packed) in {4, 16}):
        raise TypeError("no address, or no facts")
    return Entry(
        float(stands_for or 1),
        str(pool),
        str(pool if route is None else route),
        str(would or ""),
        float(score or 0.0),
        bool(pinned),
        tuple(str(stress).split(",")) if stress else (),
        str(reasons),
        unpack_seen(packed, float(t or 0.0), facts),
        End(str(kind), float(good or 0.0), float(bad or 0.0), int(messages or 0)),
    )


def lesson_row(lesson: Lesson) -> Row:
    """In the order of the columns of `lesson`, but for the first. The network follows from the client."""
    keys = lesson.keys
    return lesson.t, keys.client, keys.asn, lesson.domain, lesson.good, lesson.bad, lesson.weight, lesson.evidence


def lesson_from(row: Row) -> Lesson:
    """The lesson in a row of all columns but the first. Raises TypeError if it is none."""
    t, client, asn, domain, *numbers = row
    if not (isinstance(client, bytes) and isinstance(t, float | int)):
        raise TypeError("no client, or no time")
    packed = client.ljust(16, b"\0") if len(client) == _IPV6_CLIENT else client
    keys = Keys(client, network_of(packed), int(asn or 0))
    good, bad, weight, evidence = (float(number or 0.0) for number in numbers)
    return Lesson(float(t), keys, str(domain or ""), good, bad, weight, evidence)
