"""Verified copies of a history file: the daily one, and those of older versions. All of this blocks."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from frontproxy.memory.connections import connect_frozen
from frontproxy.memory.soundness import check


def copy_path(path: Path) -> Path:
    """Where the daily copy stands."""
    return path.with_name(path.name + ".copy")


def kept_path(path: Path, version: int) -> Path:
    """Where a file of an older version is kept for good."""
    return path.with_name(f"{path.name}.version-{version}")


def richer_path(path: Path) -> Path:
    """Where a daily copy stays that had far more than the one that took its place."""
    return path.with_name(path.name + ".copy.1")


def copied_at(path: Path) -> float | None:
    """When the daily copy was made, in seconds since 1970; None if there is none."""
    try:
        return copy_path(path).stat().st_mtime
    except OSError:
        return None


def write_copy(path: Path, target: Path) -> None:
    """Write a consistent copy, verify it, and only then let it take the place of the last one.

    Raises sqlite3.Error, OSError or soundness.Damaged; the last copy is then still there.
    """
    with _fresh_copy(path, target) as fresh:
        fresh.replace(target)


def renew_copy(path: Path) -> str:
    """Write the daily copy as `write_copy` does; one that had more than twice the rows is kept, and that is told.

    Returns what to tell the operator; empty if all is as usual. Raises as `write_copy` does.
    """
    target, richer = copy_path(path), richer_path(path)
    told = ""
    with _fresh_copy(path, target) as fresh:
        before, now = _rows(target), _rows(fresh)
        if before > 2 * now:
            if before >= _rows(richer):
                target.replace(richer)
            told = (
                f"the daily copy of history has {now} rows, and the one before had {before}; {richer.name} is kept: if "
                f"history was lost, end frontproxy and put that in the place of {path}"
            )
        fresh.replace(target)
    return told


@contextmanager
def _fresh_copy(path: Path, target: Path) -> Iterator[Path]:
    """A verified copy beside the target, which it shall replace."""
    fresh = target.with_name(target.name + "-new")
    fresh.unlink(missing_ok=True)
    make_private(fresh)
    try:
        with closing(sqlite3.connect(path, timeout=1, isolation_level=None)) as connection:
            connection.execute("VACUUM INTO ?", (str(fresh),))
        check(fresh)
        sync(fresh)
        yield fresh
        sync(path.parent)
    except BaseException:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise


def _rows(path: Path) -> int:
    """Records in a copy; 0 if it has none that this version can read."""
    try:
        with closing(connect_frozen(path)) as connection:
            return int(connection.execute("SELECT count(*) FROM history").fetchone()[0])
    except (OSError, sqlite3.Error):
        return 0


def make_private(path: Path) -> None:
    """Make sure that the file exists and that only its owner can read it; SQLite gives its side files the same mode."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)


def sync(path: Path) -> None:
    """Wait until a file or a folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
