"""What systemd gives us and wants to hear: listening sockets in, notices out (sd_listen_fds(3), sd_notify(3)).

Its variables are for this process alone: reading them takes them out of the environment, so that no child believes that
it was meant.
"""

import os
import re
import socket
import time
from collections.abc import MutableMapping
from contextlib import suppress

from frontproxy.core.mistakes import Mistake, Mistaken

_FIRST = 3
"""The descriptor of the first socket; the others follow it."""
_MOST = 1024
"""Sockets that one service has at most; more is a slip, not a front door."""
_WHOLE = re.compile(r"[0-9]{1,18}")
_REMEDY = "let the socket unit have nothing but ListenStream="

Environment = MutableMapping[str, str]


def inherited_sockets(environment: Environment = os.environ) -> list[socket.socket]:
    """The listening stream sockets that systemd passed to this process, non-blocking; none without socket activation.

    To be called once: whoever has the sockets closes them. Raises Mistaken if anything else was passed.
    """
    ours = environment.pop("LISTEN_PID", "") == str(os.getpid())
    count = environment.pop("LISTEN_FDS", "")
    names = environment.pop("LISTEN_FDNAMES", "").split(":")
    if not ours:
        return []
    if not _WHOLE.fullmatch(count) or int(count) > _MOST:
        raise Mistaken([_mistake(f"LISTEN_FDS is {count[:20]!a}", "leave this variable to systemd")])
    numbers = range(_FIRST, _FIRST + int(count))
    if len(names) != len(numbers):
        names = [""] * len(numbers)
    return _all_or_none(list(zip(numbers, names, strict=True)))


def _all_or_none(passed: list[tuple[int, str]]) -> list[socket.socket]:
    sockets, mistakes = [], []
    for number, name in passed:
        try:
            sockets.append(_listening(number))
        except OSError as error:
            mistakes.append(_mistake(f"descriptor {number} ({name!a}): {error.strerror}", _REMEDY))
    if mistakes:
        for sock in sockets:
            sock.close()
        raise Mistaken(mistakes)
    return sockets


def _listening(number: int) -> socket.socket:
    """The listening stream socket of this number, not for our children; raises OSError that says what else it is."""
    os.set_inheritable(number, False)
    sock = socket.socket(fileno=number)
    is_stream = sock.type == socket.SOCK_STREAM
    if not is_stream or not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        sock.close()
        raise OSError(0, "it does not listen" if is_stream else "not a stream socket")
    sock.setblocking(False)
    return sock


def _mistake(what: str, remedy: str) -> Mistake:
    return Mistake("systemd", 0, "listen.addresses", what, remedy)


def watchdog_interval(environment: Environment = os.environ) -> float | None:
    """Seconds between two WATCHDOG=1: half of what systemd waits for them; None if it does not wait."""
    ours = environment.pop("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    limit = environment.pop("WATCHDOG_USEC", "")
    if not ours or not _WHOLE.fullmatch(limit):
        return None
    return int(limit) / 2e6 or None


class Notifier:
    """Tells systemd how we are; without systemd it tells nobody. It never waits and never fails.

    Its socket is made at the start: a process that has run out of descriptors must still be able to say that it lives.
    """

    def __init__(self, environment: Environment = os.environ) -> None:
        self._address = _notify_address(environment.pop("NOTIFY_SOCKET", ""))
        self._socket: socket.socket | None = None
        if self._address:
            with suppress(OSError):
                self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)

    def notify(self, *lines: str) -> bool:
        """Send assignments such as "READY=1" and "STATUS=text" as one notice.

        False if systemd is too busy to take it now: it is lost, and what matters is worth saying again.
        """
        if self._socket is None:
            return True
        text = "\n".join(" ".join(line.splitlines()) for line in lines)
        try:
            self._socket.sendto(text.encode(errors="backslashreplace"), self._address)
        except BlockingIOError:
            return False
        except OSError:  # nobody is there any more
            return True
        return True

    def ready(self, status: str = "") -> bool:
        """We serve: at the start, and again after each `reloading`. `status` is one line for `systemctl status`."""
        return self.notify("READY=1", *_status(status))

    def reloading(self) -> bool:
        """A reload begins, now; `ready` must follow, whether it succeeds or not."""
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        return self.notify("RELOADING=1", f"MONOTONIC_USEC={now}")

    def stopping(self, status: str = "") -> bool:
        """The drain begins."""
        return self.notify("STOPPING=1", *_status(status))

    def alive(self) -> bool:
        """To be said every `watchdog_interval`."""
        return self.notify("WATCHDOG=1")

    def close(self) -> None:
        """Nothing more is told."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _notify_address(value: str) -> str:
    """A path, or a name in the abstract namespace; empty for what is neither."""
    if value.startswith("@"):
        return "\0" + value[1:]
    return value if value.startswith("/") else ""


def _status(text: str) -> list[str]:
    return [f"STATUS={text}"] if text else []
