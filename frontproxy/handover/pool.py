"""One pool: its settings, its backends, its places and the line in front of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from socket import socket

from frontproxy.core.capacity import Places, WaitingLine
from frontproxy.core.config_values import Config
from frontproxy.core.config_values import Pool as PoolSettings
from frontproxy.core.session import Session
from frontproxy.core.stress import StressGauge
from frontproxy.handover.backends import Backend, Given
from frontproxy.handover.descriptor import Saturated, Unreachable, hand_over, message_for
from frontproxy.handover.sweep import Sweep

TAKEN_WITHIN = 100.0
"""Seconds within which a server takes what was given to it (Postfix waits as long)."""

WEDGED = 5.0
"""Seconds after which a server that takes nothing gets nothing more; it is asked again when it has taken the eldest."""
WEDGED_PAUSE = 1.0
Log = Callable[..., None]
Endpoint = tuple[str, str]
"""A pool's name, and one of its backends as config.toml spells it."""


@dataclass(slots=True, eq=False)
class Pool:
    """The state of one pool. Times are monotonic seconds."""

    settings: PoolSettings
    backends: Sequence[Backend]
    places: Places
    observing: bool
    """In observe mode a pool is neither reserved nor limited per client."""
    line: WaitingLine[Session] = field(default_factory=WaitingLine)
    untaken: Sweep[Given] = field(default_factory=Sweep)
    """Handover connections of sessions that no server process has taken yet."""
    stress: StressGauge = field(default_factory=StressGauge)
    handover_time: float = 0.0
    """Seconds the last handover took to be taken."""
    _slow: bool = False
    """A handover since the last tick was slow, or found a full backlog."""

    @classmethod
    def open(cls, settings: PoolSettings, paths: Mapping[Endpoint, str], config: Config) -> "Pool":
        """A new pool without sessions."""
        pool = cls(settings, (), Places(settings.sessions, settings.per_client), observing=False)
        pool.configure(settings, paths, config)
        return pool

    def configure(self, settings: PoolSettings, paths: Mapping[Endpoint, str], config: Config) -> None:
        """Take over new settings; backends whose socket is still the same are kept, sessions keep their places."""
        known = {(backend.name, backend.path): backend for backend in self.backends}
        self.backends = [
            known.get((name, path)) or Backend(name, path, reports=backend.kind == "bundled")
            for backend in settings.backends
            for name in (f"{backend.kind}:{backend.target}",)
            for path in (paths.get((settings.name, name), backend.target),)
        ]
        self.settings = settings
        self.observing = config.mode == "observe"
        self.places.sessions = settings.sessions
        self.places.per_client = settings.sessions if self.observing else settings.per_client

    @property
    def name(self) -> str:
        """As in config.toml."""
        return self.settings.name

    def serves(self, session: Session) -> bool:
        """A reserved pool serves friends, and those whom a pin or a list has sent."""
        if self.observing or not self.settings.reserved:
            return True
        verdict = session.verdict
        return verdict.standing == "friend" or bool(verdict.pinned) or verdict.learning == "none"

    def has_place_for(self, session: Session) -> bool:
        """There is a place now, this client has not had its share of them, and the pool serves it."""
        return self.serves(session) and self.places.free_for(session.client)

    def give(self, session: Session, now: float, log: Log) -> Given | None:
        """Hand the session over to the least busy backend that takes it; None if none does."""
        message = message_for(session, stress=self.stress.on)
        for backend in sorted(self.backends, key=lambda backend: backend.sessions):
            if not backend.may_be_asked(now):
                continue
            try:
                connection = hand_over(session.socket, backend.path, message)
            except Saturated:
                self._slow = True
            except Unreachable as error:
                if backend.failed(str(error), now):
                    log("backend", state="down", pool=self.name, backend=backend.name, why=str(error))
            else:
                if backend.answered():
                    log("backend", state="up", pool=self.name, backend=backend.name)
                return self._gave(session, backend, connection, now)
        return None

    def _gave(self, session: Session, backend: Backend, connection: socket, now: float) -> Given:
        given = Given(
            id=session.id,
            packed=session.packed,
            client=session.client,
            address=session.address,
            port=session.port,
            verdict=session.verdict,
            early=session.early,
            pool=self.name,
            places=self.places,
            backend=backend,
            accepted=session.accepted,
            given_at=now,
        )
        self.places.take(session.client)
        backend.sessions += 1
        self.untaken.add(connection, given, deadline=now + TAKEN_WITHIN)
        session.socket.close()
        return given

    def sweep_taken(self, now: float) -> tuple[list[Given], list[Given]]:
        """The sessions that server processes have taken since the last look, and those that none took in time."""
        taken = []
        for connection, given in self.untaken.readable():
            self.untaken.close(connection)
            given.taken_at = now
            self.handover_time = now - given.given_at
            self._slow = self._slow or self.handover_time > self.settings.handover_wait
            taken.append(given)
        return taken, [given for _connection, given in self.untaken.due(now)]

    def rest_the_wedged(self, now: float) -> None:
        """Leave a backend alone while it does not take what it was given, so that others get the next."""
        eldest = self.untaken.eldest()
        if eldest and now - eldest.given_at > WEDGED:
            eldest.backend.rest("it takes nothing", now + WEDGED_PAUSE)
        for backend in self.backends:
            backend.wake(now)

    def feel(self, now: float) -> bool:
        """Take the pool's pulse; true if its stress has turned on or off."""
        slow = self._slow or self.longest_handover(now) > self.settings.handover_wait
        self._slow = False
        return self.stress.observe(share=self.places.share, slow=slow, now=now)

    def longest_handover(self, now: float) -> float:
        """Seconds the eldest session that no server has taken yet has been waiting for one; 0 if there is none."""
        eldest = self.untaken.eldest()
        return now - eldest.given_at if eldest else 0.0

    def longest_wait(self, now: float) -> float:
        """Seconds the eldest in line has been with us; 0 if the line is empty."""
        eldest = self.line.eldest()
        return now - eldest.accepted if eldest else 0.0
