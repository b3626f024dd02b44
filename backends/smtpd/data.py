"""Message content out of a stream of bytes: its end is CRLF.CRLF and nothing else, a bare CR or LF is refused.

Mail can be smuggled past a filter when two servers disagree about where a message ends. So there is one spelling of the
end here, and content that holds another possible one (a bare CR or LF) is refused before its end is even looked for.

The reader keeps at most four bytes: a tail that may be the beginning of CRLF.CRLF. It starts with an invented CRLF,
since content begins at the start of a line, and takes it out again.
"""

from backends.smtpd.replies import BARE_IN_CONTENT, ProtocolError

_END = b"\r\n.\r\n"


class DataReader:
    """Takes one message out of what a client sends after DATA."""

    def __init__(self) -> None:
        self._tail = b"\r\n"
        self._invented = 2
        self.rest: bytes | None = None
        """None until the message has ended; then what followed it."""

    def feed(self, data: bytes) -> bytes:
        """The content that `data` completes, with dots unstuffed. Raises ProtocolError for a bare CR or LF."""
        window = self._tail + data
        end = window.find(_END)
        if end >= 0:
            content, self.rest = window[: end + 2], window[end + len(_END) :]
        else:
            content = window[: len(window) - _tail_length(window)]
            self._tail = window[len(content) :]
        pairs = content.count(b"\r\n")
        if content.count(b"\r") != pairs or content.count(b"\n") != pairs:
            raise ProtocolError(BARE_IN_CONTENT, close=True)
        return self._without_invented(content.replace(b"\r\n.", b"\r\n"))

    def _without_invented(self, content: bytes) -> bytes:
        if not content or not self._invented:
            return content
        skip, self._invented = self._invented, 0
        return content[skip:]


def _tail_length(window: bytes) -> int:
    """How many of the last bytes may be the beginning of the end."""
    for length in range(len(_END) - 1, 0, -1):
        if window.endswith(_END[:length]):
            return length
    return 0
