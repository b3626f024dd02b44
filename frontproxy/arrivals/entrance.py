"""The entrance: a client whose address is the connection's own goes right in; of others we must be told who they are.

Most have been announced when we look for the first time, which costs no task. Who has not is waited for: some seconds,
and so many at once that neither a proxy nor a postscreen gone wild can take what clients need.
"""

import time
from dataclasses import dataclass, field
from itertools import islice
from socket import socket

import trio

from frontproxy.arrivals.arrival import Announced, Endpoint, NotArrived
from frontproxy.arrivals.passed import Passed
from frontproxy.arrivals.proxied import Proxied
from frontproxy.core.address import AddressError, pack
from frontproxy.core.networks import Networks
from frontproxy.proxy import Proxy
from frontproxy.session import TROUBLE, arrive, give_up

WITHIN = 5.0
"""Seconds in which a connection must have been announced."""
WAITING_LIMIT = 1000
"""Connections at one door that may wait to be announced; beyond it the eldest is closed."""


@dataclass(slots=True, eq=False)
class _Wait:
    scope: trio.CancelScope = field(default_factory=lambda: trio.CancelScope(deadline=trio.current_time() + WITHIN))
    why: str = "silent"
    """Why it ends if nothing is announced."""


class Entrance:
    """One door's entrance."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self._waiting: dict[_Wait, None] = {}
        self._named: tuple[str, ...] = ()
        self._trusted = Networks(())

    def __len__(self) -> int:
        """Connections that wait to be announced."""
        return len(self._waiting)

    def connected(self, sock: socket, peer: Endpoint, strangers: trio.Nursery) -> None:
        """A TCP connection was accepted. The socket is ours from here on."""
        if self._trusts(peer[0]):
            self._receive(Proxied(sock, peer), strangers)
        else:
            self._let_in(sock, peer, strangers)

    def passed(self, connection: socket, strangers: trio.Nursery) -> None:
        """A UNIX connection was accepted, which is to bring a client. It is ours from here on."""
        self._receive(Passed(connection), strangers)

    def shed(self, count: int, why: str = "crowded") -> int:
        """The eldest `count` that have not been announced leave; returns how many there were."""
        eldest = list(islice(self._waiting, count))
        for wait in eldest:
            del self._waiting[wait]
            wait.why = why
            wait.scope.cancel()
        return len(eldest)

    def _trusts(self, host: str) -> bool:
        named = self._proxy.setup.config.listen.trusted_proxies
        if named is not self._named:  # another Setup
            self._named, self._trusted = named, Networks(named)
        if not named:
            return False
        try:
            return self._trusted.hold(pack(host))
        except AddressError:
            return False

    def _receive(self, announced: Announced, strangers: trio.Nursery) -> None:
        if self._advance(announced, strangers):
            return
        if len(self._waiting) >= WAITING_LIMIT:
            self.shed(1)
        wait = _Wait()
        self._waiting[wait] = None
        strangers.start_soon(self._wait, announced, wait, strangers)

    async def _wait(self, announced: Announced, wait: _Wait, strangers: trio.Nursery) -> None:
        done = False
        try:
            with wait.scope:
                while not done:
                    await trio.lowlevel.wait_readable(announced.fileno())
                    trio.lowlevel.notify_closing(announced.fileno())  # it may be closed or given away now
                    done = self._advance(announced, strangers)
        finally:
            self._waiting.pop(wait, None)
            if not done:
                self._refuse(announced, wait.why if wait.scope.cancelled_caught else "closing", "nothing was announced")

    def _advance(self, announced: Announced, strangers: trio.Nursery) -> bool:
        """Read what is there; true when we are done with this connection: let in, or refused."""
        try:
            arrival = announced.read()
        except NotArrived as error:
            self._refuse(announced, error.why, str(error))
            return True
        except Exception as error:  # noqa: BLE001  the guard: one connection's bug never ends the proxy
            self._proxy.log.bug("arrival", error)
            self._proxy.counters["bugs"] += 1
            self._refuse(announced, "bug", "see the log")
            return True
        if arrival is not None:
            if arrival.health_check:
                self._proxy.counters["health_checks"] += 1
            self._let_in(arrival.socket, arrival.client, strangers, arrival.server, arrival.health_check)
        return arrival is not None

    def _let_in(
        self,
        sock: socket,
        client: Endpoint,
        strangers: trio.Nursery,
        server: Endpoint | None = None,
        health_check: bool = False,
    ) -> None:
        try:
            arrive(self._proxy, sock, client, strangers, server=server, health_check=health_check)
        except (OSError, AddressError):  # reset between accept and here
            sock.close()
        except Exception as error:  # noqa: BLE001  the guard: one session's bug never ends the proxy
            give_up(self._proxy, sock, error)

    def _refuse(self, announced: Announced, why: str, text: str) -> None:
        """No session: whoever passed a client to us may not know what to tell it, so we do."""
        proxy = self._proxy
        client = announced.give_up()
        proxy.counters[f"refused_{announced.event}"] += 1
        proxy.log.often(announced.event, why, state="refused", **announced.where_from, text=text)
        if client is not None:
            try:
                proxy.farewell.reply(client, TROUBLE, time.monotonic())
            except OSError:
                client.close()
