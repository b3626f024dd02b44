"""The smallest backend: it takes sessions over, turns each of them away politely, and reports how it ended."""

import socket
import sys
import time

from frontproxy.wire import outcome_line, pass_protocol


def main(handovers: str, reports: str) -> None:
    """Serve for ever; the arguments are the paths of the two sockets."""
    with socket.socket(socket.AF_UNIX) as door, socket.socket(socket.AF_UNIX) as report:
        report.connect(reports)
        door.bind(handovers)
        door.listen()
        while True:
            with door.accept()[0] as handover:
                handover.settimeout(5)
                try:
                    data, descriptors, *_ = socket.recv_fds(handover, pass_protocol.MESSAGE_LIMIT, 1)
                    attributes = pass_protocol.decode(data)
                except (OSError, pass_protocol.PassProtocolError):
                    continue
            if attributes and descriptors:
                report.sendall(_turn_away(descriptors[0], attributes))


def _turn_away(descriptor: int, attributes: dict[str, str]) -> bytes:
    with socket.socket(fileno=descriptor) as client:
        client.send(b"554 5.3.2 No mail today\r\n")
    outcome = outcome_line.OutcomeLine(
        client=attributes["client_address"],
        port=int(attributes["client_port"]),
        session=attributes.get("session", ""),
        ended=time.time(),
        end="refused",
    )
    return outcome_line.encode(outcome)


if __name__ == "__main__":
    main(*sys.argv[1:])
