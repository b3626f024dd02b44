"""What the asking program is told when it is started."""

import contextlib
import json
from dataclasses import dataclass

from frontproxy.core.address import AddressError, pack
from frontproxy.core.config_values import TcpAddress
from frontproxy.lifeline import BadOrders, read_line


@dataclass(frozen=True, slots=True)
class Orders:
    """What frontproxy says at the start, as one line of JSON."""

    servers: tuple[TcpAddress, ...] = ()
    """Whom to ask; none: those of resolv.conf."""
    generic: tuple[str, ...] = ()
    """Domains that are no provider, beside those known to be none."""

    def line(self) -> bytes:
        """As it is written to the program."""
        return json.dumps({"servers": self.servers, "generic": self.generic}).encode() + b"\n"


def read_orders(descriptor: int) -> Orders:
    """Read the first line. Raises BadOrders, OSError."""
    match read_line(descriptor):
        case {"servers": list(servers), "generic": list(generic)} if all(isinstance(one, str) for one in generic):
            return Orders(tuple(map(_place, servers)), tuple(generic))
    raise BadOrders('"servers" and "generic", two lists, are missing')


def _place(value: object) -> TcpAddress:
    match value:
        case [str(address), int(port)] if 0 < port < 65536:
            with contextlib.suppress(AddressError):
                pack(address)
                return address, port
    raise BadOrders(f"not a server: {value!a}")
