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
                data, descriptors, *_ = socket.recv_fds(handover, pass_protocol.MESSAGE_LIMIT, 1)
            with socket.socket(fileno=descriptors[0]) as client:
                client.send(b"554 5.3.2 No mail today\r\n")
            said = pass_protocol.decode(data) or {}
            address, port = said["client_address"], int(said["client_port"])
            outcome = outcome_line.OutcomeLine(
                client=address, port=port, session=said.get("session", ""), ended=time.time(), end="refused"
            )
            report.sendall(outcome_line.encode(outcome))


if __name__ == "__main__":
    main(*sys.argv[1:])
