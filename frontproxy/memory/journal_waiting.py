"""What of the journal is not on disk yet: sessions that await their outcome, and all that awaits the next write."""

from collections import OrderedDict, deque

from frontproxy.core.history import Lesson
from frontproxy.core.session import Session
from frontproxy.core.verdict import Verdict
from frontproxy.memory.journal_ration import Ration
from frontproxy.memory.journal_rows import End, Entry, entry_of

_OPEN_LIMIT = 5000  # sessions whose outcome is awaited
_UNWRITTEN_LIMIT = 20_000  # sessions, and lessons, that wait for the disk
_KNOWN = (50.0, 1000.0)  # rows a second, and at once, of known clients: such that a disk does not notice them
_STRANGERS = (5.0, 250.0)


class Waiting:
    """Bounded; what there is no room for is lost, the oldest first."""

    def __init__(self) -> None:
        self._known, self._strangers = Ration(*_KNOWN), Ration(*_STRANGERS)
        self._open: OrderedDict[str, Entry] = OrderedDict()
        self._sessions: deque[Entry] = deque()
        self._lessons: deque[Lesson] = deque()
        self.dropped = 0
        """Sessions and lessons that were lost."""
        self.lesson_lost = 0.0
        """The latest time of a lesson that was lost, in seconds since 1970."""

    def learned(self, lesson: Lesson) -> None:
        """A lesson is to be written."""
        self._lessons.append(lesson)
        self._keep_to_size()

    def given(self, session: Session, pool: str) -> None:
        """A session was given away: its outcome is awaited."""
        if entry := self._entry(session.verdict, pool):
            self._open[session.id] = entry
            if len(self._open) > _OPEN_LIMIT:
                self._put(self._open.popitem(last=False)[1])

    def ended(self, session: Session, pool: str, end: End) -> None:
        """Its outcome was told; of most strangers nothing was kept."""
        if entry := self._open.pop(session.id, None):
            self._put(entry._replace(pool=pool, end=end))

    def refused(self, session: Session) -> None:
        """A session was turned away, and nobody will tell more of it."""
        if entry := self._entry(session.verdict, ""):
            self._put(entry._replace(end=End("refused")))

    def foreign(self, verdict: Verdict, end: End) -> None:
        """A session has ended that others had let in."""
        if entry := self._entry(verdict, ""):
            self._put(entry._replace(end=end))

    def give_up(self, before: float) -> None:
        """The outcomes of sessions that were judged before that time will not be told."""
        while self._open and next(iter(self._open.values())).seen.wall < before:
            self._put(self._open.popitem(last=False)[1])

    def take(self) -> tuple[list[Entry], list[Lesson]]:
        """All that is to be written now."""
        taken = list(self._sessions), list(self._lessons)
        self._sessions.clear()
        self._lessons.clear()
        return taken

    def give_back(self, sessions: list[Entry], lessons: list[Lesson]) -> None:
        """It could not be written, and waits again, before what came since."""
        self._sessions.extendleft(reversed(sessions))
        self._lessons.extendleft(reversed(lessons))
        self._keep_to_size()

    def _entry(self, verdict: Verdict, pool: str) -> Entry | None:
        """What is to be kept of a session; None if others stand for it, or it was not judged by facts."""
        seen = verdict.seen
        if seen is None:
            return None
        stands_for = (self._known if seen.is_known else self._strangers).stands_for(seen.wall)
        return entry_of(verdict, pool, stands_for) if stands_for else None

    def _put(self, entry: Entry) -> None:
        self._sessions.append(entry)
        self._keep_to_size()

    def _keep_to_size(self) -> None:
        while len(self._sessions) > _UNWRITTEN_LIMIT:
            self._sessions.popleft()
            self.dropped += 1
        while len(self._lessons) > _UNWRITTEN_LIMIT:
            self.lesson_lost = max(self.lesson_lost, self._lessons.popleft().t)
            self.dropped += 1
