"""What history has been told already: old sessions by a key each, and the minutes in which sessions were learned live.

The same session can come to us more than once: a log is read again, or a log holds what a feed told while it happened.
A key is a positive number of 63 bits: the hour of the session's end above, 40 bits of hash below. A million sessions in
one hour meet by chance in one of two such hours; the session that is taken for told then is one in a million. Keys
below `_MINUTES` within an hour are its minutes. So the table sorts by time, and the oldest hours go first when there
are too many: `since` moves then, and nothing before it is learned from logs any more.
"""

from collections.abc import Collection
from hashlib import blake2b
from typing import NamedTuple

_HOUR = 3600.0
_HASH_BITS = 40
_MINUTES = 60
_LATEST = _HOUR * (1 << 22)  # seconds since 1970; what is beyond, or before 1970, is no time and counts as 0
_NEAR = 2.0  # seconds by which the end of a session may differ between a log and a feed
_UNWRITTEN_LIMIT = 200_000  # keys in memory because the disk takes nothing


LIMIT = 5_000_000
"""Keys that are kept on disk."""


class ToldKeys(NamedTuple):
    """What a write has to do about keys."""

    fresh: Collection[int] = ()
    """To be added."""
    before: int = 0
    """Those less than this are to be deleted, bit by bit."""
    since: float = 0.0
    """From when on they are complete then."""


NONE_TOLD = ToldKeys()


class Told:
    """What is told but not yet on disk, and how far back all that was told is known."""

    def __init__(self, since: float) -> None:
        self.since = since
        """In seconds since 1970: earlier than this it is not known any more what was told."""
        self.dropped = 0
        """Keys lost for want of room while the disk took nothing."""
        self._unwritten: dict[int, None] = {}
        self._writing: Collection[int] = ()

    def __contains__(self, key: int) -> bool:
        return key in self._unwritten or key in self._writing

    def __len__(self) -> int:
        return len(self._unwritten) + len(self._writing)

    def add(self, key: int) -> None:
        """To be written; while the disk takes nothing the first ones go."""
        self._unwritten[key] = None
        if len(self._unwritten) > _UNWRITTEN_LIMIT:
            del self._unwritten[next(iter(self._unwritten))]
            self.dropped += 1

    def take(self) -> Collection[int]:
        """What is to be written now; it stays findable until `written` or `give_back`."""
        self._writing, self._unwritten = self._unwritten, {}
        return self._writing

    def written(self) -> None:
        """What was taken is on disk."""
        self._writing = ()

    def give_back(self) -> None:
        """What was taken could not be written; after `written` this is nothing."""
        if not self._writing:
            return
        newer, self._unwritten = self._unwritten, {}
        for key in (*self._writing, *newer):
            self.add(key)
        self._writing = ()


def told_key(client: bytes, port: int, ended: float, origin: str) -> int:
    """The key of a session: its client (packed), the client's port, when it ended, and which log or process told it.

    `ended` is in seconds since 1970; what the log gives of it beyond whole seconds does not count.
    """
    identity = b"\0".join((client, b"%d %d" % (port, int(_sane(ended))), origin.encode(errors="surrogatepass")))
    number = int.from_bytes(blake2b(identity, digest_size=_HASH_BITS // 8).digest(), "big")
    return _hour_key(ended) + max(number, _MINUTES)


def minute_key(wall: float) -> int:
    """The key of the minute of this time (seconds since 1970)."""
    return _hour_key(wall) + int(_sane(wall) % _HOUR // 60.0)


def first_key(wall: float) -> int:
    """No key of this hour or a later one is less."""
    return _hour_key(wall)


def hour_after(key: int) -> float:
    """When the hour after that of a key begins, in seconds since 1970."""
    return ((key >> _HASH_BITS) + 1) * _HOUR


def minutes_around(wall: float) -> set[int]:
    """The keys of the minutes in which the same session may have been learned live."""
    return {minute_key(moment) for moment in (wall - _NEAR, wall, wall + _NEAR)}


def _hour_key(wall: float) -> int:
    return int(_sane(wall) // _HOUR) << _HASH_BITS


def _sane(wall: float) -> float:
    return wall if 0.0 <= wall < _LATEST else 0.0
