"""Follows a log as it grows: through rotation, truncation and copies, or at the end of a pipe.

What is done when something happens to the file:

- It is renamed: the old one is read until it has been quiet for a second and the new one holds something. A writer that
  goes on with the old one for longer than half a minute while others write to the new one is not heard any more.
- It is truncated (`copytruncate`): read from its start. What was written after our last look, a quarter of a second ago
  at most, and before the truncation is lost, as it is for whatever copied the file.
- A copy takes its place (`cp` and `mv`, an editor) or is written into it: lines that were read are not told again.
  Where lines were taken out, the place is unknown: we go on at the end.
- It is removed, not there yet, not ours to read: tried again with every look; `trouble` says why.
- A FIFO is read as long as anybody writes to it; writers come and go.

We begin at the end of a file that is there at the start: how earlier sessions ended concerns nobody who is connected
now. So what is logged while the program is not running is lost; `frontproxy learn` can read it later.
"""

import os
import select
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from frontproxy.learn.bookmark import Bookmark
from frontproxy.local import Lines

LINE_LIMIT: Final = 64 * 1024
"""Octets of a line; longer ones are dropped and counted."""
READ_LIMIT: Final = 256 * 1024
"""Octets read at one look."""
QUIET: Final = 1.0
"""Seconds without news after which a file that was replaced has been read to its end, and a copy has been made."""
PATIENCE: Final = 30.0
"""Seconds after which we wait no longer for that."""
_BUSY: Final = 32 * 1024
"""Octets at one look after which there is probably more to be had at once: half of what a pipe holds."""


class Follower:
    """Lines of the log at a path, whatever file is there."""

    descriptor: Final = None
    """It is looked at now and then: which file it is, a descriptor cannot tell."""
    has_ended: Final = False

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = -1
        self._is_fifo = False
        self._mark = Bookmark()
        self._is_placed = False  # the mark is one in this very file, not in what was there before
        self._lines = Lines(LINE_LIMIT)
        self._begins_at_end = True
        self._size = 0
        self._grown_at = self._lost_at = 0.0
        self._replaced_at: float | None = None
        self.is_behind = False
        """There is probably more to be read at once."""
        self.trouble = ""
        """Why nothing can be read; empty if all is well."""
        self.dropped = 0
        """Lines that were too long."""

    def read(self, now: float) -> Iterator[bytes]:
        """The lines that are complete now, without their ends; `now` is monotonic, in seconds. Never waits."""
        try:
            data = self._news(now)
        except OSError as error:
            remedy = "; let frontproxy's user read it (Debian: group adm)" if isinstance(error, PermissionError) else ""
            data, self.trouble = b"", f"{self._path}: {error.strerror}{remedy}"
            self.close()
        self.is_behind = len(data) >= _BUSY
        # Behind a truncation, a writer that does not append leaves a hole, which reads as zeros.
        for line in self._lines.feed(data.replace(b"\0", b"")):
            if line is None:
                self.dropped += 1
            else:
                yield line

    def close(self) -> None:
        """Let go of the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _news(self, now: float) -> bytes:
        if self._file < 0 and not self._open(now):
            return b""
        data = self._read_pipe() if self._is_fifo else self._read_file(now)
        if data:
            self._grown_at = now
        if self._has_successor(now):
            self.close()
        return data

    def _open(self, now: float) -> bool:
        try:
            file = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            self._begins_at_end = False  # what comes is new to us from its first line on
            self.trouble = f"{self._path}: {error.strerror}"
            return False
        self._file = file
        status = os.fstat(file)
        self._is_fifo = stat.S_ISFIFO(status.st_mode)
        if not self._is_fifo and not stat.S_ISREG(status.st_mode):
            raise OSError(0, "neither a file nor a FIFO")
        self.trouble = ""
        self._replaced_at = None
        self._lose_place(now)
        if self._begins_at_end and not self._is_fifo:
            self._place_at(status.st_size)
        self._begins_at_end = False
        return True

    def _read_pipe(self) -> bytes:
        try:
            data = os.read(self._file, READ_LIMIT)
        except BlockingIOError:
            return b""
        if not data:  # nobody writes; whoever left in the middle of a line does not come back to end it
            self._lines = Lines(LINE_LIMIT)
        return data

    def _read_file(self, now: float) -> bytes:
        if self._is_placed and not self._mark.stands_in(self._file):  # truncated, or written anew
            self._lose_place(now)
        if not self._is_placed and not self._find_place(os.fstat(self._file).st_size, now):
            return b""
        data = os.pread(self._file, READ_LIMIT, self._mark.offset)
        self._mark.advance(data)
        return data

    def _lose_place(self, now: float) -> None:
        self._is_placed = False
        self._size, self._lost_at, self._grown_at = 0, now, now

    def _find_place(self, size: int, now: float) -> bool:
        """Decide where to go on in a file that we do not know yet; false if that must wait."""
        if size != self._size:
            self._size, self._grown_at = size, now
        if size == 0:
            return False
        place = self._mark.found_in(self._file, size)
        if place is None and now - self._grown_at < QUIET and now - self._lost_at < PATIENCE:
            return False
        self._place_at(size if place is None else place)
        return True

    def _place_at(self, offset: int) -> None:
        self._mark = Bookmark.placed(self._file, offset)
        self._is_placed = True
        self._lines = Lines(LINE_LIMIT)
        for _line in self._lines.feed(self._mark.begun):
            pass  # it has no end yet

    def _has_successor(self, now: float) -> bool:
        """Another file stands at our path, has something to read, and ours has been read to its end."""
        try:
            status = self._path.stat()
        except OSError:  # removed, or just being rotated
            return False
        ours = os.fstat(self._file)
        if (status.st_dev, status.st_ino) == (ours.st_dev, ours.st_ino):
            self._replaced_at = None
            return False
        if status.st_size == 0 and not stat.S_ISFIFO(status.st_mode):
            return False
        self._replaced_at = self._replaced_at or now
        return now - max(self._grown_at, self._replaced_at) >= QUIET or now - self._replaced_at >= PATIENCE


class Piped:
    """Lines that come by a pipe, or from a file to its end, until it has no writer any more."""

    trouble: Final = ""
    is_behind: Final = False

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._lines = Lines(LINE_LIMIT)
        self.has_ended = False
        self.dropped = 0

    def read(self, _now: float) -> Iterator[bytes]:
        """The lines that are complete now. Never waits."""
        poll = select.poll()
        poll.register(self.descriptor, select.POLLIN)
        if not poll.poll(0):  # and not O_NONBLOCK: it would be that of everybody who shares the descriptor
            return
        data = os.read(self.descriptor, READ_LIMIT)
        self.has_ended = not data
        for line in self._lines.feed(data):
            if line is None:
                self.dropped += 1
            else:
                yield line

    def close(self) -> None:
        """It is not ours to close."""
