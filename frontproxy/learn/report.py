"""The report socket: feeds write outcome lines here, and nothing is answered."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from socket import socket

import trio

from frontproxy.local import Lines, serve_local
from frontproxy.wire.outcome_line import LINE_LIMIT, OutcomeLine, OutcomeLineError, decode

GATHER = 0.02
"""Seconds between two reads of one feed, so that a busy one wakes us once for many lines."""
FEEDS_LIMIT = 64
_LINES_AT_ONCE = 50
_CHUNK = 64 * 1024


@dataclass(slots=True)
class FeedsHeard:
    """What the feeds have said so far."""

    connected: int = 0
    lines: int = 0
    bad_lines: int = 0
    last_line: float = 0.0
    """Monotonic seconds; 0 before the first."""


class ReportSocket:
    """Serves feeds. `told` gets each outcome; `hurry` says that somebody waits for a place, so we must not dawdle."""

    def __init__(
        self, told: Callable[[OutcomeLine], None], hurry: Callable[[], bool], log: Callable[..., None], group: str
    ) -> None:
        self._told = told
        self._hurry = hurry
        self._log = log
        self._group = group
        self.heard = FeedsHeard()
        self._silent: dict[trio.socket.SocketType, trio.CancelScope] = {}  # the longest silent first

    async def serve(self, door: socket) -> None:
        """Accept feeds for ever."""
        await serve_local(door, self._group, self._serve_feed, partial(self._log, "report"))

    async def _serve_feed(self, feed: trio.socket.SocketType) -> None:
        with trio.CancelScope() as scope:
            self._make_room()
            self._silent[feed] = scope
            self.heard.connected += 1
            try:
                await self._read(feed)
            except OSError:
                pass  # it went away in the middle; what it said before counts
            finally:
                self._silent.pop(feed, None)
                self.heard.connected -= 1

    def _make_room(self) -> None:
        """When there are too many feeds, the one that has been silent longest leaves: it can come back."""
        if len(self._silent) >= FEEDS_LIMIT:
            feed = next(iter(self._silent))
            self._silent.pop(feed).cancel()
            self._log("report", state="dropped", why=f"{FEEDS_LIMIT} feeds are connected, and this one was silent")

    async def _read(self, feed: trio.socket.SocketType) -> None:
        lines = Lines(LINE_LIMIT)
        while data := await feed.recv(_CHUNK):
            if feed in self._silent:
                self._silent[feed] = self._silent.pop(feed)
            for number, line in enumerate(lines.feed(data), 1):
                self._hear(line)
                if number % _LINES_AT_ONCE == 0:
                    await trio.lowlevel.checkpoint()
            await trio.sleep(0 if self._hurry() else GATHER)

    def _hear(self, line: bytes | None) -> None:
        if line == b"":
            return
        try:
            outcome = decode(b"" if line is None else line)
        except OutcomeLineError as error:
            self._complain(str(error) if line is not None else f"longer than {LINE_LIMIT} bytes")
            return
        self.heard.lines += 1
        self.heard.last_line = time.monotonic()
        self._told(outcome)

    def _complain(self, why: str) -> None:
        self.heard.bad_lines += 1
        if self.heard.bad_lines <= 10 or self.heard.bad_lines % 1000 == 0:
            self._log("report", state="bad_line", why=why, so_far=self.heard.bad_lines)
