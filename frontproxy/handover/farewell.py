"""Farewell: a session given back to its client with a reply.

One write, a half-close, a bounded drain and a close. A socket closed with unread bytes in it sends a reset, and a reset
makes the client throw away a reply that it has not read; so what it still sends is read and dropped for a moment.
"""

import contextlib
from socket import MSG_DONTWAIT, MSG_TRUNC, SHUT_WR, socket

from frontproxy.handover.sweep import Sweep

LINGER = 2.0
"""Seconds a client has to read its reply and close."""
LINGERING_LIMIT = 1000
"""Clients lingering at once; beyond it the eldest is closed."""
_DRAIN_LIMIT = 1024 * 1024
_SINK = bytearray(64 * 1024)  # as much as is dropped in one tick; MSG_TRUNC drops it without copying it here


class Farewell:
    """Says goodbye without a task; `tick` is to be called every few dozen milliseconds."""

    def __init__(self) -> None:
        self._leaving: Sweep[list[int]] = Sweep()

    def __len__(self) -> int:
        return len(self._leaving)

    def reply(self, sock: socket, text: str, now: float) -> None:
        """Send one reply line, end our side, and close when the client has, or after LINGER seconds."""
        try:
            sock.send(text.encode("ascii", "replace") + b"\r\n", MSG_DONTWAIT)
            sock.shutdown(SHUT_WR)
        except OSError:  # it has gone already
            sock.close()
            return
        if len(self._leaving) >= LINGERING_LIMIT:
            self.hurry(1)
        self._leaving.add(sock, [0], deadline=now + LINGER)

    def hurry(self, count: int) -> int:
        """Close the eldest lingering sockets, because descriptors are needed; returns how many."""
        closed = 0
        for sock, _drained in self._leaving.due(float("inf")):
            self._leaving.close(sock)
            closed += 1
            if closed == count:
                break
        return closed

    def tick(self, now: float) -> None:
        """Drain who still talks, close who is done."""
        for sock, drained in self._leaving.readable():
            try:
                size = sock.recv_into(_SINK, 0, MSG_DONTWAIT | MSG_TRUNC)
            except BlockingIOError:
                continue
            except OSError:
                size = 0
            drained[0] += size
            if size == 0 or drained[0] > _DRAIN_LIMIT:
                self._leaving.close(sock)
        for _sock, _drained in self._leaving.due(now):
            pass

    def close(self) -> None:
        """Close them all."""
        with contextlib.suppress(OSError):
            self._leaving.close_all()
