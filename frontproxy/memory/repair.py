"""Getting a history file into a state that can be used. All of this blocks.

A damaged file is never deleted: it is set aside, with its write-ahead log, under a name that says when, and the last
good copy takes its place; so it does where the file is missing, or empty. The copy is made ready beside it first, so
that a crash at any moment leaves what the next start can go on from. A file of a newer version, or of another program,
is left alone entirely.
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
    unconverted: str = ""
    """Why its values fade by other half-lives than they shall."""


class _NotRestored(Exception):
    """There is a copy that might be good, but it could not be put in place; nothing has changed."""


def open_soundly(path: Path, *, now: float, half_lives: HalfLives, tell: Tell) -> Opened:
    """Open the file, after repair, migration or conversion to these half-lives if it needs that; `tell` hears of these.

    Nobody else may have it open for writing. Raises nothing; at worst no table and the reasons come back.
    """
    troubles: list[str] = []
    try:
        make_private(path)
        troubles += _repair(path, now)
        version = check(path)
        if 0 < version < VERSION:
            migrate(path, version, now, tell)
        table = Table(path)
        return Opened(table, troubles, unconverted=_keep_under(table, half_lives, now, tell))
    except Foreign as foreign:
        troubles.append(f"{path} {foreign}; until then history is kept in memory only")
    except _NotRestored as why:
        troubles.append(f"{why}; history is kept in memory only: see to that, or make room on the disk, and restart")
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


def _keep_under(table: Table, half_lives: HalfLives, now: float, tell: Tell) -> str:
    try:
        table.keep_under(half_lives, now, tell)
    except sqlite3.Error as error:
        return str(error)
    return ""


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


def _repair(path: Path, now: float) -> list[str]:
    """Put the copy in the place of a file that is damaged or empty; returns what to tell the operator.

    Raises _NotRestored, and what `check` raises but Damaged.
    """
    if not path.stat().st_size:
        return _restore_missing(path)
    try:
        check(path)
    except Damaged as damage:
        return [_replace(path, str(damage), now)]
    return []


def _restore_missing(path: Path) -> list[str]:
    what = f"history file {path} was missing or empty"
    try:
        restored = _ready_copy(path, what)
    except FileNotFoundError:
        return []  # a new one
    except (Damaged, Foreign) as error:
        return [f"{what}; the copy {copy_path(path).name} cannot be used ({error}), so history begins anew"]
    for suffix in _SIDE_FILES:  # a log would be that of another life
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    return [f"{what}; {_put_in_place(restored, path)} (to begin anew, remove both)"]


def _replace(path: Path, damage: str, now: float) -> str:
    """Set a damaged file aside and put the last good copy in its place."""
    aside = path.with_name(f"{path.name}.damaged-{datetime.fromtimestamp(now, UTC):%Y%m%d-%H%M%S}")
    restored: Path | None = None
    try:
        restored = _ready_copy(path, f"history file {path} is damaged ({damage})")
    except FileNotFoundError:
        then = "there is no copy yet, so history begins anew"
    except (Damaged, Foreign) as error:
        then = f"the copy {copy_path(path).name} cannot be used ({error}), so history begins anew"
    for suffix in _SIDE_FILES:
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
    if restored:
        then = _put_in_place(restored, path)
    else:
        make_private(path)
    return f"history file {path} was damaged ({damage}) and is now {aside.name}; {then}"


def _ready_copy(path: Path, what: str) -> Path:
    """A verified copy of the last good copy, beside the file that it shall replace.

    Raises FileNotFoundError, Damaged or Foreign if there is none; _NotRestored if there may be one, with `what`.
    """
    copy, fresh = copy_path(path), path.with_name(path.name + ".restored")
    try:
        copy.stat()
        make_private(fresh)
        shutil.copyfile(copy, fresh)
        _check_filled(fresh)
        sync(fresh)
    except (FileNotFoundError, Damaged, Foreign):
        _discard(fresh)
        raise
    except (OSError, sqlite3.Error) as error:
        _discard(fresh)
        raise _NotRestored(f"{what}, and its copy {copy.name} could not be restored ({error})") from None
    return fresh


def _check_filled(path: Path) -> None:
    if not check(path):
        raise Damaged("there is nothing in it")


def _discard(path: Path) -> None:
    with suppress(OSError):
        path.unlink(missing_ok=True)


def _put_in_place(restored: Path, path: Path) -> str:
    written = datetime.fromtimestamp(copy_path(path).stat().st_mtime, UTC)
    restored.replace(path)
    sync(path.parent)
    return f"restored the copy of {written:%Y-%m-%d %H:%M} UTC"
