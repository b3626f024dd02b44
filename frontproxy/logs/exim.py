"""Exim's sessions, put together by the client's address and port.

Each connection has a process of its own that says little: that a message came, that a recipient was refused, that the
connection was lost. That it ended well is only logged with `log_selector = +smtp_connection`; where the log does not
show that, a session ends with its last line when nothing has followed for a minute. So that a client's port is there,
`+incoming_port` is needed; without it, all that one address does within a minute is one session with port 0.
"""

import re
from collections import OrderedDict
from collections.abc import Callable, Iterator
from re import Match
from typing import Final

from frontproxy.core.refusal import exim_refusal
from frontproxy.logs import exim_lines as lines
from frontproxy.logs.dates import STEP_BACK
from frontproxy.logs.postfix_session import address_of
from frontproxy.logs.seen import Seen, Sense
from frontproxy.wire.outcome_line import End, OutcomeLine, Stage

SESSIONS = 20_000
"""Sessions under way that are followed; the oldest are dropped first."""
QUIET = 60.0
"""Seconds without a line after which a session has ended, where ends are not logged."""
LONG_QUIET = 900.0
"""The same where they are: the end of some, as of those behind a proxy that breaks, is never logged."""

_ERRORS_ALLOWED = 3  # smtp_max_unknown_commands and smtp_max_synprot_errors, unless changed: one more ends a session


class _Connection:
    """What the lines of one connection have told. It counts and keeps nothing else."""

    __slots__ = (
        *("auth_failed", "authenticated", "bad_commands", "client", "content", "early", "last", "messages", "name"),
        *("null", "origin", "policy", "refused", "relay"),
    )

    def __init__(self, client: bytes, origin: str) -> None:
        self.client, self.origin = client, origin
        self.name = ""
        self.last = 0.0
        self.messages = self.refused = self.relay = self.policy = self.null = 0
        self.bad_commands = self.content = self.auth_failed = 0
        self.authenticated = self.early = False

    def seen(self, end: End, stage: Stage) -> Seen | None:
        where = address_of(self.client)
        if where is None:
            return None
        outcome = OutcomeLine(
            client=where[0],
            port=where[1],
            ended=self.last,
            end=end,
            stage=stage,
            messages=self.messages,
            recipients=self.messages,  # a message has at least one; the log does not say how many
            refused=self.refused,
            relay=self.relay,
            policy=self.policy,
            null_sender=0 < self.refused == self.null,
            bad_commands=self.bad_commands,
            early=self.early,
            content_refused=self.content,
            auth_good=int(self.authenticated),
            auth_failed=self.auth_failed,
        )
        return Seen(outcome, self.name, self.origin, "exim")


class EximLog:
    """The sessions under way in one log."""

    def __init__(self) -> None:
        self._open: OrderedDict[bytes, _Connection] = OrderedDict()  # the one that was silent longest comes first
        self._quiet = QUIET

    def read(self, line: bytes, at: int, host: bytes, when: float) -> Seen | Sense:
        """A line of Exim; its text begins `at` there."""
        if not lines.MAY_TELL.match(line, at):
            return Sense.TELLS_NOTHING
        for pattern, tell in _TELLING:
            if told := pattern.match(line, at):
                connection = self._connection(told, host, when)
                if connection is None:
                    return Sense.STRANGE
                end = tell(connection, told)
                return self._end(host, connection, *end) if end else Sense.UNDERSTOOD
        if lines.BEGUN.match(line, at):
            self._quiet = LONG_QUIET
            return Sense.UNDERSTOOD
        return Sense.TELLS_NOTHING if lines.TELLING_NOTHING.match(line, at) else Sense.STRANGE

    def overdue(self, when: float) -> Seen | None:
        """A session that has been silent for long, if there is one."""
        if not self._open:
            return None
        key, connection = next(iter(self._open.items()))
        if -STEP_BACK <= when - connection.last < self._quiet:
            return None
        del self._open[key]
        return connection.seen("quit", "command")

    def flush(self) -> Iterator[Seen]:
        """All sessions: one whose end is not logged has ended with its last line."""
        while self._open:
            _key, connection = self._open.popitem(last=False)
            if seen := connection.seen("quit", "command"):
                yield seen

    def _connection(self, told: Match[bytes], host: bytes, when: float) -> _Connection | None:
        """The connection that a line is about; None where a client's HELO may have made up the client."""
        line = told.string
        if told["helo"] and (len(line) > lines.LENGTH or line.find(b") [", told.end("client")) >= 0):
            return None
        client = told["client"]
        key = host + client
        connection = self._open.get(key)
        if connection is None:
            origin = (host.decode("ascii", "replace") + " exim " + client.decode("ascii")).lstrip()
            connection = self._open[key] = _Connection(client, origin)
            if len(self._open) > SESSIONS:
                self._open.popitem(last=False)
        else:
            self._open.move_to_end(key)
        connection.last = when
        if told["name"]:
            connection.name = told["name"].decode("ascii")
        return connection

    def _end(self, host: bytes, connection: _Connection, end: End, stage: Stage) -> Seen | Sense:
        del self._open[host + connection.client]
        return connection.seen(end, stage) or Sense.UNDERSTOOD


_How = tuple[End, Stage]
"""How a line has ended its session."""


def _accepted(connection: _Connection, told: Match[bytes]) -> None:
    connection.messages += 1
    protocol = told["protocol"] or b""
    connection.authenticated |= protocol.startswith(b"e") and protocol.endswith(b"a")


def _refused(connection: _Connection, told: Match[bytes]) -> _How | None:
    if told["content"]:
        connection.content += not told["later"]
    elif not told["later"]:
        kind = exim_refusal(told.string[told.end() :]) if told["recipient"] else "policy"
        connection.refused += 1
        connection.relay += kind == "relay"
        connection.policy += kind == "policy"
        connection.null += told["sender"] == b""
    return ("refused", "connect") if told["connection"] else None


def _ended(_connection: _Connection, told: Match[bytes]) -> _How:
    end: End = "quit" if told["quit"] else "refused" if told["dropped"] else "lost"
    return end, "data" if told["data"] else "command"


def _cut_off(_connection: _Connection, told: Match[bytes]) -> _How:
    return "lost" if told["lost"] else "timeout", "data" if told["data"] else "command"


def _not_authenticated(connection: _Connection, _told: Match[bytes]) -> None:
    connection.auth_failed += 1


def _bad_helo(connection: _Connection, _told: Match[bytes]) -> None:
    connection.bad_commands += 1


def _early_talk(connection: _Connection, _told: Match[bytes]) -> _How:
    connection.early = True
    return "refused", "connect"


def _too_many(connection: _Connection, told: Match[bytes]) -> _How:
    if told["bad"]:
        connection.bad_commands = max(connection.bad_commands, _ERRORS_ALLOWED + 1)
    return "errors", "command"


_TELLING: Final[tuple[tuple[re.Pattern[bytes], Callable[[_Connection, Match[bytes]], _How | None]], ...]] = (
    (lines.ACCEPTED, _accepted),
    (lines.REFUSED, _refused),
    (lines.ENDED, _ended),
    (lines.CUT_OFF, _cut_off),
    (lines.NOT_AUTHENTICATED, _not_authenticated),
    (lines.BAD_HELO, _bad_helo),
    (lines.EARLY_TALK, _early_talk),
    (lines.TOO_MANY, _too_many),
)
