"""The front door: accepts connections in bounded batches, and outlives whatever befalls one of them."""

import errno
import os
from socket import socket

import trio

from frontproxy.core.address import AddressError
from frontproxy.proxy import Proxy
from frontproxy.session import arrive, give_up

BATCH = 64
"""Connections accepted before other tasks get their turn."""
SHORT_OF = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
PAUSE = 0.1
"""Seconds without accepting when descriptors are short and nobody can be shed."""
SHED = 16


class SpareDescriptors:
    """A few descriptors held back, so that when all others are taken a friend can still be accepted and handed over."""

    def __init__(self, number: int = 4) -> None:
        self._number = number
        self._held: list[int] = []
        self.hold()

    def hold(self) -> None:
        """Hold back what is missing, as far as there are any."""
        try:
            while len(self._held) < self._number:
                self._held.append(os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC))
        except OSError:
            pass

    def release(self) -> bool:
        """Let go of all; false if there was none."""
        had_some = bool(self._held)
        while self._held:
            os.close(self._held.pop())
        return had_some


async def listen(proxy: Proxy, door: socket, spare: SpareDescriptors, strangers: trio.Nursery) -> None:
    """Accept connections for ever; `strangers` is the nursery of those who must be observed."""
    while True:
        await trio.lowlevel.wait_readable(door)
        shortage = _accept_batch(proxy, door, strangers)
        if shortage is None:
            spare.hold()
            await trio.lowlevel.checkpoint()
        else:
            await _mend(proxy, shortage, spare)


def _accept_batch(proxy: Proxy, door: socket, strangers: trio.Nursery) -> OSError | None:
    """Accept what is there, at most BATCH; what we are short of, if accept says so."""
    for _ in range(BATCH):
        try:
            sock, peer = door.accept()
        except BlockingIOError:
            return None
        except OSError as error:
            if error.errno in SHORT_OF:
                return error
            continue  # the client reset the connection before we accepted it
        _arrive_guarded(proxy, sock, peer[:2], strangers)
    return None


def _arrive_guarded(proxy: Proxy, sock: socket, peer: tuple[str, int], strangers: trio.Nursery) -> None:
    try:
        arrive(proxy, sock, peer, strangers)
    except (OSError, AddressError):  # reset between accept and here
        sock.close()
    except Exception as error:  # noqa: BLE001  the guard: one session's bug never ends the proxy
        give_up(proxy, sock, error)


async def _mend(proxy: Proxy, shortage: OSError, spare: SpareDescriptors) -> None:
    """Make room: the lingering leave first, then the lowest of the waiting room; until then the spare ones serve."""
    proxy.counters["short_of_descriptors"] += 1
    proxy.log.often("short", "descriptors", error=shortage.strerror, waiting=len(proxy.room))
    if proxy.farewell.hurry(SHED):
        return
    if proxy.room.shed(SHED):
        await trio.lowlevel.checkpoint()  # they say goodbye now, in their own tasks
        proxy.farewell.hurry(SHED)
    elif not spare.release():
        await trio.sleep(PAUSE)
