"""One backend of a pool, as the front door knows it; and a session that was given to one."""

from dataclasses import dataclass

from frontproxy.core.capacity import Places
from frontproxy.core.verdict import Verdict

_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 30.0


@dataclass(slots=True, eq=False)
class Backend:
    """Where a server listens for handovers, and whether it answers. Times are monotonic seconds."""

    name: str
    """As in config.toml: `bundled:nice`, `pass:/var/spool/postfix/public/nice`."""
    path: str
    """Its handover socket."""
    reports: bool
    """It reports every session's end, so its places are held until then; other places are held until taken."""
    sessions: int = 0
    """Sessions it has now, as far as we know."""
    failed_for: str = ""
    """Why nobody answers there; empty while somebody does."""
    heard_at: float = 0.0
    """When it last told an outcome."""
    _is_resting: bool = False
    _again_at: float = 0.0
    _pause: float = _FIRST_PAUSE

    def may_be_asked(self, now: float) -> bool:
        """It answers, or its pause after the last failure is over."""
        return not self.failed_for or now >= self._again_at

    def failed(self, why: str, now: float) -> bool:
        """Nobody answered; leave it alone for a pause that grows. True the first time."""
        first = not self.failed_for
        self._pause = _FIRST_PAUSE if first else min(self._pause * 2, _LONGEST_PAUSE)
        self.failed_for = why
        self._again_at = now + self._pause
        return first

    def rest(self, why: str, until: float) -> None:
        """Leave it alone until then, although its socket would take more."""
        self.failed_for, self._again_at, self._is_resting = why, until, True

    def wake(self, now: float) -> None:
        """If it was resting, and its rest is over, it is as good as any."""
        if self._is_resting and now >= self._again_at:
            self._is_resting, self.failed_for = False, ""

    def answered(self) -> bool:
        """It took a session. True if it had failed before."""
        recovered = bool(self.failed_for)
        self.failed_for, self._is_resting = "", False
        return recovered


@dataclass(slots=True, eq=False)
class Given:
    """A session that was given away, until its outcome is known. Times are monotonic seconds."""

    id: str
    packed: bytes
    client: bytes
    address: str
    port: int
    verdict: Verdict
    early: bool
    pool: str
    places: Places
    """Of the pool; one of them is held until the session has ended."""
    backend: Backend
    accepted: float
    given_at: float
    taken_at: float | None = None
    has_ended: bool = False
    """Its outcome has been told."""
