"""What is wrong with a history file, as the operator hears it: each trouble once, for as long as it lasts."""

import sqlite3
import traceback
from collections.abc import Sequence
from typing import Final, Literal, Protocol

from frontproxy.memory.soundness import Damaged

TROUBLES: Final = (sqlite3.Error, OSError, Damaged, RuntimeError, MemoryError)
"""What work on the file raises when the machine is in trouble. (RuntimeError: there is no thread to be had.)"""

Kind = Literal["write", "file", "size", "copy", "half-lives", "bug"]

_ERROR_LIMIT = 200  # characters
_TRACEBACK_LIMIT = 900  # characters; what matters stands last


class Log(Protocol):
    """Where events go; must not block."""

    def __call__(self, event: str, /, **values: object) -> None: ...


class Troubles:
    """Those found at opening, which stay, and those of now, one of each kind."""

    def __init__(self, log: Log, *, at_opening: Sequence[str], failing: str) -> None:
        """`failing`: why the file cannot be written now, if that is so."""
        self._log = log
        self._at_opening = at_opening
        self._now: dict[Kind, str] = {"write": failing} if failing else {}
        for text in self.current():
            self._tell(text)

    def current(self) -> list[str]:
        """What is wrong now; those found at opening stand first."""
        return [*self._at_opening, *self._now.values()]

    def has(self, kind: Kind) -> bool:
        """There is such a trouble now."""
        return kind in self._now

    def begin(self, kind: Kind, text: str) -> None:
        """There is such a trouble now; it is told unless it was there already, word for word."""
        if self._now.get(kind) != text:
            self._now[kind] = text
            self._tell(text)

    def end(self, kind: Kind) -> bool:
        """There is no such trouble any more; tells whether there was."""
        return self._now.pop(kind, None) is not None

    def bug(self, what: str, error: Exception) -> None:
        """A mistake of ours, told once with its traceback; it is a trouble until the end, as the next ones may be."""
        if "bug" not in self._now:
            self._now["bug"] = (
                f"{what} ({repr(error)[:_ERROR_LIMIT]}): a bug in frontproxy; its traceback is in the log"
            )
            self._tell(self._now["bug"], traceback="".join(traceback.format_exception(error))[-_TRACEBACK_LIMIT:])

    def _tell(self, text: str, **more: object) -> None:
        self._log("history", state="trouble", text=text, **more)
