"""The two ways to give a session to a backend: its descriptor is passed, or its bytes are relayed."""

from dataclasses import dataclass
from socket import socket

from frontproxy.handover.backends import Given
from frontproxy.handover.descriptor import Unreachable, hand_over, message_for
from frontproxy.handover.held import HeldSockets
from frontproxy.handover.relay import Relay
from frontproxy.wire import proxy_protocol


@dataclass(frozen=True, slots=True)
class Ways:
    """Both raise Saturated or Unreachable, and the session's socket is the caller's as before then."""

    relay: Relay[Given]
    held: HeldSockets

    def pass_on(self, given: Given, *, stress: bool) -> socket:
        """Pass the descriptor; returns the handover connection, whose end-of-file says that a process has it."""
        session = given.session
        if not given.backend.reports:  # one that does tells its ends itself, and its death is noticed
            self.held.watch(given)
        try:
            connection = hand_over(session.socket, given.backend.path, message_for(session, stress=stress))
        except BaseException:
            self.held.forget(given)
            raise
        session.socket.close()
        return connection

    def relay_to(self, given: Given) -> None:
        """Begin to relay; the relay has the socket from now on, and tells what becomes of it."""
        backend = given.backend.settings
        self.relay.open(given.session.socket, backend.server, _header(given), given)


def _header(given: Given) -> bytes:
    """What the server is told about the client, as it expects it."""
    session = given.session
    source, destination = (session.address, session.port), session.server
    try:
        match given.backend.settings.proxy:
            case "v2":
                tlvs = [
                    (proxy_protocol.UNIQUE_ID, session.id.encode()),
                    (proxy_protocol.SCORE, f"{session.verdict.score:.1f}".encode()),
                    (proxy_protocol.POOL, given.pool.encode()),
                ]
                return proxy_protocol.encode_v2(source, destination, tlvs)
            case "v1":
                return proxy_protocol.encode_v1(source, destination)
            case "none":
                return b""
    except proxy_protocol.ProxyHeaderError as error:
        raise Unreachable(str(error)) from error
