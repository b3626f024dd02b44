"""What can stand in front of a mail server, side by side: frontproxy's two ways, HAProxy, nginx, postscreen, nothing.

The client of all measurements is 127.0.0.1. For frontproxy it is a friend by a list worth 30 points, so that all of
scoring takes place, history and learning included; for postscreen it is in the cache.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.cpu import Cpu, cpu_of, family
from tests.real.house import House
from tests.real.servers import HaProxy, Nginx

_FRONTPROXY = """
[listen]
addresses = ["127.0.0.1:0"]
{listen}
[learn]
{learn}
[[list]]
name = "friends"
kind = "points"
networks = ["127.0.0.1"]
points = 30
[pool.nice]
backends = ["{backend}"]
sessions = 100
per_client = 100
reserved = true
fallback = "hostile"
handover_wait = "20s"
[pool.hostile]
backends = ["pass:/nonexistent/hostile"]
{extra}
"""


@dataclass(frozen=True, slots=True)
class Front:
    """One front end at work."""

    name: str
    port: int
    pids: Callable[[], list[int]]
    """Its processes now, with all their children; what is behind it is not among them."""
    outcomes: Callable[[], int] | None = None
    """How many sessions' outcomes it has been told, if it learns."""

    def cpu(self) -> Cpu:
        """What it has cost so far."""
        return cpu_of(self.pids())


@contextmanager
def house(backend: str, *, listen: str = "", learn: str = "", extra: str = "") -> Iterator[House]:
    """A frontproxy with one backend for friends; `listen`, `learn` and `extra` are lines of its configuration."""
    with tempfile.TemporaryDirectory(prefix="fp-") as folder:
        config = _FRONTPROXY.format(backend=backend, listen=listen, learn=learn, extra=extra)
        house = House(Path(folder), config).start()
        try:
            yield house
        finally:
            house.stop()


@contextmanager
def frontproxy(name: str, backend: str, *, learn: str = "") -> Iterator[Front]:
    """frontproxy as a front end like the others."""
    with house(backend, learn=learn) as running:

        def outcomes() -> int:
            return int(running.ask("status")["feeds"]["lines"])

        yield Front(name, running.port, lambda: family(running.process.pid), outcomes if learn else None)


@contextmanager
def haproxy(name: str, backend: int, *, send_proxy: str = "v2") -> Iterator[Front]:
    """HAProxy in TCP mode with a stick table; it logs nothing."""
    with HaProxy(backend, send_proxy=send_proxy) as server:
        yield Front(name, server.port, lambda: family(server.pid))


@contextmanager
def nginx(name: str, backend: int, *, send_proxy: bool = True) -> Iterator[Front]:
    """nginx with its stream module, PROXY v1; it logs nothing."""
    with Nginx(backend, send_proxy=send_proxy) as server:
        yield Front(name, server.port, lambda: family(server.pid))
