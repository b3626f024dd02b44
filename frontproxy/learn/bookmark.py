"""Where we are in a log that grows, and how that place is found again when another file stands at its path.

Two pieces of what was read are kept: the head of the file, which tells a copy from another log, and the last of it,
which tells where in a copy the news begin. A head holds a time of day and process ids, so no two logs share it.
"""

import os
from typing import Final

HEAD: Final = 256
"""Octets of the head that are compared."""
RECENT: Final = 64 * 1024
"""Octets of the last that was read: a copy may lack so many of the lines that we know, and is still found."""
_GLANCE: Final = 64


class Bookmark:
    """A place in a log; `offset` is where to read next."""

    __slots__ = ("_head", "_recent", "offset")

    def __init__(self) -> None:
        """At the start of a log of which nothing is known."""
        self.offset = 0
        self._head = b""
        self._recent = b""

    @classmethod
    def placed(cls, file: int, offset: int) -> "Bookmark":
        """At this place of an open file, as if all before it had been read. Raises OSError."""
        mark = cls()
        mark.offset = offset
        mark._head = os.pread(file, min(HEAD, offset), 0)
        start = max(0, offset - RECENT)
        mark._recent = os.pread(file, offset - start, start)
        return mark

    @property
    def begun(self) -> bytes:
        """The beginning of a line before this place, the end of which may still come."""
        return self._recent[self._recent.rfind(b"\n") + 1 :]

    def advance(self, data: bytes) -> None:
        """This was read here."""
        if len(self._head) < HEAD:
            self._head += data[: HEAD - len(self._head)]
        self.offset += len(data)
        self._recent = (self._recent + data)[-RECENT:]

    def stands_in(self, file: int) -> bool:
        """The file still holds what was read last, where it was read. Raises OSError."""
        last = self._recent[-_GLANCE:]
        return os.pread(file, len(last), self.offset - len(last)) == last

    def found_in(self, file: int, size: int) -> int | None:
        """Where to go on in another file, or in ours after it was written anew.

        None if it holds nothing but what was read, and less of that: perhaps a copy that is still being made.
        Raises OSError.
        """
        if not self._head.startswith(os.pread(file, len(self._head), 0)):
            return 0
        start = self.offset - len(self._recent)
        same = _common(self._recent, os.pread(file, len(self._recent), start))
        if same == len(self._recent):
            return self.offset
        if size <= start + same:
            return None
        lines = self._recent.rfind(b"\n", 0, same) + 1
        if start and lines <= self._recent.find(b"\n") + 1:
            return size  # not one whole line: somebody has taken lines out of it, and which are new cannot be told
        return start + lines  # an older copy, to which others were written


def _common(one: bytes, other: bytes) -> int:
    """How many octets they have in common from the start."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((index for index, (mine, theirs) in pairs if mine != theirs), min(len(one), len(other)))
