"""The history file in the hands of the command: only one at a time, owned by who owns its folder, with a way back."""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from frontproxy.core.census import Census
from frontproxy.hindsight.ways import EX_IOERR, EX_TEMPFAIL, Broken
from frontproxy.log import Log
from frontproxy.lookup.desk import Desk
from frontproxy.memory.copies import write_copy
from frontproxy.memory.lock import InUse
from frontproxy.memory.soundness import Damaged
from frontproxy.memory.sqlite import HistoryFile
from frontproxy.memory.troubles import Log as Tell
from frontproxy.past import PastSides, keep_way_back
from frontproxy.setup import Setup

EX_NOPERM: Final = 77
_BROKEN_DISK: Final = sqlite3.Error, OSError, Damaged


@contextmanager
def by_hand(setup: Setup, tell: Tell) -> Iterator[tuple[PastSides, Path]]:
    """The sides for learning into the history file, and the copy that was made of it first. Blocks. Raises Broken."""
    file = setup.config.history.file
    with _as_owner_of(file.parent), _opened(setup, file, tell) as sides:
        try:
            copy = keep_way_back(file, time.time())
        except _BROKEN_DISK as error:
            raise Broken(EX_IOERR, f"{file} cannot be copied first ({error}); make room on the disk") from None
        yield sides, copy


@contextmanager
def for_show(setup: Setup, tell: Tell) -> Iterator[PastSides]:
    """The sides for learning into a copy that goes again, so that nothing is learned. Blocks. Raises Broken."""
    file = setup.config.history.file
    try:
        folder = TemporaryDirectory(prefix="dry-run-", dir=file.parent if file.exists() else None)
    except OSError as error:
        raise Broken(EX_NOPERM, f"{file.parent}: {error.strerror}; run this as root, or as frontproxy's user") from None
    with folder as name:
        copy = Path(name) / "history.sqlite3"
        try:
            if file.exists():
                write_copy(file, copy)
        except _BROKEN_DISK as error:
            raise Broken(
                EX_IOERR, f"{file} cannot be copied for the dry run ({error}); make room on the disk"
            ) from None
        with _opened(setup, copy, tell) as sides:
            yield sides


@contextmanager
def _opened(setup: Setup, file: Path, tell: Tell) -> Iterator[PastSides]:
    settings = setup.config.history
    try:
        memory = HistoryFile.open(file, limit=settings.max_clients_remembered, forgetting=setup.forgetting, log=tell)
    except InUse as error:
        raise Broken(EX_TEMPFAIL, str(error)) from None
    memory.generic = frozenset(setup.config.dns.generic)
    try:
        if memory.status()["file"] is None:
            raise Broken(EX_IOERR, "; ".join(memory.current_troubles()))
        yield PastSides(setup, memory, Desk(Log(2, None)), Census())
    finally:
        memory.close()


@contextmanager
def _as_owner_of(folder: Path) -> Iterator[None]:
    """What root makes here belongs to the owner of the folder, or the proxy could not write its own history any more.

    Logs that only root can read are read by the reading program, which was started before and stays what we were.
    """
    found = folder.stat() if folder.is_dir() else None
    if os.geteuid() or found is None or not found.st_uid:
        yield
        return
    user, group = os.geteuid(), os.getegid()
    os.setegid(found.st_gid)
    os.seteuid(found.st_uid)
    try:
        yield
    finally:
        os.seteuid(user)
        os.setegid(group)
