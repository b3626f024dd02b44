"""Exim's sessions, put together by the client's address and port.

Each connection has a process of its own that says little: that a message came, that a recipient was refused, that the
connection was lost. That it ended well is only logged with `log_selector = +smtp_connection`; where the log does not
show that, a session ends with its last line when nothing has followed for a minute, and is told in parts when it goes
on for long or much has happened in it: who uses a port again at once must not have all it does taken for one session,
nor keep it from being told. So that a client's port is there, `+incoming_port` is needed; without it, all that one
address does within a minute is one session with port 0.
"""

import re
from collections import OrderedDict, deque
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
"""Sessions under way that are followed; beyond that, those silent longest are told as they are."""
QUIET = 60.0
"""Seconds without a line after which a session has ended, where ends are not logged."""
LONG_QUIET = 900.0
"""The same where they are: the end of some, as of those behind a proxy that breaks, is never logged."""
LONG = 600.0
"""Seconds after which, where ends are not logged, a session is told and another one begins."""
MUCH = 20
"""What has to happen for the same: messages, refusals and errors. More than that no session counts."""

_ERRORS_ALLOWED = 3  # smtp_max_unknown_commands and smtp_max_synprot_errors, unless changed: one more ends a session


class _Connection:
    """What the lines of one connection have told. It counts and keeps nothing else."""

    __slots__ = (
        *("auth_failed", "authenticated", "bad_commands", "begun", "client", "content", "early", "last", "message"),
        *("messages", "name", "null", "origin", "policy", "refused", "relay"),
    )

    def __init__(self, client: bytes, origin: str, begun: float) -> None:
        self.client, self.origin, self.begun = client, origin, begun
        self.name = ""
        self.message = b""  # host and id of the last one
        self.last = begun
        self.messages = self.refused = self.relay = self.policy = self.null = 0
        self.bad_commands = self.content = self.auth_failed = 0
        self.authenticated = self.early = False

    def is_much(self, when: float) -> bool:
        """It has lasted long, or as much has happened as counts in one session."""
        happened = self.messages + self.refused + self.content + self.bad_commands + self.auth_failed
        return happened >= MUCH or when - self.begun >= LONG

    def seen(self, end: End = "quit", stage: Stage = "command") -> Seen | None:
        """What it has come to; None if its client has no address."""
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
        self._over: deque[_Connection] = deque()  # to be told
        self._messages: dict[bytes, _Connection] = {}  # by host and id, the last message of each
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
                if end := tell(connection, told):
                    return self._tell(self._open.pop(host + connection.client), *end) or Sense.UNDERSTOOD
                if pattern is lines.ACCEPTED:
                    self._follow(connection, host + told["id"])
                return Sense.UNDERSTOOD
        return self._of_nobody(line, at, host)

    def overdue(self, when: float) -> Seen | None:
        """A session that is over and not told, if there is one: it has been silent for long, or was too much."""
        if not self._over and self._open:
            key, connection = next(iter(self._open.items()))
            if len(self._open) <= SESSIONS and not self._is_silent(connection, when):
                return None
            del self._open[key]
            self._over.append(connection)
        return self._tell(self._over.popleft()) if self._over else None

    def flush(self, when: float) -> Iterator[Seen]:
        """The sessions that are over by `when`. The others may go on in a log to come, as one session."""
        while self._over or self._open:
            before = len(self._open) + len(self._over)
            if seen := self.overdue(when):
                yield seen
            if len(self._open) + len(self._over) == before:
                return

    def _is_silent(self, connection: _Connection, when: float) -> bool:
        return not -STEP_BACK <= when - connection.last < self._quiet

    def _connection(self, told: Match[bytes], host: bytes, when: float) -> _Connection | None:
        """The connection that a line is about; None where a client's HELO may have made up the client."""
        line = told.string
        if told["helo"] and (len(line) > lines.LENGTH or line.find(b") [", told.end("client")) >= 0):
            return None
        client = told["client"]
        key = host + client
        connection = self._open.get(key)
        if connection and (self._is_silent(connection, when) or (self._quiet == QUIET and connection.is_much(when))):
            self._over.append(self._open.pop(key))
            connection = None
        if connection is None:
            origin = (host.decode("ascii", "replace") + " exim " + client.decode("ascii")).lstrip()
            connection = self._open[key] = _Connection(client, origin, when)
        else:
            self._open.move_to_end(key)
        connection.last = when
        if told["name"]:
            connection.name = told["name"].decode("ascii")
        return connection

    def _of_nobody(self, line: bytes, at: int, host: bytes) -> Sense:
        """A line that names no client, or tells nothing of it."""
        if lines.BEGUN.match(line, at):
            self._quiet = LONG_QUIET
        elif away := lines.PUT_AWAY.match(line, at):
            self._put_away(host + away["id"])
        else:
            return Sense.TELLS_NOTHING if lines.TELLING_NOTHING.match(line, at) else Sense.STRANGE
        return Sense.UNDERSTOOD

    def _follow(self, connection: _Connection, message: bytes) -> None:
        self._messages.pop(connection.message, None)
        self._messages[message] = connection
        connection.message = message

    def _put_away(self, message: bytes) -> None:
        """Of the message that a connection has just been credited with, nobody will get anything."""
        if connection := self._messages.pop(message, None):
            connection.messages -= 1

    def _tell(self, connection: _Connection, end: End = "quit", stage: Stage = "command") -> Seen | None:
        self._messages.pop(connection.message, None)
        return connection.seen(end, stage)


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
        words = told.string[told.end() :]
        if not told["address"]:  # it is written in an odd way, and Exim's words come last
            words = words.rpartition(b": ")[2]
        kind = exim_refusal(words) if told["recipient"] else "policy"
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
