"""What the policy service does at its door: it learns from what Postfix asks, and answers by the client's route."""

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from math import inf
from pathlib import Path
from typing import Final

from frontproxy.learn.garbage import Garbage
from frontproxy.learn.loop import Loop
from frontproxy.learn.policy_routes import Route, Routes
from frontproxy.learn.policy_sessions import PolicySessions
from frontproxy.learn.policy_wire import DUNNO, Attributes, Requests, answer, client_of
from frontproxy.learn.reporter import Reporter
from frontproxy.lifeline import ChildLog
from frontproxy.wire.outcome_line import OutcomeLine

REPLY: Final = "reply"
"""As a key of the classes: a route that is a reply. As its action: that reply."""
_LONGEST_REPLY: Final = 510
_EXPIRY: Final = 10.0  # seconds between two looks for sessions that fell silent
_BRACKETS: Final = {b"pre", b"post"}
_ANSWERED_BY_CLASS: Final = {b"CONNECT", b"HELO", b"EHLO", b"MAIL", b"RCPT"}
"""States in which a restriction class makes sense: later ones have no recipient."""


def action_for(route: Route, classes: Mapping[str, str], *, stress: bool) -> str:
    """The action of access(5) for a client with this route, whose server is under stress or not.

    A route that is a reply was meant for frontproxy's own door; it is given here only if the classes say so.
    """
    if route.reply:
        chosen = classes.get(REPLY, "DUNNO")
        if chosen != REPLY:
            return chosen
        is_sound = route.reply.isascii() and route.reply.isprintable() and len(route.reply) <= _LONGEST_REPLY
        return route.reply if is_sound else "DUNNO"
    if (stress or route.stress) and (under_stress := classes.get(f"{route.pool}.stress")):
        return under_stress
    return classes.get(route.pool, "DUNNO")


class PolicyConversation:
    """One connection of a mail server: it asks, and waits for the answer before it asks again."""

    has_ended = False

    def __init__(self, service: "Policy", number: int) -> None:
        self._service = service
        self._number = number
        self._requests = Requests()
        self.has_begun = False
        self.awaits: tuple[str, bool] | None = None
        """The client whose route its request waits for, and whether that came from a server under stress."""

    def receive(self, data: bytes) -> bytes:
        """Take what came; returns what to answer at once. Raises Garbage."""
        answers = b""
        for attributes in self._requests.feed(data):
            if self.awaits is not None:
                raise Garbage("a request before the answer to the last one")
            self.has_begun = True
            answers += self._service.take(self._number, attributes)
        return answers


class Policy:
    """Follows sessions, and answers. What it has seen when frontproxy ends is told then: Postfix keeps connections."""

    finishes = False

    def __init__(self, reporter: Reporter, log: ChildLog, admin: Path | None, classes: Mapping[str, str]) -> None:
        self._reporter = reporter
        self._log = log
        self._admin = admin
        self._classes = classes
        self._sessions = PolicySessions()
        self._conversations: dict[int, PolicyConversation] = {}
        self._waiting: defaultdict[str, list[int]] = defaultdict(list)  # client: connections that wait for its route
        self._expiry_due = 0.0
        self._loop: Loop | None = None
        self._routes: Routes | None = None

    def begin(self, loop: Loop) -> None:
        """Routes are asked for only where something is answered by them."""
        self._loop = loop
        if self._admin and self._classes:
            self._routes = Routes(self._admin, loop, self._log, self._heard)

    def open(self, number: int) -> PolicyConversation:
        """A process of the mail server has connected."""
        self._conversations[number] = PolicyConversation(self, number)
        return self._conversations[number]

    def close(self, number: int) -> None:
        """It has closed the connection, or we have."""
        del self._conversations[number]
        self._tell(self._sessions.gone(number, time.monotonic()))

    def tend(self, now: float) -> float:
        """Forget what fell silent, give up waiting for what is not answered."""
        if now >= self._expiry_due:
            self._expiry_due = now + _EXPIRY
            self._tell(self._sessions.expire(now))
        return min(self._expiry_due if self._sessions else inf, self._routes.tend(now) if self._routes else inf)

    def end(self) -> None:
        """Let go of the admin socket."""
        if self._routes:
            self._routes.close()

    def take(self, number: int, attributes: Attributes) -> bytes:
        """Learn from one request; its answer, or nothing if that has to be waited for."""
        now = time.monotonic()
        self._tell(self._sessions.hear(number, attributes, now, time.time()))
        client = client_of(attributes)
        if self._routes is None or client is None or not _is_answered(attributes):
            return DUNNO
        stress = bool(attributes.get(b"stress"))
        if route := self._routes.known(client[0], now):
            return answer(action_for(route, self._classes, stress=stress))
        if not self._routes.ask(client[0], now):
            return DUNNO
        self._conversations[number].awaits = client[0], stress
        self._waiting[client[0]].append(number)
        return b""

    def _heard(self, client: str, route: Route) -> None:
        """A client's route: who waits for it gets an answer."""
        for number in self._waiting.pop(client, []):
            conversation = self._conversations.get(number)
            if self._loop is None or conversation is None or conversation.awaits is None:
                continue
            awaited, stress = conversation.awaits
            if awaited == client:  # else that connection is gone, and another one has its number
                conversation.awaits = None
                self._loop.say(number, answer(action_for(route, self._classes, stress=stress)))

    def _tell(self, outcomes: Iterable[OutcomeLine]) -> None:
        for outcome in outcomes:
            self._reporter.add(outcome)


def _is_answered(attributes: Attributes) -> bool:
    """A class is answered where a recipient is still to be decided about, and never to the brackets around
    `reject_unauth_destination`: a class that permits would open the relay there.
    """
    in_time = attributes.get(b"protocol_state") in _ANSWERED_BY_CLASS
    return in_time and attributes.get(b"policy_context") not in _BRACKETS
