"""The pulse: what no client waits for, done in one go every few dozen milliseconds."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import trio

from frontproxy.proxy import Proxy

TICK = 0.025
"""Seconds between two beats."""
IDLE = 0.25
"""The same while nobody is here: waking up costs more than all there is to do."""
_MINUTE = 60.0


class Stalls:
    """How late the pulse comes: the longest stall of the last one to two minutes, in seconds."""

    def __init__(self) -> None:
        self._this_minute = self._last_minute = 0.0
        self._turns_at = 0.0

    def note(self, late: float, now: float) -> None:
        """A beat came this late."""
        if now >= self._turns_at:
            self._last_minute, self._this_minute, self._turns_at = self._this_minute, 0.0, now + _MINUTE
        self._this_minute = max(self._this_minute, late)

    def longest(self) -> float:
        """Seconds in which nobody was judged."""
        return max(self._this_minute, self._last_minute)


async def run(proxy: Proxy, stalls: Stalls, each_second: Callable[[], None]) -> None:
    """Beat for ever. A bug in one beat is logged; the next one comes all the same."""
    second, due = 0.0, time.monotonic()
    while True:
        now = time.monotonic()
        stalls.note(now - due, now)
        with _guarded(proxy):
            proxy.pools.tick(now)  # taken notices, impatience, stress
        with _guarded(proxy):
            proxy.pools.relay.tick(now)  # relays that take too long
        with _guarded(proxy):
            proxy.farewell.tick(now)  # lingering goodbyes
        if now - second >= 1:
            second = now
            proxy.log.second()
            with _guarded(proxy):
                each_second()
        proxy.log.tick()
        if proxy.is_idle:
            proxy.stirred = trio.Event()
            with trio.move_on_after(IDLE - TICK):
                await proxy.stirred.wait()
        due = time.monotonic() + TICK
        await trio.sleep(TICK)


@contextmanager
def _guarded(proxy: Proxy) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001  the proxy outlives a bug
        proxy.log.bug("pulse", error)
        proxy.counters["bugs"] += 1
