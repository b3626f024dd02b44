"""How far long work on the history file is, told now and then."""

import time
from collections.abc import Callable

Tell = Callable[[str], None]
"""Takes a line for the operator."""

TELL_EVERY = 2.0
"""Seconds between two lines."""


class Progress:
    """Counts rows that are done."""

    def __init__(self, what: str, rows: int, tell: Tell) -> None:
        """`what` is done, as in "history of version 1 is brought up to date"."""
        self._what = what
        self._rows = rows
        self._tell = tell
        self._done = 0
        self._told = time.monotonic()

    def advance(self, rows: int = 1) -> None:
        """So many more are done."""
        self._done += rows
        if (self._done % 1024 == 0 or rows > 1) and time.monotonic() - self._told >= TELL_EVERY:
            self._told = time.monotonic()
            self._tell(f"{self._what}: {self._done} of {self._rows} rows")
