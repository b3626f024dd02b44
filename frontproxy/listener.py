"""The front door: accepts connections in bounded batches, and outlives whatever befalls one of them."""

import errno
import os
from socket import AF_UNIX, socket
from typing import Any

import trio

from frontproxy.arrivals.entrance import Entrance
from frontproxy.proxy import Proxy

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
    """Accept connections for ever; `strangers` is the nursery of those who must be observed.

    A TCP door is for clients, or for proxies in front of us; at a UNIX door other programs pass clients to us.
    """
    entrance = Entrance(proxy)
    try:
        while True:
            await trio.lowlevel.checkpoint_if_cancelled()  # the door may have been closed since the last batch
            await trio.lowlevel.wait_readable(door)
            shortage = _accept_batch(door, entrance, strangers)
            if shortage is None:
                spare.hold()
            else:
                await _mend(proxy, entrance, shortage, spare)
    finally:
        entrance.shed(len(entrance), "closing")


def _accept_batch(door: socket, entrance: Entrance, strangers: trio.Nursery) -> OSError | None:
    """Accept what is there, at most BATCH; what we are short of, if accept says so."""
    is_passing = door.family == AF_UNIX
    for _ in range(BATCH):
        try:
            sock, peer = _accept_with_room(door) if is_passing else door.accept()
        except BlockingIOError:
            return None
        except OSError as error:
            if error.errno in SHORT_OF:
                return error
            continue  # the client reset the connection before we accepted it
        if is_passing:
            entrance.passed(sock, strangers)
        else:
            entrance.connected(sock, peer[:2], strangers)
    return None


def _accept_with_room(door: socket) -> tuple[socket, Any]:
    """Accept while one descriptor more is free for the client to come: the kernel throws away what finds no room."""
    room = os.dup(door.fileno())
    try:
        return door.accept()
    finally:
        os.close(room)


async def _mend(proxy: Proxy, entrance: Entrance, shortage: OSError, spare: SpareDescriptors) -> None:
    """Make room: the lingering leave first, then the lowest of the waiting room; until then the spare ones serve."""
    proxy.counters["short_of_descriptors"] += 1
    proxy.log.often("short", "descriptors", error=shortage.strerror, waiting=len(proxy.room))
    if proxy.farewell.hurry(SHED):
        return
    if proxy.room.shed(SHED) or entrance.shed(SHED):
        await trio.lowlevel.checkpoint()  # they say goodbye now, in their own tasks
        proxy.farewell.hurry(SHED)
    elif proxy.pools.waiting():
        spare.release()  # for those in line: a handover needs a descriptor too
        await trio.sleep(PAUSE)
        spare.hold()
    elif not spare.release():
        await trio.sleep(PAUSE)
