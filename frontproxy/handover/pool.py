"""One pool: its settings, its backends, its places and the line in front of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from frontproxy.core.capacity import Places, WaitingLine
from frontproxy.core.config_values import Config
from frontproxy.core.config_values import Pool as PoolSettings
from frontproxy.core.session import Session
from frontproxy.core.stress import StressGauge
from frontproxy.handover.backends import Backend, Given
from frontproxy.handover.descriptor import Saturated, Unreachable
from frontproxy.handover.sweep import Sweep
from frontproxy.handover.ways import Ways

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
    ways: Ways
    backends: Sequence[Backend]
    places: Places
    observing: bool
    """In observe mode a pool is neither reserved nor limited per client."""
    line: WaitingLine[Session] = field(default_factory=WaitingLine)
    untaken: dict[Given, None] = field(default_factory=dict)
    """Sessions that no server process has taken yet, the eldest first."""
    connections: Sweep[Given] = field(default_factory=Sweep)
    """Handover connections of those that were passed."""
    stress: StressGauge = field(default_factory=StressGauge)
    handover_time: float = 0.0
    """Seconds the last handover took to be taken."""
    _slow: bool = False
    """A handover since the last tick was slow, or found a full backlog."""

    @classmethod
    def open(cls, settings: PoolSettings, ways: Ways, paths: Mapping[Endpoint, str], config: Config) -> "Pool":
        """A new pool without sessions."""
        pool = cls(settings, ways, (), Places(settings.sessions, settings.per_client), observing=False)
        pool.configure(settings, paths, config)
        return pool

    def configure(self, settings: PoolSettings, paths: Mapping[Endpoint, str], config: Config) -> None:
        """Take over new settings; backends whose socket is still the same are kept, sessions keep their places."""
        known = {(backend.settings, backend.path): backend for backend in self.backends}
        wanted = [
            (backend, paths.get((settings.name, backend.name), backend.target if backend.kind == "pass" else ""))
            for backend in settings.backends
        ]
        self.backends = [known.get(key) or Backend(*key) for key in wanted]
        self.settings = settings
        self.observing = config.mode == "observe"
        self.places.sessions = settings.sessions
        self.places.per_client = settings.sessions if self.observing else settings.per_client

    @property
    def name(self) -> str:
        """As in config.toml."""
        return self.settings.name

    @property
    def is_full(self) -> bool:
        """All places are taken."""
        return self.places.taken >= self.places.sessions

    @property
    def is_idle(self) -> bool:
        """Nobody waits here, for a place or for a server, and there is no stress that could end."""
        return not (len(self.line) or len(self.connections) or self.untaken or self.stress.on)

    def serves(self, session: Session) -> bool:
        """A reserved pool serves friends, and those whom a pin or a list has sent."""
        if self.observing or not self.settings.reserved:
            return True
        return session.verdict.is_welcome

    def has_place_for(self, session: Session) -> bool:
        """There is a place now, this client has not had its share of them, and the pool serves it."""
        return self.serves(session) and self.places.free_for(session.client)

    def give(self, session: Session, now: float, log: Log) -> Given | None:
        """Hand the session over to the least busy backend that takes it; None if none does."""
        for backend in self._in_turn(session):
            if not backend.may_be_asked(now):
                continue
            given = Given(session, self.settings.name, self.places, backend, now)
            try:
                self._hand_over(given, now, log)
            except Saturated:
                self._slow = True
            except Unreachable as error:
                self.failed(backend, str(error), now, log)
            else:
                self.untaken[given] = None
                self.places.take(session.client)
                backend.sessions += 1
                return given
        return None

    def _in_turn(self, session: Session) -> Sequence[Backend]:
        """The backends, the least busy first; those that did not greet this session before come last."""
        if len(self.backends) == 1:
            return self.backends
        return sorted(self.backends, key=lambda backend: (backend.name in session.ungreeted_by, backend.sessions))

    def _hand_over(self, given: Given, now: float, log: Log) -> None:
        if given.backend.settings.kind == "tcp":
            self.ways.relay_to(given)
            return
        connection = self.ways.pass_on(given, stress=self.stress.on)
        self.connections.add(connection, given, deadline=now + TAKEN_WITHIN)
        self._answered(given.backend, log)

    def failed(self, backend: Backend, why: str, now: float, log: Log) -> None:
        """Nobody answers at a backend; it is left alone for a while."""
        if backend.failed(why, now):
            log("backend", state="down", pool=self.name, backend=backend.name, why=why)

    def _answered(self, backend: Backend, log: Log) -> None:
        if backend.answered():
            log("backend", state="up", pool=self.name, backend=backend.name)

    def sweep_taken(self, now: float) -> tuple[list[Given], list[Given]]:
        """The passed sessions that processes have taken since the last look, and those that none took in time."""
        taken = []
        for connection, given in self.connections.readable():
            self.connections.close(connection)
            self._taken(given, now)
            taken.append(given)
        lost = [given for _connection, given in self.connections.due(now)]
        for given in lost:
            self.untaken.pop(given, None)
        return taken, lost

    def greeted(self, given: Given, now: float, log: Log) -> None:
        """The server that a session is relayed to has greeted it."""
        self._taken(given, now)
        self._answered(given.backend, log)

    def _taken(self, given: Given, now: float) -> None:
        self.untaken.pop(given, None)
        given.taken_at = given.backend.took_at = now
        self.handover_time = now - given.given_at
        if given.backend.settings.kind != "tcp":  # a server may have to look up its client's name before it greets
            self._slow = self._slow or self.handover_time > self.settings.handover_wait

    def rest_the_wedged(self, now: float) -> None:
        """Leave backends alone while they do not take what they were given, so that others get the next."""
        for given in self.untaken:
            if now - given.given_at <= WEDGED:
                break
            if given.waits_for_its_server:
                given.backend.rest("it takes nothing", now + WEDGED_PAUSE)
        for backend in self.backends:
            backend.wake(now)

    def surplus(self) -> Session | None:
        """Under stress no more may stand in line than there are places; who leaves, the worst first, never a friend."""
        if not self.stress.on or len(self.line) <= self.places.sessions:
            return None
        worst = self.line.last()
        return None if worst is None or worst.verdict.is_welcome else self.line.dismiss_last()

    def feel(self, now: float) -> bool:
        """Take the pool's pulse; true if its stress has turned on or off."""
        slow = self._slow or self.longest_handover(now) > self.settings.handover_wait
        self._slow = False
        return self.stress.observe(share=self.places.share, slow=slow, now=now)

    def longest_handover(self, now: float) -> float:
        """Seconds the eldest session has been waiting for a server process to take it; 0 if there is none."""
        return next((now - given.given_at for given in self.untaken if given.waits_for_its_server), 0.0)

    def longest_wait(self, now: float) -> float:
        """Seconds the eldest in line has been with us; 0 if the line is empty."""
        eldest = self.line.eldest()
        return now - eldest.accepted if eldest else 0.0
