"""Getting a history file into a state that can be used, and keeping a good copy of it. All of this blocks.

A damaged file is never deleted: it is set aside, with its write-ahead log, under a name that says when, and the last
good copy takes its place. A file of a newer version, or of another program, is left alone entirely.
"""

import os
import shutil
import sqlite3
import struct
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from frontproxy.memory.table import APPLICATION, VERSION, Table

_MAGIC = b"SQLite format 3\0"
_SIDE_FILES = ("", "-wal", "-shm")
_NOT_OURS = "is the database of another program and is left as it is; name another file in [history] file"


class Damaged(Exception):
    """The file is no sound SQLite database; says what is wrong with it."""


class Foreign(Exception):
    """The file is sound, but not ours to write; says whose it is and what to do."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What came of opening a history file."""

    table: Table | None
    """None: history has to live in memory only."""
    troubles: list[str]
    """For the operator: what was wrong, what was done, what to do."""
    failing: str = ""
    """Why it cannot be written now; over with the first write that succeeds."""


def open_soundly(path: Path, *, now: float) -> Opened:
    """Open the file, after repair if it needs that. Raises nothing; at worst no table and the reasons come back."""
    troubles: list[str] = []
    try:
        _make_private(path)
        try:
            check(path)
        except Damaged as damage:
            troubles.append(_replace(path, str(damage), now))
        return Opened(Table(path), troubles)
    except Foreign as foreign:
        troubles.append(f"{path} {foreign}; until then history is kept in memory only")
    except (OSError, sqlite3.Error) as error:
        table = _frozen(path)
        if table:
            failing = f"history file {path} can only be read ({error}); make room on the disk, or give us rights"
            return Opened(table, troubles, failing)
        troubles.append(
            f"history file {path} cannot be used ({error}); history is kept in memory only: "
            "correct the path or its rights, then restart"
        )
    return Opened(None, troubles)


def _frozen(path: Path) -> Table | None:
    """What can be read of a file that cannot be written; None if that is nothing."""
    try:
        with path.open("rb") as file:
            header = file.read(100)
        if len(header) == 100 and struct.unpack_from(">I4xI", header, 60) == (VERSION, APPLICATION):
            return Table(path, frozen=True)
    except (OSError, sqlite3.Error):
        pass
    return None


def check(path: Path) -> None:
    """Raise Damaged or Foreign if it is either; sqlite3.OperationalError or OSError if it cannot be read."""
    with path.open("rb") as file:
        header = file.read(100)
    if not header:
        return  # a new file
    if len(header) < 100 or not header.startswith(_MAGIC):
        raise Damaged("it does not begin as an SQLite file does")
    _check_owner(*struct.unpack_from(">I4xI", header, 60))
    try:
        with closing(sqlite3.connect(path, timeout=1, isolation_level=None)) as connection:
            complaint = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            # Asked again, since what counts may still stand in the write-ahead log.
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            application = connection.execute("PRAGMA application_id").fetchone()[0]
            tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        raise Damaged(str(error)) from None
    _check_owner(version, application)
    if tables and not application:
        raise Foreign(_NOT_OURS)
    if complaint != "ok":
        raise Damaged(" ".join(str(complaint).split())[:200])


def copy_path(path: Path) -> Path:
    """Where the daily copy stands."""
    return path.with_name(path.name + ".copy")


def copied_at(path: Path) -> float | None:
    """When the daily copy was made, in seconds since 1970; None if there is none."""
    try:
        return copy_path(path).stat().st_mtime
    except OSError:
        return None


def write_copy(path: Path) -> None:
    """Write a consistent copy, verify it, and only then let it take the place of the last one.

    Raises sqlite3.Error, OSError or Damaged; the last copy is then still there.
    """
    fresh = path.with_name(path.name + ".copy-new")
    fresh.unlink(missing_ok=True)
    _make_private(fresh)
    try:
        with closing(sqlite3.connect(path, timeout=1, isolation_level=None)) as connection:
            connection.execute("VACUUM INTO ?", (str(fresh),))
        check(fresh)
        _sync(fresh)
        fresh.replace(copy_path(path))
        _sync(path.parent)
    except BaseException:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise


def _check_owner(version: int, application: int) -> None:
    if application not in {0, APPLICATION} or (version and not application):
        raise Foreign(_NOT_OURS)
    if version > VERSION:
        raise Foreign(
            f"was written by a newer frontproxy (schema {version}, this one knows {VERSION}) and is left as it is; "
            "install that version again or name another file in [history] file"
        )


def _replace(path: Path, damage: str, now: float) -> str:
    """Set a damaged file aside and put the last good copy in its place; returns what to tell the operator."""
    aside = path.with_name(f"{path.name}.damaged-{datetime.fromtimestamp(now, UTC):%Y%m%d-%H%M%S}")
    for suffix in _SIDE_FILES:
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
    told = f"history file {path} was damaged ({damage}) and is now {aside.name}"
    copy = copy_path(path)
    try:
        check(copy)
        written = datetime.fromtimestamp(copy.stat().st_mtime, UTC)
        _make_private(path)
        shutil.copyfile(copy, path)
        _sync(path)
    except FileNotFoundError:
        told += "; there is no copy yet, so history begins anew"
    except (Damaged, Foreign, OSError, sqlite3.Error) as error:
        path.unlink(missing_ok=True)
        told += f"; the copy {copy.name} cannot be used ({error}), so history begins anew"
    else:
        told += f"; restored the copy of {written:%Y-%m-%d %H:%M} UTC"
    _make_private(path)
    return told


def _make_private(path: Path) -> None:
    """Make sure that the file exists and that only its owner can read it; SQLite gives its side files the same mode."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
