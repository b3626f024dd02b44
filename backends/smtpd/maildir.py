"""A Maildir that keeps its promise: a message that was committed is on disk, whatever happens next.

The file is written in `tmp/`, forced to disk, renamed into `new/`, and `new/` is forced to disk too. Everything here
blocks and belongs into a thread; every failure is an OSError.
"""

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

DRAFTS_KEPT = 36 * 3600
"""Seconds after which a file in `tmp/` belongs to nobody, by the custom of Maildirs."""
_serial = count(1)


def new_queue_id() -> str:
    """An id that no other message of this machine has: the time, the process, and a serial number."""
    seconds, nanoseconds = divmod(time.time_ns(), 10**9)
    return f"{seconds:X}.{nanoseconds // 1000:05X}P{os.getpid():X}Q{next(_serial):X}"


@dataclass(frozen=True, slots=True)
class Maildir:
    """A folder with `tmp`, `new` and `cur` in it."""

    path: Path

    def prepare(self) -> None:
        """Make what is missing of it, readable by us alone."""
        for name in ("tmp", "new", "cur"):
            (self.path / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        oldest = time.time() - DRAFTS_KEPT
        for draft in (self.path / "tmp").iterdir():
            with suppress(FileNotFoundError):  # it may be delivered in this moment
                if draft.lstat().st_mtime < oldest:  # whoever wrote it was killed
                    draft.unlink()

    def open(self, queue_id: str, hostname: str) -> "MessageFile":
        """A new file in `tmp/`; folders that were removed under us are made again."""
        name = f"{queue_id}.{hostname}"
        try:
            return MessageFile(self.path, name)
        except FileNotFoundError:
            self.prepare()
            return MessageFile(self.path, name)


class MessageFile:
    """One message on its way to `new/`."""

    def __init__(self, maildir: Path, name: str) -> None:
        self._draft = maildir / "tmp" / name
        self._place = maildir / "new" / name
        self._descriptor = os.open(self._draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def write(self, data: bytes | bytearray) -> None:
        """Append all of it."""
        with memoryview(data) as view:
            done = 0
            while done < len(view):
                done += os.write(self._descriptor, view[done:])

    def commit(self) -> None:
        """On return the message is delivered and will outlive a power cut."""
        os.fsync(self._descriptor)
        self._close()
        self._draft.rename(self._place)
        try:
            _sync_folder(self._place.parent)
        except OSError:
            # The client will be told to come again, so this copy must go.
            self._place.unlink(missing_ok=True)
            raise

    def discard(self) -> None:
        """Leave nothing behind; never fails."""
        try:
            self._close()
            self._draft.unlink(missing_ok=True)
        except OSError:
            pass  # the disk is in trouble; a draft in tmp/ is no message

    def _close(self) -> None:
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
