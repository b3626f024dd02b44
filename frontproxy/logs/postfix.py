"""Postfix' sessions, put together from the lines of the process that served each of them.

A process serves one session at a time, from `connect from` to `disconnect from`, and what is logged between the two
under the same host, tag and process id belongs to it. A session whose beginning we did not see is not told: the log
began in its middle, and a first line may begin in the middle of a client's words. Lines of cleanup and qmgr, which
serve many sessions, are joined by queue id.
"""

from collections import OrderedDict
from collections.abc import Iterator

from frontproxy.logs import postfix_lines as lines
from frontproxy.logs.dates import STEP_BACK
from frontproxy.logs.postfix_session import PostfixSession
from frontproxy.logs.postscreen import Postscreen
from frontproxy.logs.seen import Seen, Sense

SESSIONS = 20_000
"""Sessions under way that are followed; the oldest are dropped first."""
MESSAGES = 100_000
"""Messages of theirs, likewise; further ones are not followed."""
PATIENCE = 5.0
"""Seconds of the log that an ended session waits for the queue manager."""


class PostfixLog:
    """The sessions under way in one log."""

    def __init__(self) -> None:
        self._open: OrderedDict[bytes, PostfixSession] = OrderedDict()
        self._messages: dict[bytes, tuple[bytes, PostfixSession]] = {}  # by host and queue id; with the origin
        self._waiting: OrderedDict[bytes, PostfixSession] = OrderedDict()
        self._postscreen = Postscreen()
        self._words = {
            b"connect": self._connect,
            b"disconnect": self._disconnect,
            b"lost": self._cut_off,
            b"timeout": self._cut_off,
            b"too": self._cut_off,
            b"improper": self._early_talk,
            b"warning:": self._warning,
        }

    def read(self, program: bytes, line: bytes, at: int, origin: bytes, when: float) -> Seen | Sense:
        """A line of smtpd, cleanup, qmgr or postscreen; its text begins `at` there."""
        match program:
            case b"smtpd":
                end = line.find(b" ", at)
                tell = self._words.get(line[at:end], self._of_message)
                seen = tell(line, at, origin, when)
                if seen is Sense.STRANGE and lines.TELLING_NOTHING.match(line, at):
                    return Sense.TELLS_NOTHING
                return seen
            case b"qmgr":
                return self._queued(line, at, origin)
            case b"cleanup":
                return self._of_content(line, at, origin)
        return self._postscreen.read(line, at, origin, when)

    def overdue(self, when: float) -> Seen | None:
        """A session that has waited long enough for the queue manager, if there is one."""
        if not self._waiting:
            return None
        origin, session = next(iter(self._waiting.items()))
        if -STEP_BACK <= when - session.ended < PATIENCE:
            return None
        del self._waiting[origin]
        return self._tell(origin, session)

    def flush(self) -> Iterator[Seen]:
        """The sessions that have ended and wait; those under way are not told, their end is in a log to come."""
        while self._waiting:
            origin, session = self._waiting.popitem(last=False)
            if seen := self._tell(origin, session):
                yield seen

    def _connect(self, line: bytes, at: int, origin: bytes, _when: float) -> Sense:
        begun = lines.CONNECT.match(line, at)
        if begun is None:
            return Sense.STRANGE
        self._forget(self._open.pop(origin, None), origin)
        session = self._follow(origin, begun[1], is_begun_here=True)
        session.early = self._postscreen.was_early(origin, begun[1])
        return Sense.UNDERSTOOD

    def _disconnect(self, line: bytes, at: int, origin: bytes, when: float) -> Seen | Sense:
        ended = lines.DISCONNECT.match(line, at)
        if ended is None:
            return Sense.STRANGE
        session = self._open.pop(origin, None)
        if session is None:
            return Sense.UNDERSTOOD
        if not session.close(when, ended[1], ended[2]):
            self._forget(session, origin)
            return Sense.UNDERSTOOD
        if not session.waits:
            return self._tell(origin, session) or Sense.UNDERSTOOD
        earlier = self._waiting.pop(origin, None)
        self._waiting[origin] = session
        return (self._tell(origin, earlier) if earlier else None) or Sense.UNDERSTOOD

    def _cut_off(self, line: bytes, at: int, origin: bytes, _when: float) -> Sense:
        if told := lines.CUT_OFF.match(line, at):
            self._session(origin, told[3]).is_cut_off(told[1], told[2])
            return Sense.UNDERSTOOD
        return Sense.STRANGE

    def _early_talk(self, line: bytes, at: int, origin: bytes, _when: float) -> Sense:
        if told := lines.EARLY_TALK.match(line, at):
            if session := self._served(origin, told[1]):
                session.early = True
            return Sense.UNDERSTOOD
        return Sense.STRANGE

    def _warning(self, line: bytes, at: int, origin: bytes, when: float) -> Sense:
        if told := lines.NOT_AUTHENTICATED.match(line, at):
            if not told[2] and (session := self._served(origin, told[1])):
                session.is_not_authenticated()
        elif told := lines.NOT_SMTP.match(line, at):
            if session := self._served(origin, told[1]):
                session.says(told[2])
        elif told := lines.OVER_LIMIT.match(line, at):
            if session := self._served(origin, told[1]):
                session.is_turned_away()
        else:
            return self._early_talk(line, at, origin, when)
        return Sense.UNDERSTOOD

    def _of_message(self, line: bytes, at: int, origin: bytes, _when: float) -> Sense:
        if told := lines.QUEUED_FOR.match(line, at):
            session = self._session(origin, told[2])
            if told[3]:
                session.is_authenticated()
            self._open_message(session, told[1], origin)
            return Sense.UNDERSTOOD
        if told := lines.REFUSED.match(line, at):
            session = self._session(origin, told[4])
            session.is_refused(told[3], told[5], told[6] or b"", line[told.end() :], by_milter=bool(told[2]))
            return Sense.UNDERSTOOD
        if told := lines.PUT_AWAY.match(line, at):
            self._session(origin, told[2]).puts_away(told[1])
            return Sense.UNDERSTOOD
        return Sense.STRANGE

    def _queued(self, line: bytes, at: int, origin: bytes) -> Seen | Sense:
        found = self._messages.get(_key(origin, line[at : line.find(b":", at)]))
        if found is None or not lines.QUEUED.match(line, at):
            return Sense.TELLS_NOTHING
        server, session = found
        session.queued += 1
        if self._waiting.get(server) is session and not session.waits:
            del self._waiting[server]
            return self._tell(server, session) or Sense.UNDERSTOOD
        return Sense.UNDERSTOOD

    def _of_content(self, line: bytes, at: int, origin: bytes) -> Sense:
        queue_id = line[at : line.find(b":", at)]
        found = self._messages.get(_key(origin, queue_id))
        if found is None:
            return Sense.TELLS_NOTHING
        if lines.CONTENT_REFUSED.match(line, at):
            found[1].refuses_content()
        elif lines.CONTENT_PUT_AWAY.match(line, at):
            found[1].puts_away(queue_id)
        else:
            return Sense.TELLS_NOTHING
        return Sense.UNDERSTOOD

    def _served(self, origin: bytes, client: bytes) -> PostfixSession | None:
        """The session that this process serves, if the client is the same. A warning about another begins none: it may
        be the operator's own text, with a client's in it."""
        session = self._open.get(origin)
        return session if session is not None and session.client == client else None

    def _session(self, origin: bytes, client: bytes) -> PostfixSession:
        """The session that this process serves, if the client is the same; else a new one (XCLIENT)."""
        session = self._open.get(origin)
        if session is not None and session.client == client:
            return session
        self._forget(session, origin)
        return self._follow(origin, client, is_begun_here=False)

    def _follow(self, origin: bytes, client: bytes, *, is_begun_here: bool) -> PostfixSession:
        session = self._open[origin] = PostfixSession(client, is_begun_here=is_begun_here)
        if len(self._open) > SESSIONS:
            oldest, dropped = self._open.popitem(last=False)
            self._forget(dropped, oldest)
        return session

    def _open_message(self, session: PostfixSession, queue_id: bytes, origin: bytes) -> None:
        if session.opens(queue_id) and len(self._messages) < MESSAGES:
            self._messages[_key(origin, queue_id)] = origin, session

    def _forget(self, session: PostfixSession | None, origin: bytes) -> None:
        for queue_id in session.queue_ids if session else ():
            key = _key(origin, queue_id)
            found = self._messages.get(key)
            if found and found[1] is session:
                del self._messages[key]

    def _tell(self, origin: bytes, session: PostfixSession) -> Seen | None:
        self._forget(session, origin)
        outcome = session.outcome()
        if outcome is None:
            return None
        name = session.client[: session.client.index(b"[")].decode("ascii", "replace")
        text = origin.decode("ascii", "replace")
        service = text.partition(" ")[2].rpartition("[")[0]
        return Seen(outcome, "" if name == "unknown" else name, text, service)


def _key(origin: bytes, queue_id: bytes) -> bytes:
    """A message's place: queue ids are unique on a host."""
    return origin[: origin.index(b" ") + 1] + queue_id
