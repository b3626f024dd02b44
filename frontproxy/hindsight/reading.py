"""The reading program: reads logs in order, and tells of the sessions in them (`events`).

python -m frontproxy.hindsight.reading [--generic DOMAINS] LOG...        started by the command

It is a process of its own because reading takes as long as learning: together they have two cores. What can be packed
into a log is bounded here, too: this program may take only so much memory. Its output is a pipe; when nobody reads
that any more, the command has ended, and so it ends.
"""

import argparse
import os
import resource
import signal
import sys
import time
from collections.abc import Sequence
from typing import BinaryIO, Final

from frontproxy.core import address
from frontproxy.core.address import AddressError
from frontproxy.hindsight.events import LogRead
from frontproxy.hindsight.names import LogNames
from frontproxy.hindsight.order import EX_DATAERR, LINE_LIMIT, Log, Unreadable, in_order
from frontproxy.local import Lines
from frontproxy.logs import LogReader, Seen
from frontproxy.memory.told import told_key
from frontproxy.past import BATCH_LIMIT, PastSession, batch_of, encode

_MEMORY_LIMIT: Final = 2 << 30
_TELL_EVERY: Final = 0.2  # seconds
_EXAMPLES: Final = 3
_AUTHENTICATED: Final = frozenset({"submission", "smtps", "submissions"})
_LOOPBACK_4: Final = 127


class Reading:
    """Reads logs one after the other, and writes events."""

    def __init__(self, output: BinaryIO, *, now: float, names: LogNames) -> None:
        self._output = output
        self._write = output.write
        self._now = now
        self._names = names
        self._batch: list[bytes] = []
        self._batch_size = 2
        self._tell_at = 0.0
        self._reader: LogReader | None = None

    def run(self, names: Sequence[str]) -> None:
        """Read these logs; what cannot be read is told, and the others go on."""
        logs, unreadable = in_order(names, self._now)
        told = [LogRead(log=log.name, size=log.size) for log in logs]
        for each in told:
            self._write(each.line())
        for name, why in unreadable:
            self._write(LogRead(log=name, size=0, trouble=str(why), code=why.code, done=True).line())
        for log, read in zip(logs, told, strict=True):
            try:
                self._read(log, read)
            except Unreadable as why:
                read.trouble, read.code = str(why), why.code
            if log is logs[-1]:
                self._flush(read)
            read.done = True
            self._write(read.line())

    def _read(self, log: Log, read: LogRead) -> None:
        """Read one log. Raises Unreadable."""
        reader = self._reader_for(log, read)
        reader.examples.clear()
        count = _Counting(reader, read)
        lines = Lines(LINE_LIMIT)
        try:
            for piece, read.position in log.pieces():
                for line in lines.feed(piece):
                    if (seen := reader.read(line or b"")) is not None:
                        self._take(seen, read)
                self._tell(count)
        finally:
            count.note()
        if read.lines and not count.understood:
            raise Unreadable(EX_DATAERR, f"{log.name} has no line of a mail server that I know; is it a mail log?")

    def _reader_for(self, log: Log, read: LogRead) -> LogReader:
        """The one that has read what came before, since sessions do not end with a file; unless the year is another."""
        reader = self._reader
        if reader is None or (log.year and log.year != time.localtime(reader.when).tm_year):
            self._flush(read)
            reader = self._reader = LogReader(year=log.year or time.localtime(self._now).tm_year, now=self._now)
        return reader

    def _flush(self, read: LogRead) -> None:
        """Take the sessions that have ended and were not told yet. Those that may go on end in a log to come."""
        if self._reader is not None:
            for seen in self._reader.flush():
                self._take(seen, read)
        self._send()

    def _take(self, seen: Seen, read: LogRead) -> None:
        read.sessions += 1
        line = seen.line
        try:
            packed = address.pack(line.client)
        except AddressError:  # the log's own word for somebody without an address
            read.loopback += 1
            return
        if _is_loopback(packed):
            read.loopback += 1
        elif _AUTHENTICATED & set(seen.service.split("/")):
            read.authenticated += 1
        else:
            key = told_key(packed, line.port, line.ended, seen.origin)
            self._add(encode(PastSession(line, key, self._names.of(seen.name, packed, line.ended))))

    def _add(self, session: bytes) -> None:
        if self._batch_size + len(session) > BATCH_LIMIT:
            self._send()
        self._batch.append(session)
        self._batch_size += len(session) + 1

    def _send(self) -> None:
        if self._batch:
            self._write(batch_of(self._batch) + b"\n")
            self._batch, self._batch_size = [], 2

    def _tell(self, count: "_Counting") -> None:
        """Have the command know what came of a piece of a log."""
        self._send()
        now = time.monotonic()
        if now >= self._tell_at:
            self._tell_at = now + _TELL_EVERY
            self._write(count.note().line())
        self._output.flush()


class _Counting:
    """What one log adds to the counts of a reader that has read others before."""

    def __init__(self, reader: LogReader, read: LogRead) -> None:
        self._reader = reader
        self._read = read
        self._before = reader.lines, reader.ignored, reader.not_understood, reader.understood

    @property
    def understood(self) -> int:
        """Lines of this log that were understood."""
        return self._reader.understood - self._before[3]

    def note(self) -> LogRead:
        """The counts as they are now."""
        reader, read = self._reader, self._read
        lines, ignored, not_understood, _understood = self._before
        read.lines = reader.lines - lines
        read.ignored = reader.ignored - ignored
        read.not_understood = reader.not_understood - not_understood
        read.examples = [_escaped(example) for example in reader.examples[:_EXAMPLES]]
        return read


def _escaped(line: bytes) -> str:
    """A line as it can be shown: a log may hold orders for a terminal."""
    return ascii(line.decode("utf-8", "backslashreplace"))[1:-1]


def _is_loopback(packed: bytes) -> bool:
    return packed[0] == _LOOPBACK_4 if len(packed) == 4 else packed == b"\0" * 15 + b"\1"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as the arguments say."""
    parser = argparse.ArgumentParser(prog="python -m frontproxy.hindsight.reading", description="Reads mail logs.")
    parser.add_argument("--generic", metavar="DOMAINS", default="", help="domains that are no provider, by commas")
    parser.add_argument("log", nargs="+", metavar="LOG")
    options = parser.parse_args(arguments)
    for number in (signal.SIGINT, signal.SIGHUP):  # a terminal sends them to all of us; the command obeys
        signal.signal(number, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_LIMIT, resource.getrlimit(resource.RLIMIT_AS)[1]))
    names = LogNames(options.generic.split(",") if options.generic else ())
    try:
        Reading(sys.stdout.buffer, now=time.time(), names=names).run(options.log)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or Python complains when it closes it
    return 0


if __name__ == "__main__":
    sys.exit(main())
