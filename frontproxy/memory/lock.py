"""Who may write a history file: one process at a time, which holds a lock on a small file beside it.

The lock ends with its process, however that ends; the file stays, and means nothing. SQLite's own locks let two writers
take turns, but not know of each other: the one would have old records in memory, and might repair or convert a file
that the other has open.
"""

import errno
import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import Self


class InUse(Exception):
    """Another process has the history file open for writing; says which file and what to do."""


class Lock:
    """Held from `take` to `release`."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor

    @classmethod
    def take(cls, path: Path) -> Self:
        """Lock the history file at `path`. Raises InUse.

        Where no lock can be had (a read-only disk, say, or a file system without locks) nobody else has one either. A
        lock that is there and is not for us to open may be held, so that is refused.
        """
        lock = lock_path(path)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            if error.errno != errno.EROFS and os.path.lexists(lock):
                raise InUse(
                    f"history file {path} may be in use by another frontproxy: its lock cannot be opened ({error}); "
                    f"remove {lock} if no other runs"
                ) from None
            return cls(None)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise InUse(f"history file {path} is in use by another frontproxy; ask that one, or end it first") from None
        except OSError:
            os.close(descriptor)
            return cls(None)
        return cls(descriptor)

    def release(self) -> None:
        """Let others have it; a second time is nothing."""
        if self._descriptor is not None:
            with suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = None


def lock_path(path: Path) -> Path:
    """Where the lock of a history file is."""
    return path.with_name(path.name + ".lock")
