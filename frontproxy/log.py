"""The log: one line an event, written by a thread of its own, so that a stalled reader never stalls a session.

Lines wait in a bounded buffer; what does not fit is dropped, and a later line says how many. Refusals beyond a rate are
counted instead of told, so that a flood does not drown what matters.
"""

import os
import threading
import traceback
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache

from frontproxy.wire.logfmt import format_line

_TRACEBACK_LIMIT = 900
BUFFER_LIMIT = 4 * 1024 * 1024
"""Bytes that wait for the reader of the log."""
AT_ONCE = 200
"""Events that are kept until the next tick."""
OFTEN = 50
"""Lines a second about what strangers can cause at any rate (refusals, hang-ups); more are summed up."""


class Log:
    """Call it with an event and its values. `descriptor` is where lines go; `wall` gives the time in front of them."""

    def __init__(self, descriptor: int, wall: Callable[[], float] | None) -> None:
        self._descriptor = descriptor
        self._wall = wall
        self._events: list[tuple[float, str, dict[str, object]]] = []
        """When, what, and its values."""
        self._lines: list[bytes] = []
        self._size = 0
        self._dropped = 0
        self.dropped_in_all = 0
        self._frequent = 0
        self._bugs: set[str] = set()
        self._untold: Counter[str] = Counter()
        self._wake = threading.Event()
        self._idle = threading.Event()
        self._idle.set()
        threading.Thread(target=self._write_for_ever, name="log", daemon=True).start()

    def __call__(self, event: str, /, **values: object) -> None:
        """Write one line with the next tick, or count it as dropped when the reader is too far behind.

        Nobody waits for it: so it is written out together with what else has gathered, and not between two clients.
        """
        self._events.append((self._wall() if self._wall else 0.0, event, values))
        if len(self._events) >= AT_ONCE:
            self._write_out()

    def raw(self, line: str) -> None:
        """Write a line that is a line of the log already."""
        self._write_out()
        self._append(self._wall() if self._wall else 0.0, line)

    def _write_out(self) -> None:
        """Make lines of the events that have gathered."""
        events, self._events = self._events, []
        for wall, event, values in events:
            self._append(wall, format_line(event, values))

    def _append(self, wall: float, line: str) -> None:
        stamp = "" if self._wall is None else f"{_stamp(wall)} "
        data = f"{stamp}{line}\n".encode(errors="backslashreplace")
        if self._size + len(data) > BUFFER_LIMIT:
            self._drop(1)
            return
        self._lines.append(data)
        self._size += len(data)

    def _drop(self, lines: int) -> None:
        self._dropped += lines
        self.dropped_in_all += lines

    def often(self, event: str, why: str, /, **values: object) -> None:
        """What strangers can cause at any rate: told while it is rare in this second, counted by cause otherwise."""
        self._frequent += 1
        if self._frequent <= OFTEN:
            self(event, why=why, **values)
        else:
            self._untold[f"{event}_{why}"] += 1

    def bug(self, where: str, error: Exception, /, **values: object) -> None:
        """A mistake of ours: its traceback the first time it shows at this place, counted afterwards."""
        trace = traceback.extract_tb(error.__traceback__)
        place = f"{trace[-1].filename}:{trace[-1].lineno}" if trace else where
        if place in self._bugs:
            self.often("bug", where, error=repr(error), **values)
            return
        self._bugs.add(place)
        lines = "".join(traceback.format_exception(error))[-_TRACEBACK_LIMIT:]  # what matters stands last
        self("bug", where=where, error=repr(error), traceback=lines, **values)

    def tick(self) -> None:
        """Once in a few dozen milliseconds: let the thread write what has gathered."""
        self._write_out()
        if self._dropped and self._size < BUFFER_LIMIT // 2:
            dropped, self._dropped = self._dropped, 0
            self("log_dropped", lines=dropped)
            self._write_out()
        if self._lines:
            self._idle.clear()
            self._wake.set()

    def second(self) -> None:
        """Once a second: sum up what was not told."""
        if self._untold:
            self("untold", **dict(self._untold))
            self._untold.clear()
        self._frequent = 0

    def flush(self, timeout: float) -> None:
        """Wait until all is written, but at most `timeout` seconds; for the end of the program."""
        self.second()
        self.tick()
        self._idle.wait(timeout)

    def _write_for_ever(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            lines, self._lines = self._lines, []
            data = memoryview(b"".join(lines))
            try:
                while data:
                    data = data[os.write(self._descriptor, data) :]
            except OSError:
                self._drop(len(lines))
            self._size = sum(map(len, self._lines))
            if not self._lines:
                self._idle.set()


def _stamp(seconds: float) -> str:
    """RFC 3339 with milliseconds; the whole second is worked out once."""
    return f"{_second(int(seconds))}.{int(seconds * 1000) % 1000:03}Z"


@lru_cache(maxsize=2)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
