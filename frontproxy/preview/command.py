"""`frontproxy preview -c NEW`: judges the recorded sessions anew under another configuration.

The proxy may be running meanwhile.
"""

import json as json_text
import sqlite3
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import trio
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from frontproxy.core.config_values import Config
from frontproxy.memory.journal_rows import Row, entry_from
from frontproxy.memory.journal_table import Unusable, journal_path, read_sessions, summary
from frontproxy.preview.changes import Changes
from frontproxy.preview.shown import as_json, show
from frontproxy.preview.then import Then
from frontproxy.setup import Setup, load

EX_OK = 0
EX_NOINPUT = 66
_QUIET = 1.0  # seconds without a progress bar


def run(config: Path, *, journal: Path | None, json: bool) -> int:
    """Print what would change; returns an exit code of sysexits.

    `journal` is that beside the history of the new configuration if it is not named. Raises Mistaken for mistakes in
    the configuration.
    """
    setup = trio.run(load, config)
    try:
        path = journal or journal_path(setup.config.history.file)
        try:
            changes, facts = replay(setup, path)
        except (sqlite3.Error, Unusable) as error:
            remedy = "the proxy writes one beside its history; name another with --journal"
            text = f"frontproxy: journal {path} {_why(path, error)}; {remedy}"
            Console(stderr=True, soft_wrap=True).print(text, markup=False, highlight=False)
            return EX_NOINPUT
        notes = list(_notes(setup.config, changes, facts))
    finally:
        setup.close()
    if json:
        sys.stdout.write(json_text.dumps(as_json(changes, notes)) + "\n")
    elif changes.recorded:
        show(changes, notes, Console(highlight=False, markup=False))
    else:
        Console(markup=False).print(f"no sessions are recorded in {path} yet")
    return EX_OK


def replay(setup: Setup, path: Path) -> tuple[Changes, dict[str, float]]:
    """All recorded sessions, judged anew; and the single numbers of the journal. Raises sqlite3.Error or Unusable."""
    count, facts = summary(path)
    changes = Changes([pool.name for pool in setup.config.pools])
    then = Then(setup)
    for rows in _with_progress(read_sessions(path), count):
        for row in rows:
            try:
                entry = entry_from(row)
            except (TypeError, ValueError):
                changes.unreadable += 1
                continue
            changes.note(entry, then.judge(entry))
    return changes, facts


def _why(path: Path, error: Exception) -> str:
    """Why a journal cannot be read."""
    try:
        with path.open("rb"):
            return str(error)
    except FileNotFoundError:
        return "is not there"
    except OSError as reason:
        return str(reason.strerror)


def _with_progress(chunks: Iterable[list[Row]], count: int) -> Iterator[list[Row]]:
    """The same, with a bar on the terminal when it takes longer."""
    columns = (TextColumn("judging recorded sessions"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    progress = Progress(*columns, console=Console(stderr=True), transient=True)
    task = progress.add_task("", total=count)
    begins = time.monotonic() + _QUIET
    try:
        for rows in chunks:
            yield rows
            progress.advance(task, len(rows))
            if time.monotonic() >= begins and not progress.live.is_started:
                progress.start()
    finally:
        if progress.live.is_started:
            progress.stop()


def _notes(config: Config, changes: Changes, facts: dict[str, float]) -> Iterator[str]:
    """What people should know of what they read."""
    recorded = {name: facts.get(name) for name in ("good_half_life", "bad_half_life", "evidence_cap")}
    if differing := [name for name, value in recorded.items() if value not in {None, getattr(config.history, name)}]:
        names = ", ".join(f"history.{name}" for name in differing)
        yield f"what was recorded has been learned under another {names}; the new value cannot be applied to the past"
    for settings in config.dnslists:
        if changes.recorded and settings.zone not in changes.zones:
            yield f"{settings.zone} has listed nobody in these sessions; it may not have been asked then"
    if any(route.rule and "pool_open" in route.rule.names for route in config.routes):
        yield "a rule asks for pool_open, which is not recorded and was taken to be 0"
    if changes.unreadable:
        yield f"{changes.unreadable} recorded sessions cannot be read, and were left out"
