"""What every program of ours has from the frontproxy that started it: its orders, its lifeline, and a place in the log.

Standard input holds the orders, one line of JSON, and is then the lifeline: end-of-file means finish and end. Lines on
standard error go into frontproxy's log; they never block, and one that says `event=alive` is a sign of life.
"""

import contextlib
import json
import os
from typing import Any, Final

from frontproxy.wire.logfmt import format_line

BEAT: Final = 4.0
"""Seconds between signs of life."""
_ORDERS_LIMIT: Final = 512 * 1024
_LINE_LIMIT: Final = 4096  # octets; a pipe takes so many in one piece or not at all
_QUIET: Final = 10.0  # seconds between two lines about the same trouble


class BadOrders(ValueError):
    """The orders cannot be read; the text says why."""


def read_line(descriptor: int) -> Any:
    """What the first line says, as JSON. Raises BadOrders, OSError."""
    data = b""
    while not data.endswith(b"\n"):
        piece = os.read(descriptor, 1)  # what follows the line is the lifeline
        if not piece or len(data) >= _ORDERS_LIMIT:
            break
        data += piece
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise BadOrders("not a line of JSON") from None


class ChildLog:
    """Lines of `key=value` words to standard error; `often` keeps one trouble to a line now and then."""

    def __init__(self, kind: str, name: str, descriptor: int = 2) -> None:
        """`kind` is the event of what `often` tells."""
        self._kind = kind
        self._name = name
        self._descriptor = descriptor
        self._held: dict[str, int] = {}
        self._told: dict[str, float] = {}

    def say(self, event: str, **values: object) -> None:
        """Write one line; without fail, and without waiting. Without a reader it is lost."""
        data = format_line(event, {"name": self._name, **values}).encode()[: _LINE_LIMIT - 1] + b"\n"
        with contextlib.suppress(OSError):
            os.write(self._descriptor, data)

    def often(self, now: float, state: str, **values: object) -> None:
        """A trouble that strangers can cause at will: a line every ten seconds, with how many there were since."""
        held = self._held.get(state, 0) + 1
        if now - self._told.get(state, -_QUIET) < _QUIET:
            self._held[state] = held
            return
        self._held[state], self._told[state] = 0, now
        self.say(self._kind, state=state, times=held, **values)
