"""Sessions of the past, as old logs tell of them: what each teaches, at most once, whoever reads the log.

A session has a key that is written in the same transaction as what it taught, so a log can be read again, grown,
renamed, packed, or broken off by a crash: nothing counts twice. Sessions that were learned as they happened are left
out, too: history knows those minutes. The program that reads the logs sends sessions in batches, lines of JSON, and
whoever learns them reads the same lines: the running proxy at its admin socket, or the command itself.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from frontproxy.core import address
from frontproxy.core.address import AddressError
from frontproxy.core.census import Census
from frontproxy.core.history import ClientRecord, Keys, KnownName
from frontproxy.core.names import host_name
from frontproxy.core.outcome import weigh
from frontproxy.core.rations import Rations
from frontproxy.core.recollection import own_points
from frontproxy.knowledge import teach
from frontproxy.lookup.desk import Desk
from frontproxy.memory.copies import write_copy
from frontproxy.memory.journal import NOTHING_KEPT, Journal
from frontproxy.memory.sqlite import HistoryFile
from frontproxy.memory.told import minutes_around
from frontproxy.setup import Setup
from frontproxy.wire import outcome_line
from frontproxy.wire.outcome_line import OutcomeLine, OutcomeLineError

BATCH_LIMIT: Final = 4000
"""Bytes of one batch, so that it fits into a request to the admin socket, with the verb before it."""

_OLD: Final = 10.0  # half-lives of good evidence, after which a thousandth is left
_FUTURE: Final = 3600.0  # seconds that a log may be ahead of us
_DAY: Final = 86400.0
_MINUTES_KEPT: Final = 1000
_SECONDS_KEPT: Final = 256
_KEY_LIMIT: Final = 2**63
_NEVER: Final = frozenset({"own", "relay", "probe"})
"""Kinds of list whose clients are never learned."""

Fate = Literal["learned", "told", "live", "old", "early", "future", "excused", "nothing"]
"""What became of a session: it was learned; it had been told by a log before; it was learned as it happened; it is too
old to teach; it is from before the time of which history still knows what was told; it is from the future; the client
is on a list that is never learned; there is nothing to learn from it."""

Standing = Literal["friend", "stranger", "bad name"]
"""By the client's own record alone: it speaks for the client as much as a friend needs, or against it as much. (To be a
foe takes more than history alone can say.)"""


class BatchError(ValueError):
    """The text is no batch; it says why."""


class PastSession(NamedTuple):
    """One session that a log has told."""

    line: OutcomeLine
    key: int
    """See `memory.told.told_key`."""
    name: KnownName | None
    """What the mail server knew the client by, when it holds no longer than the session; None for no confirmed name."""


class Learned(NamedTuple):
    """What became of a batch."""

    fates: list[Fate]
    """Session by session."""
    standings: dict[str, Standing]
    """What each client in it is now, by its own record alone; by address."""


@dataclass(slots=True)
class PastSides:
    """What learning the past needs. It keeps no journal: that is for what happens now."""

    setup: Setup
    memory: HistoryFile
    desk: Desk
    census: Census
    journal: Journal = NOTHING_KEPT
    rations: Rations = field(default_factory=Rations)
    is_live: Callable[[int], bool] = field(init=False)
    """Whether sessions that ended in a second were learned live; the history is asked once for each minute."""

    def __post_init__(self) -> None:
        is_told = lru_cache(_MINUTES_KEPT)(self.memory.is_told)
        self.is_live = lru_cache(_SECONDS_KEPT)(lambda second: any(map(is_told, minutes_around(second))))


def learn_past(
    sides: PastSides, line: OutcomeLine, key: int, name: KnownName | None, *, now: float, told: set[int] | None = None
) -> Fate:
    """Learn an old session unless there is a reason not to; `now` is in seconds since 1970. Raises AddressError.

    `told` are those keys that were learned before, of this session and others at hand; None if nobody has looked.
    """
    memory = sides.memory
    if (fate := _out_of_time(sides, line.ended, now)) is not None:
        return fate
    packed = address.pack(line.client)
    kinds = {listed.settings.kind for listed in sides.setup.lists_of(packed)}
    if kinds & _NEVER:
        return "excused"
    weight = weigh(line, forwarder="forwarder" in kinds)
    if not (weight.good or weight.bad or weight.taken_back):
        return "nothing"
    told = memory.told_among((key,)) if told is None else told
    if key in told:
        return "told"
    told.add(key)
    wall, known = min(line.ended, now), memory.recall(_keys(sides, packed)).client
    is_late = known is not None and wall < known.own.t
    left = sides.rations.take(address.client_of(packed), wall, weight.good)
    if is_late:  # else its record knows what it may earn, and what is beyond displaces
        weight = replace(weight, good=left)
    teach(sides, packed, wall, weight, heard=_unless_outdated(known, name), is_rationed=is_late)
    memory.note_told(key)
    return "learned"


def _out_of_time(sides: PastSides, ended: float, now: float) -> Fate | None:
    """What becomes of a session for when it ended; None if that is no reason to leave it out."""
    if ended > now + _FUTURE:
        return "future"
    if ended < now - _OLD * sides.setup.forgetting.good_half_life:
        return "old"
    if ended < sides.memory.told_since:
        return "early"
    return "live" if sides.is_live(int(ended)) else None


def learn_batch(sides: PastSides, batch: Sequence[PastSession], *, now: float) -> Learned:
    """Learn sessions in their order."""
    told = sides.memory.told_among([key for _line, key, _name in batch])
    fates = [learn_past(sides, line, key, name, now=now, told=told) for line, key, name in batch]
    return Learned(fates, {line.client: _standing(sides, line.client, now) for line, _key, _name in batch})


def _unless_outdated(known: ClientRecord | None, name: KnownName | None) -> KnownName | None:
    """The name, unless the one remembered is newer: an old log must not take that from a client."""
    return None if name and known and known.name and known.name.until > name.until else name


def _keys(sides: PastSides, packed: bytes) -> Keys:
    """All that `teach` will ask for, so that the disk is asked once."""
    asn = sides.setup.geo.find(address.unpack(packed)).asn
    return Keys(address.client_of(packed), address.network_of(packed), asn)


def _standing(sides: PastSides, client_address: str, now: float) -> Standing:
    client = sides.memory.record_of(address.client_of(address.pack(client_address)))
    points = own_points(client, now=now, forgetting=sides.setup.forgetting) if client else 0.0
    settled = sides.setup.config.listen.settled
    if points >= settled:
        return "friend"
    return "bad name" if points <= -settled else "stranger"


def keep_way_back(history_file: Path, now: float) -> Path:
    """Where a verified copy of the history is, as it was before it learned from logs; made now, if need be.

    One of the same day stays, so that learning can be broken off and go on without losing the way back. Blocks. Raises
    sqlite3.Error, OSError or soundness.Damaged.
    """
    copy = history_file.with_name(history_file.name + ".before-learn")
    if not (copy.exists() and now - _DAY < copy.stat().st_mtime <= now):
        write_copy(history_file, copy)
    return copy


def encode(session: PastSession) -> bytes:
    """A session as it stands in a batch: one JSON array, without blanks. Its name is a host name (`core.names`)."""
    name = session.name
    words = f'"{name.name}","{name.domain}"' if name else '"",""'
    return b"[%d,%s,%s]" % (session.key, words.encode(), outcome_line.encode(session.line).rstrip())


def batch_of(sessions: Sequence[bytes]) -> bytes:
    """A batch of sessions that were encoded; two bytes more than them, and one for each."""
    return b"[" + b",".join(sessions) + b"]"


def decode_batch(text: str | bytes, *, trusted: bool = False) -> list[PastSession]:
    """The sessions of a batch; `trusted`, and not checked, if our own program wrote it. Raises BatchError only."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        raise BatchError("not JSON") from None
    if not isinstance(values, list):
        raise BatchError("not a JSON array")
    return [_trusted_session(*value) if trusted else _session(value) for value in values]


def _trusted_session(key: int, name: str, domain: str, fields: dict[str, Any]) -> PastSession:
    del fields["v"]
    line = OutcomeLine(**fields)
    return PastSession(line, key, KnownName(name, domain, line.ended) if name else None)


def _session(value: object) -> PastSession:
    match value:
        case [int(key), str(name), str(domain), dict(fields)] if 0 <= key < _KEY_LIMIT:
            try:
                line = outcome_line.decode(json.dumps(fields).encode())
                address.pack(line.client)
            except (OutcomeLineError, AddressError) as error:
                raise BatchError(str(error)) from None
            return PastSession(line, key, _name(name, domain, line.ended))
    raise BatchError("a session is [KEY, NAME, DOMAIN, {an outcome line}]")


def _name(name: str, domain: str, until: float) -> KnownName | None:
    if not name:
        return None
    if host_name(name) != name or (domain and not f".{name}".endswith(f".{domain}")):
        raise BatchError(f"{name[:80]!a} is not the name of a host in the domain {domain[:80]!a}")
    return KnownName(name, domain, until)
