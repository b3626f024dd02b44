"""Outcome lines to the report socket of the parent: one connection, made again when it breaks; no session ever waits.

While the parent cannot be reached lines are kept, the newest of them; lines that had to go are counted in the log.
"""

import socket
from collections import deque
from pathlib import Path

import trio

from backends.smtpd.log import Log
from frontproxy.wire.outcome_line import OutcomeLine, encode

_KEPT = 10_000
"""Lines kept while the parent cannot be reached; about 2 MB."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 10.0  # seconds between attempts to connect


class Reporter:
    """Sends outcome lines in order."""

    def __init__(self, path: Path, log: Log) -> None:
        self._path = path
        self._log = log
        self._connection: socket.socket | None = None
        self._lines: deque[bytes] = deque()
        self._partly_sent = False
        self._dropped = 0
        self._work = trio.Event()
        self._idle = trio.Event()
        self._idle.set()

    def add(self, outcome: OutcomeLine) -> None:
        """Report one session. The usual case is one system call and wakes no task."""
        self._lines.append(encode(outcome))
        if len(self._lines) > _KEPT:
            del self._lines[1 if self._partly_sent else 0]
            self._dropped += 1
        if self._connection is None or len(self._lines) > 1 or not self._send_lines(self._connection):
            self._idle = trio.Event() if self._idle.is_set() else self._idle
            self._work.set()

    async def run(self) -> None:
        """Connect, and send what could not be sent at once; until cancelled."""
        pause = _FIRST_PAUSE
        try:
            while True:
                connection = self._connect()
                if connection is None:
                    await trio.sleep(pause)
                    pause = min(2 * pause, _LONGEST_PAUSE)
                    continue
                pause = _FIRST_PAUSE
                await self._send_rest(connection)
        finally:
            self._disconnect()

    async def flush(self) -> None:
        """Return when every line is sent; put a limit around it."""
        await self._idle.wait()

    def _connect(self) -> socket.socket | None:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.setblocking(False)
        try:
            connection.connect(str(self._path))
        except OSError:
            connection.close()
            return None
        self._connection = connection
        if self._dropped:
            self._log.event("report_dropped", lines=self._dropped)
            self._dropped = 0
        return connection

    async def _send_rest(self, connection: socket.socket) -> None:
        """Send what comes, until the connection breaks."""
        while self._connection is connection:
            if self._send_lines(connection):
                self._idle.set()
                self._work = trio.Event()
                await self._work.wait()
            elif self._connection is connection:
                await trio.lowlevel.wait_writable(connection)

    def _send_lines(self, connection: socket.socket) -> bool:
        """Send until done (True), or until the kernel takes no more or the connection is broken (False)."""
        while self._lines:
            line = self._lines[0]
            try:
                sent = connection.send(line)
            except BlockingIOError:
                return False
            except OSError:
                self._disconnect()
                return False
            self._partly_sent = sent < len(line)
            if self._partly_sent:
                self._lines[0] = line[sent:]
            else:
                self._lines.popleft()
        return True

    def _disconnect(self) -> None:
        if self._connection is not None:
            trio.lowlevel.notify_closing(self._connection)
            self._connection.close()
            self._connection = None
        if self._partly_sent:  # the rest of a line means nothing on a new connection
            self._lines.popleft()
            self._dropped += 1
            self._partly_sent = False
