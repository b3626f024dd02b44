"""Which log comes first: logs are learned in the order of their first dates, however they are named.

A log whose lines have no year ends before it was last changed, and each January that follows a December in it is a year
more; so its first year is known before it is read. A pipe is read once: what it begins with happened last year at most.
"""

import errno
import os
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from frontproxy.hindsight.events import STDIN
from frontproxy.hindsight.unpack import PIECE, Damaged, Octets
from frontproxy.local import Lines
from frontproxy.logs import LogReader

LINE_LIMIT: Final = 1 << 16
"""Octets of one line; a longer one tells nothing."""

EX_USAGE: Final = 64
EX_DATAERR: Final = 65
EX_NOINPUT: Final = 66
EX_IOERR: Final = 74

_DAY: Final = 86400.0
_DECEMBER: Final = 12
_REMEDIES: Final = {
    errno.ENOENT: "is the name right?",
    errno.EACCES: "run this as root, or as a member of the log's group",
    errno.EPERM: "run this as root, or as a member of the log's group",
}


class Unreadable(Exception):
    """A log cannot be read, or not to its end: says why and what to do; `code` is the exit code for that."""

    def __init__(self, code: int, text: str) -> None:
        self.code = code
        super().__init__(text)


@dataclass(slots=True)
class Log:
    """A log that can be read."""

    name: str
    size: int | None
    """Octets; None for a pipe."""
    changed: float
    """When something was last written to it, in seconds since 1970; for a pipe, now."""
    first: float = 0.0
    """The date it begins with, or, if none was found, when it was last changed."""
    year: int = 0
    """Of its first line; 0 if its lines tell the year."""
    octets: Octets | None = None
    """What is open already, since it can be opened once only."""
    beginning: bytes = b""
    """What was read of that."""

    def pieces(self) -> Iterator[tuple[bytes, int]]:
        """All of it, piece by piece, each with the octets read of the file. Raises Unreadable."""
        octets = self.octets or Octets(_opened(self.name))
        try:
            if self.beginning:
                yield self.beginning, octets.position
            while piece := octets.read():
                yield piece, octets.position
        except Damaged as damage:
            remedy = "what came before was learned; mend it, or take another copy of it"
            raise Unreadable(EX_DATAERR, f"{self.name}: {damage}; {remedy}") from None
        except OSError as error:
            raise Unreadable(EX_IOERR, f"{self.name}: {error.strerror}; what came before was learned") from None
        finally:
            octets.close()


def in_order(names: Sequence[str], now: float) -> tuple[list[Log], list[tuple[str, Unreadable]]]:
    """The logs that can be read, in the order of their first dates; and those that cannot, with why."""
    logs, unreadable = [], []
    for name in dict.fromkeys(names):
        try:
            logs.append(look_at(name, now))
        except Unreadable as why:
            unreadable.append((name, why))
    return sorted(logs, key=lambda log: log.first), unreadable


def look_at(name: str, now: float) -> Log:
    """The log of this name, and when it begins; `now` is in seconds since 1970. Raises Unreadable."""
    file = _opened(name)
    found = os.fstat(file.fileno())
    is_file = stat.S_ISREG(found.st_mode)
    log = Log(name, found.st_size if is_file else None, min(found.st_mtime, now) if is_file else now)
    octets = Octets(file)
    _find_first_date(log, octets)
    if not is_file or name == STDIN:
        log.octets = octets
        return log
    octets.close()
    log.beginning = b""
    if log.year:
        log.year = _first_year(log)
    return log


def _find_first_date(log: Log, octets: Octets) -> None:
    """Set when the first line understood was written, and its year if it does not tell that."""
    log.first = log.changed
    reader, lines = LogReader(year=_date(log.changed).tm_year, now=log.changed + _DAY), Lines(LINE_LIMIT)
    with suppress(Damaged, OSError):  # met again when it is read
        while len(log.beginning) < PIECE and (piece := octets.read()):
            log.beginning += piece
            for line in lines.feed(piece):
                reader.read(line or b"")
                if line and reader.understood:
                    log.first = reader.when
                    log.year = _date(log.first).tm_year if line[:1].isalpha() else 0
                    return


def _first_year(log: Log) -> int:
    """The year of the first line of a log without years: each January after a December is another year."""
    turns, is_december, before = 0, False, b"\n"
    with suppress(Unreadable):  # met again when it is read
        for piece, _position in log.pieces():
            data, at = before + piece, 0
            while (at := data.find(b"\nJan " if is_december else b"\nDec ", at)) >= 0:
                turns += is_december
                is_december = not is_december
            before = data[-4:]
    changed = _date(log.changed)
    last = changed.tm_year - (is_december and changed.tm_mon < _DECEMBER)
    return last - turns if turns else log.year


def _date(when: float) -> time.struct_time:
    """As logs without a zone tell it."""
    return time.localtime(when)


def _opened(name: str) -> BinaryIO:
    """The file of this name, unbuffered. Raises Unreadable."""
    if name == STDIN:
        if os.isatty(0):
            raise Unreadable(EX_USAGE, "standard input is a terminal; pipe a log into it, or name a file")
        return open(0, "rb", buffering=0, closefd=False)
    try:
        return Path(name).open("rb", buffering=0)
    except IsADirectoryError:
        text = f"{name} is a folder; name the logs in it, such as {Path(name) / 'mail.log*'}"
        raise Unreadable(EX_NOINPUT, text) from None
    except (OSError, ValueError) as error:
        number = error.errno if isinstance(error, OSError) else None
        why = (error.strerror if isinstance(error, OSError) else "") or str(error)
        remedy = _REMEDIES.get(number or 0, "")
        raise Unreadable(EX_NOINPUT, f"{name}: {why}" + (f"; {remedy}" if remedy else "")) from None
