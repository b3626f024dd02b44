"""How far learning has come: a bar on a terminal, elsewhere a line every ten seconds."""

import sys
import time
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from frontproxy.hindsight.tally import Tally

_LINE_EVERY: Final = 10.0  # seconds
_DRAW_EVERY: Final = 0.2


class Shown:
    """Shows progress on standard error, while it is entered."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._console = Console(stderr=True)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[speed]}"),
        )
        self._bar = Progress(*columns, TimeRemainingColumn(), console=self._console, auto_refresh=False, transient=True)
        self._task = self._bar.add_task("learning", total=None, speed="")
        self._began = time.monotonic()
        self._next = self._began

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._bar.start()
        else:
            self._next += _LINE_EVERY
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def advance(self) -> None:
        """Something may have changed; cheap."""
        now = time.monotonic()
        if now < self._next:
            return
        reads = [log.read for log in self._tally.logs]
        done = sum(read.size if read.done and read.size else read.position for read in reads)
        sizes = [read.size for read in reads]
        total = None if None in sizes else sum(size for size in sizes if size)
        lines = sum(read.lines for read in reads)
        speed = f"{lines:,} lines, {lines / max(now - self._began, 0.001):,.0f} a second"
        if self._console.is_terminal:
            self._next = now + _DRAW_EVERY
            self._bar.update(self._task, completed=done, total=total, speed=speed, refresh=True)
        else:
            self._next = now + _LINE_EVERY
            part = f"{done / total:.0%} read, " if total else ""
            print(f"learning: {part}{speed}", file=sys.stderr, flush=True)  # noqa: T201  this is where people look
