"""SMTP sessions as the requests of a policy client show them: followed over all its connections, told when they end.

What was tried with Postfix 3.7, and what follows from it:

- Each smtpd process has one connection for each different `check_policy_service { ... }`, and serves one session at a
  time. So a session is over as soon as one of its connections speaks of another client, or when all are closed (an idle
  process ends after `max_idle`, 100 s); or when nothing was said for longer than `smtpd_timeout`.
- `END-OF-MESSAGE` (`smtpd_end_of_data_restrictions`) comes before milters, content filters before the queue, header and
  body checks have spoken: a message is *nearly* accepted. Where these refuse much, let the milter or the log tell.
- What became of a recipient is not said. `policy_context=pre` right before and `policy_context=post` right behind
  `reject_unauth_destination, reject_unlisted_recipient` bracket it: before but not behind is refused. With which code
  is not known, so it counts as `policy`, the least a refusal counts, and whatever answers 4xx (greylisting), or may be
  in trouble, must not stand between the two. Services that never ask `post`, and messages with more recipients than
  came to it (`permit_mynetworks` before it), refuse nobody.
- Seen is no bad command, no time-out, no early talk, no refused content, no QUIT: `quit` is said, which counts nothing.

An accepted recipient counts as known to exist, as with the milter.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from frontproxy.learn.policy_wire import Attributes, Client, client_of, number_of
from frontproxy.wire.outcome_line import OutcomeLine

SILENCE: Final = 310.0
"""Seconds without a request after which a session is over: Postfix's `smtpd_timeout` is 300."""
SILENCE_IN_MESSAGE: Final = 3600.0
"""The same from DATA on: a large message may take long."""
GIVEN_UP_WITHIN: Final = 10.0
"""Seconds: Postfix closes a connection so soon after a request because it was not answered in time."""
_SERVICES_KEPT: Final = 1000


@dataclass(slots=True)
class _Session:
    """One session so far. It counts and keeps nothing of what the client said."""

    heard_at: float = 0.0
    """Its last request: monotonic, and in seconds since 1970:"""
    ended: float = 0.0
    connections: set[int] = field(default_factory=set)
    messages: int = 0
    recipients: int = 0
    refused: int = 0
    refused_null: int = 0
    auth: bool = False
    stress: bool = False
    tls: bool = False
    in_message: bool = False
    instance: bytes = b""
    """The transaction of which these speak:"""
    awaited: bytes | None = None
    """A recipient was asked about before the restrictions, by the service at this port, and not yet behind them."""
    passed: int = 0
    refused_now: int = 0
    null: bool = False
    is_counted: bool = False
    """Its message has been counted: more than one `check_policy_service` may ask at its end."""

    @property
    def is_over_at(self) -> float:
        """Unless something more is heard."""
        return self.heard_at + (SILENCE_IN_MESSAGE if self.in_message else SILENCE)

    def begin(self, attributes: Attributes) -> None:
        """A new transaction."""
        self._add_up()
        self.instance = attributes.get(b"instance", b"")
        self.null = not attributes.get(b"sender")
        self.passed = 0
        self.is_counted = False

    def note_accepted(self, count: int) -> None:
        """So many recipients has this message, as Postfix says: those that were asked about behind, if all are."""
        if count > self.passed:
            self.refused_now = 0

    def note_message(self, count: int) -> None:
        """The message has come to its end."""
        if not self.is_counted:
            self.messages += 1
            self.recipients += count
        self.is_counted = True

    def outcome(self, client: Client) -> OutcomeLine | None:
        """What is worth telling, if anything is. It ended with its last request, however late that is known."""
        self._add_up()
        if not (self.messages or self.refused or self.auth):
            return None
        return OutcomeLine(
            client=client[0],
            port=client[1],
            ended=self.ended,
            end="quit",
            messages=self.messages,
            recipients=self.recipients,
            refused=self.refused,
            policy=self.refused,
            null_sender=0 < self.refused == self.refused_null,
            auth_good=int(self.auth),
            stress=self.stress,
            tls=self.tls,
        )

    def _add_up(self) -> None:
        self.refused += self.refused_now
        self.refused_null += self.refused_now if self.null else 0
        self.refused_now = 0


class PolicySessions:
    """Follows the sessions of all connections; there are never more of them than connections."""

    def __init__(self) -> None:
        self._sessions: dict[Client, _Session] = {}
        self._spoken_of: dict[int, Client] = {}  # connection: the client of its last request
        self._bracketed: set[bytes] = set()  # ports of services that have asked `post`

    def __len__(self) -> int:
        return len(self._sessions)

    def hear(self, connection: int, attributes: Attributes, now: float, wall: float) -> Iterator[OutcomeLine]:
        """Take one request; tells what has ended by it. `now` is monotonic, `wall` seconds since 1970."""
        client = client_of(attributes)
        if client is not None and not client[1]:
            client = None  # without a port two sessions of one client look alike
        before = self._spoken_of.get(connection)
        if before is not None and before != client:
            yield from self._end(before)
        if client is not None:
            session = self._sessions.setdefault(client, _Session())
            session.heard_at, session.ended = now, wall
            session.connections.add(connection)
            self._spoken_of[connection] = client
            self._take(session, attributes)

    def gone(self, connection: int, now: float) -> Iterator[OutcomeLine]:
        """A connection is closed."""
        client = self._spoken_of.pop(connection, None)
        if client is None:
            return
        session = self._sessions[client]
        session.connections.discard(connection)
        if not session.connections:
            if now - session.heard_at < GIVEN_UP_WITHIN:
                session.awaited = None
            yield from self._end(client)

    def expire(self, now: float) -> Iterator[OutcomeLine]:
        """Tell of those of whom nothing was heard for too long."""
        for client in [client for client, session in self._sessions.items() if session.is_over_at <= now]:
            yield from self._end(client)

    def _end(self, client: Client) -> Iterator[OutcomeLine]:
        session = self._sessions.pop(client)
        for connection in session.connections:
            del self._spoken_of[connection]
        self._settle(session)
        if outcome := session.outcome(client):
            yield outcome

    def _take(self, session: _Session, attributes: Attributes) -> None:
        if attributes.get(b"instance", b"") != session.instance:
            self._settle(session)
            session.begin(attributes)
        session.auth = session.auth or bool(attributes.get(b"sasl_username"))
        session.stress = session.stress or bool(attributes.get(b"stress"))
        session.tls = session.tls or bool(attributes.get(b"encryption_protocol"))
        state = attributes.get(b"protocol_state")
        session.in_message = state == b"DATA"
        if state == b"RCPT":
            self._take_recipient(session, attributes.get(b"policy_context"), attributes.get(b"server_port", b""))
        elif state in {b"DATA", b"END-OF-MESSAGE"}:
            count = number_of(attributes, b"recipient_count")
            self._settle(session)
            session.note_accepted(count)
            if state == b"END-OF-MESSAGE":
                session.note_message(count)

    def _take_recipient(self, session: _Session, context: bytes | None, service: bytes) -> None:
        if context == b"pre":
            self._settle(session)
            session.awaited = service
        elif context == b"post":
            session.awaited = None
            session.passed += 1
            if len(self._bracketed) < _SERVICES_KEPT:
                self._bracketed.add(service)

    def _settle(self, session: _Session) -> None:
        """The recipient that was asked about before the restrictions, and not behind them, was refused."""
        session.refused_now += session.awaited in self._bracketed
        session.awaited = None
