"""Command lines out of a stream of bytes. A line ends with CRLF; a bare CR or LF ends the session.

What a client sends is kept only up to the limit of one line: of a longer one we remember that it was too long, and how
much of it went by.
"""

from backends.smtpd.replies import BARE_LINE_END, LINE_TOO_LONG, ProtocolError

_ENDLESS = 65536
"""Bytes of one line after which we stop waiting for its end."""


class LineReader:
    """Collects bytes, gives lines without their CRLF."""

    def __init__(self, limit: int) -> None:
        """`limit` is the longest line in bytes, its CRLF not counted."""
        self._limit = limit
        self._buffer = bytearray()
        self._searched = 0
        self._skipped = 0

    def __len__(self) -> int:
        """Bytes that wait to be read."""
        return len(self._buffer)

    def starts_with(self, prefix: bytes) -> bool:
        """Whether what waits begins so."""
        return self._buffer.startswith(prefix)

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def next_line(self) -> bytes | None:
        """The next line, or None when its end has not come. Raises ProtocolError for one that is no command line."""
        end = self._buffer.find(b"\n", self._searched)
        if end < 0:
            self._searched = len(self._buffer)
            self._keep_within_bounds()
            return None
        line = bytes(self._buffer[: end + 1])
        del self._buffer[: end + 1]
        self._searched = 0
        too_long, self._skipped = self._skipped + len(line) - 2 > self._limit, 0
        if not line.endswith(b"\r\n") or line.count(b"\r") > 1:
            raise ProtocolError(BARE_LINE_END, close=True)
        if too_long:
            raise ProtocolError(LINE_TOO_LONG)
        return line[:-2]

    def _keep_within_bounds(self) -> None:
        excess = len(self._buffer) - self._limit - 2
        if excess > 0:
            if b"\r" in self._buffer[:excess]:
                raise ProtocolError(BARE_LINE_END, close=True)
            del self._buffer[:excess]
            self._searched -= excess
            self._skipped += excess
        if self._skipped > _ENDLESS:
            raise ProtocolError(LINE_TOO_LONG, close=True)
