"""Sessions that arrive as descriptors, over the `pass` protocol. Whoever passes one is not trusted to do it well."""

import contextlib
import os
import socket
from array import array
from collections.abc import Mapping
from ipaddress import ip_address

from backends.smtpd.arrival import Arrival, Client, talks_early
from frontproxy.wire import pass_protocol
from frontproxy.wire.pass_protocol import PassProtocolError

_DESCRIPTORS = 16
"""Descriptors one message can bring; the kernel throws more away."""


class HandoverError(Exception):
    """No session came of it; the text says why."""


class Handover:
    """Reads one handover from its connection, which it owns: closed when the session has arrived, or on any error."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._connection = connection
        self._descriptors = array("i")
        self._data = b""

    def fileno(self) -> int:
        return self._connection.fileno()

    def read(self) -> Arrival | None:
        """Read what is there; None when more has to come. Raises HandoverError."""
        while True:
            try:
                self._receive()
                attributes = pass_protocol.decode(self._data)
            except BlockingIOError:
                return None
            except (OSError, PassProtocolError) as error:
                self.close()
                raise HandoverError(str(error)) from error
            if attributes is not None:
                return self._arrived(attributes)

    def close(self) -> None:
        """Give up: close the connection and everything it brought."""
        for descriptor in self._descriptors:
            with contextlib.suppress(OSError):
                os.close(descriptor)
        del self._descriptors[:]
        self._connection.close()

    def _receive(self) -> None:
        space = socket.CMSG_SPACE(_DESCRIPTORS * self._descriptors.itemsize)
        room = pass_protocol.MESSAGE_LIMIT - len(self._data)
        data, ancillary, _flags, _address = self._connection.recvmsg(max(room, 1), space, socket.MSG_CMSG_CLOEXEC)
        for level, kind, payload in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                self._descriptors.frombytes(payload[: len(payload) - len(payload) % self._descriptors.itemsize])
        if not data:
            raise PassProtocolError("the connection ended before the list did")
        if len(self._descriptors) > 1:
            raise PassProtocolError(f"{len(self._descriptors)} descriptors came, and not one")
        self._data += data

    def _arrived(self, attributes: Mapping[str, str]) -> Arrival:
        """The passed descriptor may be anything: only a connected stream is served."""
        try:
            if not self._descriptors:
                raise HandoverError("no descriptor came")
            client = _client(attributes)
            connection = _stream(self._descriptors[0])
            del self._descriptors[:]
        finally:
            self.close()
        return Arrival(connection, client, attributes.get("stress") == "yes", talks_early(connection))


def _client(attributes: Mapping[str, str]) -> Client:
    try:
        address = ip_address(attributes[pass_protocol.CLIENT_ADDRESS].partition("%")[0])
        port = int(attributes[pass_protocol.CLIENT_PORT])
    except ValueError:
        raise HandoverError("the client's address or port cannot be read") from None
    if not 1 <= port <= 65535:
        raise HandoverError("the client's port cannot be valid")
    mapped = getattr(address, "ipv4_mapped", None)
    return Client(str(mapped or address), port, attributes.get("session", "")[:100])


def _stream(descriptor: int) -> socket.socket:
    """The descriptor as a socket that does not block. When it is none it stays open, for `close` to close."""
    try:
        connection = socket.socket(fileno=descriptor)
    except OSError as error:
        raise HandoverError(f"the descriptor is no socket: {error.strerror}") from error
    try:
        listens = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        connection.setblocking(False)
    except OSError:
        listens = 1
    if listens or connection.type != socket.SOCK_STREAM:
        connection.detach()
        raise HandoverError("the descriptor is no connection")
    return connection
