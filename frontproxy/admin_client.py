"""A running proxy's admin socket, as the commands use it: a line of words out, a line of JSON back. This blocks."""

import json
import socket
from pathlib import Path
from typing import Any, Self

ANSWER_WITHIN = 60.0
"""Seconds."""


class ClosedWithoutAnswer(ConnectionError):
    """Somebody listens there who does not speak to us."""


class AdminClient:
    """One connection. Opening it and asking raise OSError if nobody answers, or may not be asked by us."""

    def __init__(self, path: Path, *, within: float | None = None) -> None:
        """`within` so many seconds an answer must come, by default `ANSWER_WITHIN`."""
        self._connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._connection.settimeout(ANSWER_WITHIN if within is None else within)
            self._connection.connect(str(path))
        except OSError:
            self._connection.close()
            raise
        self._stream = self._connection.makefile("rw", encoding="utf-8", errors="backslashreplace")

    def ask(self, request: str) -> dict[str, Any]:
        """The answer to one request; it is one line, whatever its words hold."""
        self._stream.write(" ".join(request.split()) + "\n")
        self._stream.flush()
        line = self._stream.readline()
        if not line:
            raise ClosedWithoutAnswer("it hung up")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """Hang up."""
        self._connection.close()
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()
