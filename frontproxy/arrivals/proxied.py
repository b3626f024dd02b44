"""Connections of trusted proxies: the PROXY header is required there, and not one octet after it is read.

A proxy that speaks for itself checks our health: it says LOCAL or UNKNOWN, or, as HAProxy does in version 1, names its
own end of the connection.
"""

from socket import MSG_DONTWAIT, MSG_PEEK, socket

from frontproxy.arrivals.arrival import Arrival, Endpoint, NotArrived
from frontproxy.core.address import pack, unpack
from frontproxy.wire.proxy_protocol import RECEIVED_LIMIT, Header, ProxyHeaderError, parse


class Proxied:
    """Reads the header of one connection."""

    event = "proxy_header"

    def __init__(self, sock: socket, proxy: Endpoint) -> None:
        self._socket = sock
        self.where_from = {"client": proxy[0]}
        self._proxy = unpack(pack(proxy[0])), proxy[1]
        self._begun = b""

    def fileno(self) -> int:
        """The connection's descriptor."""
        return self._socket.fileno()

    def read(self) -> Arrival | None:
        """The client, once its header is complete; None when more has to come. Raises NotArrived."""
        try:
            header = self._receive()
        except BlockingIOError:
            return None
        except ProxyHeaderError as error:
            raise NotArrived("broken", str(error)) from error
        except OSError as error:
            raise NotArrived("hung_up", str(error)) from error
        return None if header is None else self._arrived(header)

    def give_up(self) -> None:
        """Close it without a word: who sends no header gets no answer."""
        self._socket.close()

    def _receive(self) -> Header | None:
        """Look first, then take what belongs to the header.

        All octets of an unfinished one do; left in the socket, they would keep it readable.
        """
        seen = self._socket.recv(RECEIVED_LIMIT, MSG_PEEK | MSG_DONTWAIT)
        if not seen:
            raise NotArrived("hung_up", "the connection ended before its header did")
        header = parse(self._begun + seen)
        ours = len(seen) if header is None else header.length - len(self._begun)
        self._begun += self._socket.recv(ours, MSG_DONTWAIT)
        return header

    def _arrived(self, header: Header) -> Arrival:
        if header.source is None or header.destination is None or header.source == self._proxy:
            return Arrival(self._socket, self._proxy, self._socket.getsockname()[:2], health_check=True)
        if not (header.source[1] and header.destination[1]):  # no server would take it from us
            raise NotArrived("broken", "a port of 0")
        return Arrival(self._socket, header.source, header.destination)
