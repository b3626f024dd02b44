"""Log lines that never block: when their reader stalls they are dropped, and counted in a later line."""

import os

from frontproxy.wire.logfmt import format_line

_LINE_LIMIT = 4096  # bytes; a pipe takes so many in one piece or not at all


class Log:
    """Lines of `key=value` words."""

    def __init__(self, descriptor: int = 2) -> None:
        self._descriptor = descriptor
        self._dropped = 0

    def never_block(self) -> None:
        """For a pipe of our own. A terminal is shared with the shell, which would suffer from it."""
        os.set_blocking(self._descriptor, False)

    def event(self, name: str, **values: object) -> None:
        """Write one line; without fail, and without waiting."""
        if self._dropped and self._write(format_line("log_dropped", {"lines": self._dropped})):
            self._dropped = 0
        if not self._write(format_line(name, values)):
            self._dropped += 1

    def _write(self, line: str) -> bool:
        data = line.encode()[: _LINE_LIMIT - 1] + b"\n"
        try:
            return os.write(self._descriptor, data) > 0
        except OSError:
            return False  # full, or nobody reads any more
