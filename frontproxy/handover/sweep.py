"""Sockets that no client waits for, looked at once a tick: all at once, without a task or a wake each.

Most of them have something to read by the next tick and are closed then. So a new one is asked for with the other new
ones, in one poll; only what stays goes into an epoll, which costs the kernel two calls a socket.
"""

import select
from collections.abc import Iterator
from socket import socket
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")

_EVENTS = select.EPOLLIN | select.EPOLLRDHUP


class _Watched(NamedTuple, Generic[T]):
    socket: socket
    item: T
    deadline: float


class Sweep(Generic[T]):
    """Watches sockets until they are readable or their deadline (monotonic seconds) has come. It owns them."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._watched: dict[int, _Watched[T]] = {}
        self._new: set[int] = set()
        """Those that are not in the epoll."""

    def __len__(self) -> int:
        return len(self._watched)

    def add(self, sock: socket, item: T, *, deadline: float) -> None:
        """Watch a socket; all deadlines of one sweep lie equally far ahead, so the eldest are due first."""
        descriptor = sock.fileno()
        self._watched[descriptor] = _Watched(sock, item, deadline)
        self._new.add(descriptor)

    def readable(self) -> list[tuple[socket, T]]:
        """Those that have something to read now, an end or an error included; they stay watched."""
        if not self._watched:
            return []
        found = self._look_at_new() if self._new else []
        if len(self._new) < len(self._watched):
            found += [descriptor for descriptor, _events in self._epoll.poll(0, len(self._watched))]
        return [self._watched[descriptor][:2] for descriptor in found]

    def _look_at_new(self) -> list[int]:
        """The new ones that are readable; the others are not new any more."""
        poll = select.poll()
        for descriptor in self._new:
            poll.register(descriptor, _EVENTS)
        found = [descriptor for descriptor, _events in poll.poll(0)]
        for descriptor in self._new.difference(found):
            self._epoll.register(descriptor, _EVENTS)
        self._new.intersection_update(found)
        return found

    def due(self, now: float) -> Iterator[tuple[socket, T]]:
        """Those whose deadline has come; to be closed by the caller, one after the other."""
        while self._watched:
            watched = next(iter(self._watched.values()))
            if watched.deadline > now:
                return
            yield watched.socket, watched.item
            self.close(watched.socket)

    def close(self, sock: socket) -> None:
        """Stop watching a socket and close it."""
        descriptor = sock.fileno()
        if self._watched.pop(descriptor, None) is not None:
            if descriptor in self._new:
                self._new.remove(descriptor)
            else:
                self._epoll.unregister(descriptor)
        sock.close()

    def close_all(self) -> None:
        """Close every socket, and the sweep itself."""
        for watched in list(self._watched.values()):
            self.close(watched.socket)
        self._epoll.close()
