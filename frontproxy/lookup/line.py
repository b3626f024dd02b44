"""The line of look-ups that wait for a place: bounded, and fair to every subject.

A subject is a DNS list, or the names. One whose servers keep silent holds its places for seconds; it may have no more
than its share of them, so that the others' look-ups go on.
"""

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Line(Generic[T]):
    """Places, and who waits for one; each subject is served in order, and the subjects in turn."""

    def __init__(self, *, places: int, share: int, waiting: int) -> None:
        """`places` in all, at most `share` for one subject; at most `waiting` in line."""
        self._free = places
        self._share = share
        self._room = waiting
        self._taken: dict[str, int] = {}
        self._lines: dict[str, deque[T]] = {}

    def __len__(self) -> int:
        """How many hold a place."""
        return sum(self._taken.values())

    def take(self, subject: str) -> bool:
        """Take a place at once, if there is one for this subject; then nobody is in line for it."""
        if not self._may(subject):
            return False
        self._hold(subject)
        return True

    def wait(self, subject: str, one: T) -> bool:
        """Get in line; false if there is no room."""
        if not self._room:
            return False
        self._room -= 1
        self._lines.setdefault(subject, deque()).append(one)
        return True

    def leave(self, subject: str) -> T | None:
        """Give a place back; whoever gets it now holds it."""
        self._free += 1
        self._taken[subject] -= 1
        if not self._taken[subject]:
            del self._taken[subject]
        for turn in self._lines:
            if self._may(turn):
                return self._next(turn)
        return None

    def _may(self, subject: str) -> bool:
        return self._free > 0 and self._taken.get(subject, 0) < self._share

    def _hold(self, subject: str) -> None:
        self._free -= 1
        self._taken[subject] = self._taken.get(subject, 0) + 1

    def _next(self, subject: str) -> T:
        """The first of a subject's line, which then is the last to have its turn again."""
        line = self._lines.pop(subject)
        one = line.popleft()
        if line:
            self._lines[subject] = line
        self._room += 1
        self._hold(subject)
        return one
