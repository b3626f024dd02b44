"""Opening one MaxMind database: copied, read to its end by a process of its own, then mapped.

The file is copied into memory that has no name before it is opened. Updaters overwrite these files in place, and a
reader that maps the file itself then fails, or dies of SIGBUS. The copy costs the file's size in memory, and nothing at
a look-up.
"""

import json
import os
import stat
import subprocess
import weakref
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, Protocol

from frontproxy.core.mistakes import Mistake, Mistaken
from frontproxy.observe.geo_check import Report, open_reader
from frontproxy.observe.memfile import give_back
from frontproxy.programs import command, environment

SIZE_LIMIT = 4 << 30
"""Bytes of one database; the largest sold have less than 2 GiB."""

CHECK_TIMEOUT = 60
"""Seconds that reading a database to its end may take before it is refused; a sound one takes up to fifteen."""


class _UnusableError(Exception):
    def __init__(self, what: str, remedy: str = "fetch the database again") -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy


class Reader(Protocol):
    """What a book needs of maxminddb's readers."""

    def get(self, ip_address: str) -> object: ...
    def close(self) -> None: ...


class Mark(NamedTuple):
    """By this a file is told from the one that was there before, and from itself with other content."""

    device: int
    inode: int
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> "Mark":
        """The mark of a file, as the kernel describes it."""
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


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
    mark: Mark
    """Of the file when it was copied."""

    @property
    def day(self) -> str:
        """When it was built, for people."""
        try:
            return datetime.fromtimestamp(self.built, UTC).strftime("%Y-%m-%d")
        except (ValueError, OverflowError, OSError):
            return "a day that no calendar has"


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class Database:
    """One file, ready to be asked. Its memory is given back with its last reference."""

    file: GeoFile
    reader: Reader
    descriptor: int
    """The copy in memory, closed with the database."""
    unseen: Sequence[str] = ()
    """Paths of fields that were wanted, and that no record has."""
    offers: Sequence[str] = ()
    """If there are such: paths that it has."""

    def __post_init__(self) -> None:
        weakref.finalize(self, give_back, self.descriptor, self.reader.close).atexit = False


def open_database(path: Path, wanted: Iterable[str] = ()) -> Database:
    """A checked database; blocks for as long as that takes, up to a minute. Raises Mistaken with what is wrong.

    `wanted`: paths of fields that it should have. One that it has not is no mistake; it is told in `unseen`.
    """
    try:
        return _open(path, wanted)
    except _UnusableError as error:
        mistake = Mistake(str(path), 0, "", error.what, error.remedy)
    except OSError as error:
        what, remedy = f"cannot be opened ({error.strerror})", "name a file that the proxy's user may read"
        mistake = Mistake(str(path), 0, "", what, remedy)
    raise Mistaken([mistake])


def _open(path: Path, wanted: Iterable[str]) -> Database:
    with ExitStack() as undo:
        descriptor = os.memfd_create("frontproxy-geo")
        undo.callback(os.close, descriptor)
        mark = _copy(path, descriptor)
        checked = _check(descriptor, wanted)
        if checked.damage:
            raise _UnusableError(f"is damaged, incomplete, or no MaxMind database ({_shown(checked.damage)})")
        reader, fast = open_reader(descriptor)
        undo.pop_all()
    about = reader.metadata()
    file = GeoFile(
        path=str(path),
        kind=_shown(about.database_type),
        built=about.build_epoch,
        size=mark.size,
        ipv6=about.ip_version == 6,
        fast=fast,
        complete=checked.complete,
        mark=mark,
    )
    return Database(file, reader, descriptor, checked.unseen, checked.offers)


def _copy(path: Path, descriptor: int) -> Mark:
    """Copy a file into memory."""
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
    if Mark.of(after) != Mark.of(before) or copied != before.st_size:
        raise _UnusableError("is being written to", "reload when its update has ended")
    return Mark.of(before)


def _check(descriptor: int, wanted: Iterable[str]) -> Report:
    """Read the database in a process of its own, so that it is not the proxy who dies of it."""
    try:
        ended = subprocess.run(
            command("frontproxy.observe.geo_check", str(descriptor)),
            input=json.dumps(list(wanted)).encode(),
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
