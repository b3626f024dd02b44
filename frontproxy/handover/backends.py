"""One backend of a pool, as the front door knows it; and a session that was given to one."""

from dataclasses import dataclass, field
from math import inf

from frontproxy.core.brake import Brake
from frontproxy.core.capacity import Places
from frontproxy.core.config_values import Backend as Settings
from frontproxy.core.retold import Told
from frontproxy.core.session import Session
from frontproxy.handover.kernel_notices import SocketName

_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 30.0
_LONGEST_LOCAL_PAUSE = 2.0  # asking a socket of this machine costs next to nothing, and Postfix may be back any moment


@dataclass(slots=True, eq=False)
class Backend:
    """Where a server listens, and whether it answers. Times are monotonic seconds."""

    settings: Settings
    path: str = ""
    """Its handover socket; empty for one that sessions are relayed to."""
    sessions: int = 0
    """Sessions it has now, as far as we know."""
    failed_for: str = ""
    """Why nobody answers there; empty while somebody does."""
    took_at: float = -inf
    """When it last took a session."""
    heard_at: float = 0.0
    """When it last told an outcome."""
    brake: Brake = field(default_factory=Brake)
    """On while it refuses its friends: its refusals teach nothing then."""
    _doubted_by: bytes | None = None
    """The client that it did not greet."""
    _is_resting: bool = False
    _again_at: float = 0.0
    _pause: float = _FIRST_PAUSE

    @property
    def name(self) -> str:
        """As in config.toml: `bundled:nice`, `pass:/var/spool/postfix/public/nice`, `tcp:192.0.2.1:25?proxy=v2`."""
        return self.settings.name

    @property
    def reports(self) -> bool:
        """It tells us every outcome itself, and is broken if it does not."""
        return self.settings.kind == "bundled"

    def may_be_asked(self, now: float) -> bool:
        """It answers, or its pause after the last failure is over."""
        return not self.failed_for or now >= self._again_at

    def failed(self, why: str, now: float) -> bool:
        """Nobody answered; leave it alone for a pause that grows. True the first time."""
        first = not self.failed_for
        if not first and now < self._again_at:
            return False  # one failure of many sessions
        longest = _LONGEST_PAUSE if self.settings.kind == "tcp" else _LONGEST_LOCAL_PAUSE
        self._pause = _FIRST_PAUSE if first else min(self._pause * 2, longest)
        self.failed_for = why
        self._again_at = now + self._pause
        return first

    def is_to_blame(self, client: bytes) -> bool:
        """It was reached and has not greeted a client. That may be the client's fault, until it happens to another."""
        if self._doubted_by is None:
            self._doubted_by = client
        return self._doubted_by != client

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
        self.failed_for, self._is_resting, self._doubted_by = "", False, None
        return recovered


@dataclass(slots=True, eq=False)
class Given:
    """A session that was given away, until its outcome is known. Times are monotonic seconds."""

    session: Session
    """Its socket is not ours any more."""
    pool: str
    places: Places
    """Of the pool; one of them is held until the session has ended."""
    backend: Backend
    given_at: float
    name: SocketName | None = None
    """By what the kernel knows the socket that was passed, if it will tell of its end."""
    taken_at: float | None = None
    has_ended: bool = False
    """Its outcome has been told, or will never be."""
    over_at: float = 0.0
    """When it was over, as far as those can be believed that told its outcome."""
    told: Told | None = None
    """What was told of it, and has been learned."""
    is_braked: bool = False
    """Its server's brake was on: what was refused in it teaches nothing, whoever tells of it then."""
    earned: float = 0.0
    """Units of good that its outcome taught, and that no later verdict has taken back."""
    is_survivor: bool = False
    """A frontproxy before us gave it away."""

    @property
    def waits_for_its_server(self) -> bool:
        """Not taken yet, and that is the server's doing.

        What is passed is taken in order; but a server that has greeted others since may be looking up this one's name.
        """
        is_passed = self.backend.settings.kind != "tcp"
        return self.taken_at is None and (is_passed or self.backend.took_at < self.given_at)

    @property
    def end_is_watched(self) -> bool:
        """The kernel or the relay tells when its place is free; nobody's word for it is needed, or taken."""
        return self.name is not None or self.backend.settings.kind == "tcp"
