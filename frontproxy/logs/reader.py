"""One stream of log lines: each line goes to the mail server that wrote it, and what was understood is counted."""

from collections.abc import Iterator
from datetime import tzinfo
from itertools import chain

from frontproxy.logs import exim_lines, postfix_lines
from frontproxy.logs.dates import Dates
from frontproxy.logs.exim import EximLog
from frontproxy.logs.postfix import PostfixLog
from frontproxy.logs.seen import Seen, Sense

LINE_LIMIT = 16_384
"""Bytes of a line; what is longer is no mail server's."""
EXAMPLES = 5
EXAMPLE_LENGTH = 300
_HEAD_LENGTH = 400


class LogReader:
    """Lines in, sessions out. Postfix' and Exim's lines are told apart by themselves; they may even be mixed.

    What it keeps is bounded, whatever the log holds: sessions under way and their messages, the oldest of which go
    first.
    """

    def __init__(self, *, year: int, now: float, zone: tzinfo | None = None) -> None:
        """For lines without a year, `year` is the latest that the first can be of, and `now` (seconds since 1970) that
        any line can be of; a log that is followed may go on beyond it.

        Lines without a zone are of `zone`; None is the local time of this machine.
        """
        self._dates = Dates(year=year, now=now, zone=zone)
        self._postfix = PostfixLog()
        self._exim = EximLog()
        self.when = 0.0
        """The time of the last line that was understood; seconds since 1970, 0 before the first."""
        self.lines = self.understood = self.not_understood = 0
        self.examples: list[bytes] = []
        """Lines that should have been understood, the first few and not all of each; with a client's bytes in them.

        Whoever has shown them may clear them, and gets others.
        """

    @property
    def ignored(self) -> int:
        """Lines of other programs, and those that tell nothing about a session."""
        return self.lines - self.understood - self.not_understood

    def read(self, line: bytes) -> Seen | None:
        """Take one line, without its line feed; a session, when this line has ended one. Never raises."""
        self.lines += 1
        head = postfix_lines.HEAD.match(line)
        if head is not None:
            return self._read_postfix(line, head[1], head[2], head[3], head.end())
        if line[4:5] == b"-" and line[10:11] == b" ":  # Exim's own file
            return self._read_exim(line)
        beginning = line[:_HEAD_LENGTH]
        if b" exim" in beginning:
            return self._read_exim(line)
        if (line[:1] == b"<" or b" - " in beginning) and (head := postfix_lines.HEAD_5424.match(line)):
            return self._read_postfix(line, head[1], b"%s %s%s[%s]" % head.groups()[1:], head[4], head.end())
        return None

    def flush(self) -> Iterator[Seen]:
        """At the end of an old log: the sessions that have ended by its last date, and were not yet told.

        Those that may go on in what will be logged are told when that is read: if they were told now as well, with
        another end, they would count twice.
        """
        return chain(self._postfix.flush(), self._exim.flush(self._dates.last))

    def _read_postfix(self, line: bytes, date: bytes, origin: bytes, program: bytes, at: int) -> Seen | None:
        when = self._dates.read(date) if len(line) <= LINE_LIMIT else None
        if when is None:
            return self._note(line, Sense.STRANGE, self.when)
        return self._note(line, self._postfix.read(program, line, at, origin, when), when)

    def _read_exim(self, line: bytes) -> Seen | None:
        head = exim_lines.HEAD.match(line)
        if head is None or (date := head["date"] or head["outer"]) is None:
            return None
        when = self._dates.read(date) if len(line) <= LINE_LIMIT else None
        if when is None:
            return self._note(line, Sense.STRANGE, self.when)
        return self._note(line, self._exim.read(line, head.end(), head["host"] or b"", when), when)

    def _note(self, line: bytes, told: Seen | Sense, when: float) -> Seen | None:
        if told is Sense.STRANGE:
            self.not_understood += 1
            if len(self.examples) < EXAMPLES:
                self.examples.append(line[:EXAMPLE_LENGTH])
        elif told is not Sense.TELLS_NOTHING:
            self.understood += 1
            self.when = when
            if isinstance(told, Seen):
                return told
        return self._postfix.overdue(when) or self._exim.overdue(when)
