"""Alarms: what an operator must mend, told in `status` while it lasts, and in the log when it begins and ends."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from frontproxy.learn.report import FeedsHeard
from frontproxy.proxy import Proxy

PATIENCE = 5.0
"""Seconds for which a feed may be away, and a handover may wait, before that is an alarm."""
SILENCE = 120.0
"""Seconds in which a busy backend should have told an outcome."""
UNHEARD = 20
"""Sessions that end without an outcome while a feed should tell of them."""
CLOCK_ERROR = 60.0


class Alarms:
    """Looks once a second; `current` is what is wrong now."""

    def __init__(
        self,
        proxy: Proxy,
        feeds: FeedsHeard,
        sockets: Sequence[Path] = (),
        troubles: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        """`troubles` tells what is wrong with programs that we have started."""
        self._proxy = proxy
        self._troubles = troubles
        self._sockets = sockets
        self._feeds = feeds
        self.current: tuple[str, ...] = ()
        self._lines = -1
        self._ended_then = 0
        self._heard_then = 0.0

    def look(self) -> None:
        """See what is wrong, and log what has begun and what is over."""
        before, self.current = self.current, tuple(self._found())
        for text in self.current:
            if text not in before:
                self._proxy.log("alarm", state="on", text=text)
        for text in before:
            if text not in self.current:
                self._proxy.log("alarm", state="off", text=text)

    def _found(self) -> Iterator[str]:
        now = time.monotonic()
        register = self._proxy.pools.register
        if not self._feeds.connected and self._should_hear() and register.eldest_age(now) > PATIENCE:
            yield "no feed is connected to the report socket, so nothing is learned; the log says why none runs"
        for path in (*self._sockets, *self._doors()):
            if not path.exists():
                yield f"{path} was removed; restart frontproxy"
        for pool in self._proxy.pools:
            if pool.longest_handover(now) > PATIENCE:
                yield f"pool {pool.name}: no server takes what is handed over; does it run, with enough processes?"
            for backend in pool.backends:
                if backend.failed_for:
                    yield f"pool {pool.name}: {backend.name} is down: {backend.failed_for}"
                if backend.brake.on:
                    yield f"pool {pool.name}: {backend.name}: its refusals teach nothing, because {backend.brake}"
                is_busy = backend.reports and backend.sessions * 2 >= pool.places.sessions
                silent_for = min(register.eldest_age(now, backend), now - backend.heard_at)
                if is_busy and silent_for > SILENCE:
                    yield f"pool {pool.name}: {backend.name} holds places and tells no outcomes; restart it"
        if (unheard := self._unheard(now)) >= UNHEARD:
            yield f"no outcome was heard of the last {unheard} sessions; {' '.join(self._advice())}"
        yield from self._troubles()
        yield from self._proxy.memory.current_troubles()
        yield from self._proxy.journal.troubles()
        if abs(self._proxy.clock.error()) > CLOCK_ERROR:
            yield "the system's clock was set by more than a minute; ours follows slowly"

    def _doors(self) -> Iterator[Path]:
        """Where mail servers find us by a path."""
        config = self._proxy.setup.config
        yield from config.listen.pass_sockets
        if isinstance(config.learn.milter, Path):
            yield config.learn.milter
        if config.learn.policy and isinstance(config.learn.policy.address, Path):
            yield config.learn.policy.address

    def _unheard(self, now: float) -> int:
        """Sessions that have ended since a feed that should tell of each was heard for the last time."""
        ended = self._proxy.counters["ended"]
        if self._feeds.lines != self._lines or not any(self._advice()):
            self._lines, self._ended_then, self._heard_then = self._feeds.lines, ended, now
        return ended - self._ended_then if now - self._heard_then > SILENCE else 0

    def _advice(self) -> Iterator[str]:
        """Where to look when feeds that see every session tell nothing. (The policy service sees only some.)"""
        learn = self._proxy.setup.config.learn
        if learn.milter:
            yield "is our milter the last in smtpd_milters?"
        if learn.maillog:
            yield f"does the mail server log to {learn.maillog}?"

    def _should_hear(self) -> bool:
        """Somebody whom we have started tells outcomes."""
        learn = self._proxy.setup.config.learn
        if learn.milter or learn.maillog or learn.policy:
            return True
        return any(backend.reports for pool in self._proxy.pools for backend in pool.backends)
