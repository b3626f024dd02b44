"""Clients that another program passes to us: postscreen, with us as its `smtpd_service_name`.

It speaks the `pass` protocol: a UNIX connection brings one descriptor and four attributes, and our closing it says that
we have taken the client. Whoever may reach the socket is not trusted to do that well.
"""

import os
import socket
from array import array
from collections.abc import Iterable, Mapping

from frontproxy.arrivals.arrival import Arrival, Endpoint, NotArrived
from frontproxy.core.address import AddressError, pack
from frontproxy.wire import pass_protocol
from frontproxy.wire.pass_protocol import PassProtocolError

_TWO_DESCRIPTORS = socket.CMSG_SPACE(2 * array("i").itemsize)
"""Room for one more than is right; the kernel throws away what does not fit."""


class Passed:
    """Receives what one UNIX connection brings."""

    event = "passed"

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self.where_from = {"door": os.fsdecode(connection.getsockname())}
        self._client: socket.socket | None = None
        self._data = b""

    def fileno(self) -> int:
        """The connection's descriptor."""
        return self._socket.fileno()

    def read(self) -> Arrival | None:
        """The client, once all has come; None when more has to. Raises NotArrived."""
        try:
            while (attributes := self._receive()) is None:
                pass
        except BlockingIOError:
            return None
        except PassProtocolError as error:
            raise NotArrived("broken", str(error)) from error
        except OSError as error:
            raise NotArrived("hung_up", str(error)) from error
        return self._arrived(attributes)

    def give_up(self) -> socket.socket | None:
        """Close the connection; the client's socket, if it has come, is the caller's."""
        self._socket.close()
        client, self._client = self._client, None
        return client

    def _receive(self) -> dict[str, str] | None:
        room = pass_protocol.MESSAGE_LIMIT - len(self._data)
        flags = socket.MSG_CMSG_CLOEXEC | socket.MSG_DONTWAIT
        data, ancillary, _flags, _address = self._socket.recvmsg(room, _TWO_DESCRIPTORS, flags)
        for level, kind, payload in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                descriptors = array("i")
                descriptors.frombytes(payload[: len(payload) - len(payload) % descriptors.itemsize])
                self._take(descriptors)
        if not data:
            raise NotArrived("hung_up", "the connection ended before the list of attributes did")
        self._data += data
        return pass_protocol.decode(self._data)

    def _take(self, descriptors: "array[int]") -> None:
        """Keep the one that is right, close all others."""
        try:
            if len(descriptors) > 1 or self._client is not None:
                raise NotArrived("broken", "more than one descriptor came")
            self._client = _connection(descriptors[0])
            del descriptors[:]
        finally:
            _close_all(descriptors)

    def _arrived(self, attributes: Mapping[str, str]) -> Arrival:
        if self._client is None:
            raise NotArrived("no_client", "no descriptor came")
        client = _endpoint(attributes[pass_protocol.CLIENT_ADDRESS], attributes[pass_protocol.CLIENT_PORT])
        server = _endpoint(attributes[pass_protocol.SERVER_ADDRESS], attributes[pass_protocol.SERVER_PORT])
        arrival = Arrival(self._client, client, server)
        self._client = None
        self._socket.close()  # which says: taken
        return arrival


def _connection(descriptor: int) -> socket.socket:
    """The descriptor as a socket that does not block; raises NotArrived, and leaves it open, if it is no client's."""
    try:
        client = socket.socket(fileno=descriptor)
    except OSError as error:
        raise NotArrived("no_client", f"the descriptor is no socket: {error.strerror}") from error
    try:
        client.getpeername()  # a listening socket has none
        client.setblocking(False)
    except OSError as error:
        client.detach()
        raise NotArrived("no_client", f"the descriptor is no connection: {error.strerror}") from error
    if client.type != socket.SOCK_STREAM or client.family not in {socket.AF_INET, socket.AF_INET6}:
        client.detach()
        raise NotArrived("no_client", "the descriptor is no TCP connection")
    return client


def _endpoint(address: str, port: str) -> Endpoint:
    """Both as they were told, if they are valid: a server that gets them from us may end over others."""
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 1 <= int(port) <= 65535):
        raise NotArrived("broken", f"{port[:60]!a} is not a port")
    try:
        pack(address)
    except AddressError as error:
        raise NotArrived("broken", str(error)) from error
    return address, int(port)


def _close_all(descriptors: Iterable[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
