"""What the asking program has from the frontproxy that started it: its orders, and a place in the log."""

import contextlib
import json
import os
from dataclasses import dataclass
from typing import Final

from frontproxy.core.address import AddressError, pack
from frontproxy.lookup.servers import Place
from frontproxy.wire.logfmt import format_line

BEAT: Final = 4.0
"""Seconds between signs of life."""
_ORDERS_LIMIT: Final = 64 * 1024
_LINE_LIMIT: Final = 4096  # octets; a pipe takes so many in one piece or not at all
_QUIET: Final = 10.0  # seconds between two lines about the same trouble


class BadOrders(ValueError):
    """The orders cannot be read; the text says why."""


@dataclass(frozen=True, slots=True)
class Orders:
    """What frontproxy says at the start, as one line of JSON."""

    servers: tuple[Place, ...] = ()
    """Whom to ask; none: those of resolv.conf."""
    generic: tuple[str, ...] = ()
    """Domains that are no provider, beside those known to be none."""

    def line(self) -> bytes:
        """As it is written to the program."""
        return json.dumps({"servers": self.servers, "generic": self.generic}).encode() + b"\n"


def read_orders(descriptor: int) -> Orders:
    """Read the first line. Raises BadOrders, OSError."""
    data = b""
    while not data.endswith(b"\n"):
        piece = os.read(descriptor, 1)  # what follows the line is the lifeline
        if not piece or len(data) >= _ORDERS_LIMIT:
            break
        data += piece
    try:
        values = json.loads(data)
    except (ValueError, RecursionError):
        raise BadOrders("not a line of JSON") from None
    match values:
        case {"servers": list(servers), "generic": list(generic)} if all(isinstance(one, str) for one in generic):
            return Orders(tuple(map(_place, servers)), tuple(generic))
    raise BadOrders('"servers" and "generic", two lists, are missing')


def _place(value: object) -> Place:
    match value:
        case [str(address), int(port)] if 0 < port < 65536:
            with contextlib.suppress(AddressError):
                pack(address)
                return address, port
    raise BadOrders(f"not a server: {value!a}")


class Log:
    """Lines of `key=value` words to standard error; `often` keeps one trouble to a line now and then."""

    def __init__(self, descriptor: int = 2) -> None:
        self._descriptor = descriptor
        self._held: dict[str, int] = {}
        self._told: dict[str, float] = {}

    def say(self, event: str, **values: object) -> None:
        """Write one line; without fail, and without waiting. Without a reader it is lost."""
        data = format_line(event, {"name": "lookup", **values}).encode()[: _LINE_LIMIT - 1] + b"\n"
        with contextlib.suppress(OSError):
            os.write(self._descriptor, data)

    def often(self, now: float, state: str, **values: object) -> None:
        """A trouble that may come again at once: a line every ten seconds, with how many there were since."""
        held = self._held.get(state, 0) + 1
        if now - self._told.get(state, -_QUIET) < _QUIET:
            self._held[state] = held
            return
        self._held[state], self._told[state] = 0, now
        self.say("lookup", state=state, times=held, **values)
