"""Sockets that no client waits for, looked at once a tick: all in one epoll call, without a task or a wake each."""

import select
from collections.abc import Iterator
from dataclasses import dataclass
from socket import socket
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Watched(Generic[T]):
    socket: socket
    item: T
    deadline: float


class Sweep(Generic[T]):
    """Watches sockets until they are readable or their deadline (monotonic seconds) has come. It owns them."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._watched: dict[int, _Watched[T]] = {}

    def __len__(self) -> int:
        return len(self._watched)

    def add(self, sock: socket, item: T, *, deadline: float) -> None:
        """Watch a socket; all deadlines of one sweep lie equally far ahead, so the eldest are due first."""
        descriptor = sock.fileno()
        self._epoll.register(descriptor, select.EPOLLIN | select.EPOLLRDHUP)
        self._watched[descriptor] = _Watched(sock, item, deadline)

    def readable(self) -> list[tuple[socket, T]]:
        """Those that have something to read now, an end or an error included; they stay watched."""
        if not self._watched:
            return []
        found = [self._watched[descriptor] for descriptor, _events in self._epoll.poll(0, max(len(self._watched), 1))]
        return [(watched.socket, watched.item) for watched in found]

    def due(self, now: float) -> Iterator[tuple[socket, T]]:
        """Those whose deadline has come; to be closed by the caller, one after the other."""
        while self._watched:
            watched = next(iter(self._watched.values()))
            if watched.deadline > now:
                return
            yield watched.socket, watched.item
            self.close(watched.socket)

    def eldest(self) -> T | None:
        """What has been watched longest."""
        return next((watched.item for watched in self._watched.values()), None)

    def close(self, sock: socket) -> None:
        """Stop watching a socket and close it."""
        if self._watched.pop(sock.fileno(), None) is not None:
            self._epoll.unregister(sock.fileno())
        sock.close()

    def close_all(self) -> None:
        """Close every socket, and the sweep itself."""
        for watched in list(self._watched.values()):
            self.close(watched.socket)
        self._epoll.close()
