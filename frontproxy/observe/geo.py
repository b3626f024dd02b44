"""Provider number, organisation and country of an address, from MaxMind databases.

Each file is copied into memory that has no name before it is opened. Updaters overwrite these files in place, and a
reader that maps the file itself then fails, or dies of SIGBUS. The copy costs the file's size in memory, and nothing at
a look-up. Before that a process of its own reads it to its end (`geo_check`).
"""

import json
import os
import stat
import subprocess
import weakref
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from frontproxy.core.mistakes import Mistake, Mistaken
from frontproxy.observe.geo_check import DAMAGE, Report, open_reader
from frontproxy.observe.geo_record import NOWHERE, Place, complete
from frontproxy.observe.memfile import give_back
from frontproxy.programs import command, environment

__all__ = ["Database", "GeoBook", "GeoFile", "Place"]

SIZE_LIMIT = 4 << 30
"""Bytes of one database; the largest sold have less than 2 GiB."""

CHECK_TIMEOUT = 60
"""Seconds that reading a database to its end may take before it is refused; a sound one takes up to fifteen."""


class _UnusableError(Exception):
    def __init__(self, what: str, remedy: str = "fetch the database again, then reload") -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy


class Reader(Protocol):
    """What a book needs of maxminddb's readers."""

    def get(self, ip_address: str) -> object: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class GeoFile:
    """One opened database, as `status` tells it."""

    path: str
    kind: str
    """What it calls itself: `GeoLite2-ASN`."""
    built: int
    """Seconds since 1970, UTC."""
    size: int
    """Bytes, all of them held in memory."""
    ipv6: bool
    """It has addresses of both families."""
    fast: bool
    """Read by maxminddb's C extension; without that a look-up takes 30 times as long."""
    complete: bool
    """Every network was read before it was believed; very large databases are believed after many."""


@dataclass(frozen=True, slots=True)
class Database:
    """One of a book's files, ready to be asked."""

    file: GeoFile
    reader: Reader
    descriptor: int
    """The copy in memory; the book closes it."""


class GeoBook:
    """Any number of databases, asked in order. Its memory is given back with its last reference, or at `close`."""

    def __init__(self, databases: Sequence[Database]) -> None:
        self.files = tuple(database.file for database in databases)
        self.errors = 0
        """Look-ups that met damage, and so were no evidence."""
        self._databases = tuple(databases)
        self._finalizer = weakref.finalize(self, _close_all, self._databases)
        self._finalizer.atexit = False

    @classmethod
    def open(cls, files: Sequence[Path]) -> "GeoBook":
        """Copy, check and open these files; blocks for as long. Raises Mistaken with what is wrong with each."""
        databases: list[Database] = []
        mistakes: list[Mistake] = []
        for path in files:
            try:
                databases.append(_open(path))
            except _UnusableError as error:
                mistakes.append(Mistake(str(path), 0, "", error.what, error.remedy))
            except OSError as error:
                what, remedy = f"cannot be opened ({error.strerror})", "name a file that the proxy's user may read"
                mistakes.append(Mistake(str(path), 0, "", what, remedy))
        if mistakes:
            _close_all(databases)
            raise Mistaken(mistakes)
        return cls(databases)

    def find(self, address: str) -> Place:
        """Where an address belongs; the first database that knows a field gives it. Never raises."""
        place = NOWHERE
        for database in self._databases:
            if ":" in address and not database.file.ipv6:
                continue
            try:
                record = database.reader.get(address)
            except DAMAGE:
                self.errors += 1
                continue
            if isinstance(record, dict):
                place = complete(place, record)
        return place

    def close(self) -> None:
        """Give the memory back now; everything is unknown afterwards. May be called twice."""
        self._databases = ()
        self._finalizer()


def _open(path: Path) -> Database:
    """A checked database. Raises _UnusableError or OSError."""
    with ExitStack() as undo:
        descriptor = os.memfd_create("frontproxy-geo")
        undo.callback(os.close, descriptor)
        size = _copy(path, descriptor)
        checked = _check(descriptor)
        if checked.damage:
            raise _UnusableError(f"is damaged, incomplete, or no MaxMind database ({_shown(checked.damage)})")
        reader, fast = open_reader(descriptor)
        undo.pop_all()
    about = reader.metadata()
    file = GeoFile(
        path=str(path),
        kind=_shown(about.database_type),
        built=about.build_epoch,
        size=size,
        ipv6=about.ip_version == 6,
        fast=fast,
        complete=checked.complete,
    )
    return Database(file, reader, descriptor)


def _copy(path: Path, descriptor: int) -> int:
    """Copy a file into memory; its size in bytes."""
    source = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        before = os.fstat(source)
        if not stat.S_ISREG(before.st_mode):
            raise _UnusableError("is not a regular file", "name the database itself: a file that ends in .mmdb")
        if before.st_size > SIZE_LIMIT:
            raise _UnusableError(f"has {before.st_size} bytes", f"use a smaller one; {SIZE_LIMIT} bytes is the limit")
        copied = 0
        while sent := os.sendfile(descriptor, source, copied, SIZE_LIMIT - copied):
            copied += sent
        after = os.fstat(source)
    finally:
        os.close(source)
    if not copied:
        raise _UnusableError("is empty")
    if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns) or copied != before.st_size:
        raise _UnusableError("is being written to", "reload when its update has ended")
    return copied


def _check(descriptor: int) -> Report:
    """Read the database in a process of its own, so that it is not the proxy who dies of it."""
    try:
        ended = subprocess.run(
            command("frontproxy.observe.geo_check", str(descriptor)),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            pass_fds=(descriptor,),
            start_new_session=True,
            timeout=CHECK_TIMEOUT,
            env=environment(),
        )
    except subprocess.TimeoutExpired:
        return Report(f"reading it takes more than {CHECK_TIMEOUT} seconds", complete=False)
    except OSError as error:
        raise _UnusableError(f"cannot be checked ({error.strerror})", "reload when the machine has memory") from None
    if ended.returncode < 0:
        return Report(f"its reader dies of signal {-ended.returncode}", complete=False)
    if ended.returncode:
        last_words = ended.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise _UnusableError(f"cannot be checked ({_shown(last_words)})", "reload when the machine has memory")
    return Report(**json.loads(ended.stdout))


def _shown(text: str) -> str:
    return ascii(text)[1:-1][:200]


def _close_all(databases: Sequence[Database]) -> None:
    for database in databases:
        give_back(database.descriptor, database.reader.close)
