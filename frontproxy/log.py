"""The log: one line an event, written by a thread of its own, so that a stalled reader never stalls a session.

Lines wait in a bounded buffer; what does not fit is dropped, and a later line says how many. Refusals beyond a rate are
counted instead of told, so that a flood does not drown what matters.
"""

import os
import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime

from frontproxy.wire.logfmt import format_line

BUFFER_LIMIT = 4 * 1024 * 1024
"""Bytes that wait for the reader of the log."""
REFUSALS_A_SECOND = 50


class Log:
    """Call it with an event and its values. `descriptor` is where lines go; `wall` gives the time in front of them."""

    def __init__(self, descriptor: int, wall: Callable[[], float] | None) -> None:
        self._descriptor = descriptor
        self._wall = wall
        self._lines: list[bytes] = []
        self._size = 0
        self._dropped = 0
        self.dropped_in_all = 0
        self._refusals = 0
        self._untold: Counter[str] = Counter()
        self._wake = threading.Event()
        self._idle = threading.Event()
        self._idle.set()
        threading.Thread(target=self._write_for_ever, name="log", daemon=True).start()

    def __call__(self, event: str, /, **values: object) -> None:
        """Write one line, or count it as dropped when the reader is too far behind."""
        self.raw(format_line(event, values))

    def raw(self, line: str) -> None:
        """Write a line that is a line of the log already."""
        stamp = "" if self._wall is None else f"{_stamp(self._wall())} "
        data = f"{stamp}{line}\n".encode(errors="backslashreplace")
        if self._size + len(data) > BUFFER_LIMIT:
            self._dropped += 1
            self.dropped_in_all += 1
            return
        self._lines.append(data)
        self._size += len(data)

    def refused(self, why: str, /, **values: object) -> None:
        """A refusal: told while there are few in this second, counted by cause otherwise."""
        self._refusals += 1
        if self._refusals <= REFUSALS_A_SECOND:
            self("refused", why=why, **values)
        else:
            self._untold[why] += 1

    def tick(self) -> None:
        """Once in a few dozen milliseconds: let the thread write what has gathered."""
        if self._dropped and self._size < BUFFER_LIMIT // 2:
            dropped, self._dropped = self._dropped, 0
            self("log_dropped", lines=dropped)
        if self._lines:
            self._idle.clear()
            self._wake.set()

    def second(self) -> None:
        """Once a second: sum up the refusals that were not told."""
        if self._untold:
            self("refused_more", **dict(self._untold))
            self._untold.clear()
        self._refusals = 0

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
            data = b"".join(lines)
            try:
                while data:
                    data = data[os.write(self._descriptor, data) :]
            except OSError:
                self._dropped += len(lines)
            self._size = sum(map(len, self._lines))
            if not self._lines:
                self._idle.set()


def _stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
