"""What the reading program tells the command: lines of JSON, objects about its progress and arrays of sessions.

An array is a batch as the running proxy takes it (`frontproxy.past`), so the command can pass it on as it is.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Final, Self

STDIN: Final = "-"
"""The name of a log that comes through standard input."""

LINE_LIMIT: Final = 1 << 20
"""Octets of one event."""


@dataclass(slots=True, kw_only=True)
class LogRead:
    """How far one log was read, and what was in it."""

    log: str
    """As it was named on the command line."""
    size: int | None = None
    """Octets; None if nobody can know, as with a pipe."""
    position: int = 0
    """Octets that were read, packed as they are."""
    lines: int = 0
    ignored: int = 0
    """Lines of other programs, or that tell nothing."""
    not_understood: int = 0
    examples: Sequence[str] = ()
    """Of lines not understood; escaped, and cut."""
    sessions: int = 0
    """Ends of sessions that the lines tell."""
    loopback: int = 0
    """Sessions of clients on the machine itself."""
    authenticated: int = 0
    """Sessions of services for users who authenticate."""
    trouble: str = ""
    """Why it was not read to its end, and what to do; empty if it was."""
    code: int = 0
    """The exit code for that trouble."""
    done: bool = False

    def line(self) -> bytes:
        """The event."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def of(cls, line: bytes) -> Self:
        """The reverse of `line`. Raises ValueError, TypeError for anything else."""
        values = json.loads(line)
        return cls(**{field.name: values[field.name] for field in fields(cls)})
