"""Getting a history file into a state that can be used. All of this blocks.

A damaged file is never deleted: it is set aside, with its write-ahead log, under a name that says when, and the last
good copy takes its place. A file of a newer version, or of another program, is left alone entirely.
"""

import shutil
import sqlite3
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from frontproxy.memory.copies import copy_path, make_private, sync
from frontproxy.memory.half_lives import HalfLives
from frontproxy.memory.migration import NotMigrated, migrate
from frontproxy.memory.progress import Tell
from frontproxy.memory.schema import VERSION
from frontproxy.memory.soundness import Damaged, Foreign, check, version_at_a_glance
from frontproxy.memory.table import Table

_SIDE_FILES = ("", "-wal", "-shm")
_TO_BRING_UP = (
    "see to the trouble in brackets and restart; to bring a file of an older frontproxy up to date takes a folder that "
    "can be written, with room for three times its size"
)


@dataclass(frozen=True, slots=True)
class Opened:
    """What came of opening a history file."""

    table: Table | None
    """None: history has to live in memory only."""
    troubles: list[str]
    """For the operator: what was wrong, what was done, what to do."""
    failing: str = ""
    """Why it cannot be written now; over with the first write that succeeds."""


def open_soundly(path: Path, *, now: float, half_lives: HalfLives, tell: Tell) -> Opened:
    """Open the file, after repair, migration or conversion to these half-lives if it needs that; `tell` hears of these.

    Nobody else may have it open for writing. Raises nothing; at worst no table and the reasons come back.
    """
    troubles: list[str] = []
    try:
        make_private(path)
        try:
            version = check(path)
        except Damaged as damage:
            troubles.append(_replace(path, str(damage), now))
            version = check(path)
        if 0 < version < VERSION:
            migrate(path, version, now, tell)
        table = Table(path)
        troubles += _keep_under(table, half_lives, now, tell)
        return Opened(table, troubles)
    except Foreign as foreign:
        troubles.append(f"{path} {foreign}; until then history is kept in memory only")
    except NotMigrated as why:
        troubles.append(
            f"history file {path} is that of an older frontproxy and could not be brought up to date ({why}); it is "
            f"left as it is, and history is kept in memory only: {_TO_BRING_UP}"
        )
    except (OSError, sqlite3.Error, Damaged) as error:
        frozen = _frozen(path)
        if frozen:
            failing = f"history file {path} can only be read ({error}); make room on the disk, or give us rights"
            return Opened(frozen, troubles, failing)
        remedy = _TO_BRING_UP if _is_older(path) else "correct the path or its rights, then restart"
        troubles.append(f"history file {path} cannot be used ({error}); history is kept in memory only: {remedy}")
    return Opened(None, troubles)


def _keep_under(table: Table, half_lives: HalfLives, now: float, tell: Tell) -> list[str]:
    try:
        table.keep_under(half_lives, now, tell)
    except sqlite3.Error as error:
        return [
            f"history file {table.path} cannot be converted to other half-lives ({error}) and fades by the new ones as "
            f"it is; make room on the disk for twice its size, then restart"
        ]
    return []


def _frozen(path: Path) -> Table | None:
    """What can be read of a file that cannot be written; None if that is nothing."""
    try:
        return Table(path, frozen=True) if version_at_a_glance(path) == VERSION else None
    except (OSError, sqlite3.Error):
        return None


def _is_older(path: Path) -> bool:
    with suppress(OSError):
        return 0 < version_at_a_glance(path) < VERSION
    return False


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
        make_private(path)
        shutil.copyfile(copy, path)
        sync(path)
    except FileNotFoundError:
        told += "; there is no copy yet, so history begins anew"
    except (Damaged, Foreign, OSError, sqlite3.Error) as error:
        path.unlink(missing_ok=True)
        told += f"; the copy {copy.name} cannot be used ({error}), so history begins anew"
    else:
        told += f"; restored the copy of {written:%Y-%m-%d %H:%M} UTC"
    make_private(path)
    return told
