"""The feeds' end of the report socket: outcome lines out, over one connection, made again when it breaks.

Nothing here waits: the program's loop calls `flush` when it has done a round of work, and when `due` has come. While
frontproxy cannot be reached lines are kept, the newest of them, and those that had to go are counted.
"""

import socket
from collections import deque
from pathlib import Path

from frontproxy.wire.outcome_line import OutcomeLine, encode

KEPT = 10_000
"""Lines kept while frontproxy cannot be reached; about 2 MB."""
AT_ONCE = 200
"""Lines of one write."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0  # seconds between attempts


class Reporter:
    """Sends outcome lines in order; `dropped` says how many could not be kept."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._connection: socket.socket | None = None
        self._lines: deque[bytes] = deque()
        self._partly_sent = False
        self._pause = _FIRST_PAUSE
        self.due: float | None = 0.0  # connect at once: a feed that has nothing to tell yet is there all the same
        """When `flush` wants to be called again, on its caller's clock; None while it has nothing to do."""
        self.dropped = 0

    @property
    def is_connected(self) -> bool:
        """The last attempt to reach frontproxy succeeded."""
        return self._connection is not None

    def add(self, outcome: OutcomeLine) -> None:
        """Have one line sent by the next `flush`."""
        self._lines.append(encode(outcome))
        if len(self._lines) > KEPT:
            del self._lines[1 if self._partly_sent else 0]
            self.dropped += 1

    def flush(self, now: float) -> None:
        """Send what can be sent at once; `now` is monotonic, in seconds."""
        if self.due is not None and now < self.due:
            return
        self.due = None
        if self._connection is None and not self._connect():
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)
            self.due = now + self._pause
        elif not self._send():
            self.due = now + _FIRST_PAUSE

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._partly_sent:  # the rest of a line means nothing on a new connection
            self._lines.popleft()
            self.dropped += 1
            self._partly_sent = False

    def _connect(self) -> bool:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            connection.connect(self._path)
        except OSError:
            connection.close()
            return False
        self._connection = connection
        self._pause = _FIRST_PAUSE
        return self._send()

    def _send(self) -> bool:
        """All has been sent; false if it must be tried again later."""
        while self._lines and self._connection is not None:
            lines = [self._lines[index] for index in range(min(AT_ONCE, len(self._lines)))]
            try:
                sent = self._connection.send(b"".join(lines))
            except BlockingIOError:
                return False
            except OSError:
                self.close()
                return False
            self._forget(sent)
        return True

    def _forget(self, sent: int) -> None:
        """So many octets have gone out."""
        while sent:
            line = self._lines[0]
            self._partly_sent = sent < len(line)
            if self._partly_sent:
                self._lines[0] = line[sent:]
                return
            self._lines.popleft()
            sent -= len(line)
