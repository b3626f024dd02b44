"""What looking strangers up costs the asking program: CPU, memory and its start.

Run it alone: `python -m tests.bench.lookup_loop [--strangers 2000] [--window 20]`.

Each stranger is asked about in five lists and by name: seven look-ups, answered at once by a name server here, which is
not counted: two lists list it, three do not, and its name leads back. CPU is that of the program as the kernel counts
it; the proxy's part (the desk) is not in it.
"""

import argparse
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from statistics import median

import dns.message
import dns.rcode
import dns.rrset
from rich.console import Console
from rich.table import Table

from frontproxy.core.address import unpack
from frontproxy.lookup.messages import PACKET_LIMIT, Question, decode_answers, encode_question
from frontproxy.lookup.orders import Orders
from frontproxy.programs import command, environment
from tests.bench.cpu import running_time

ZONES = tuple(f"list{number}.example.org" for number in range(5))
SOA = dns.rrset.from_text("example.org.", 900, "IN", "SOA", "ns.example.org. hostmaster.example.org. 1 2 3 4 60")
ROUNDS = 5
MOST_CPU = 2000.0
"""Microseconds for one stranger, in all processes together."""


def reply_to(wire: bytes) -> bytes:
    """What the name server says."""
    query = dns.message.from_wire(wire)
    name = query.question[0].name
    reply = dns.message.make_response(query)
    labels = name.to_text().split(".")
    if labels[-3] == "in-addr":
        address = ".".join(reversed(labels[:4]))
        host = f"mail.{address.replace('.', 'x')}.example.org."
        reply.answer.append(dns.rrset.from_text(name, 300, "IN", "PTR", host))
    elif labels[0] == "mail":
        reply.answer.append(dns.rrset.from_text(name, 300, "IN", "A", labels[1].replace("x", ".")))
    elif labels[4] in {"list0", "list1"}:
        reply.answer.append(dns.rrset.from_text(name, 300, "IN", "A", "127.0.0.2", "127.0.0.4"))
    else:
        reply.set_rcode(dns.rcode.NXDOMAIN)
        reply.authority.append(SOA)
    return reply.to_wire()


def serve(server: socket.socket) -> None:
    """Answer until the socket is shut."""
    while True:
        wire, sender = server.recvfrom(4096)
        if not wire:
            return
        server.sendto(reply_to(wire), sender)


class Program:
    """The asking program, as frontproxy starts it."""

    def __init__(self, server: tuple[str, int]) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        began = time.monotonic()
        self._process = subprocess.Popen(
            command("frontproxy.lookup.program", "--socket-fd", str(theirs.fileno())),
            env=environment(),
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=[theirs.fileno()],
        )
        theirs.close()
        self._desk = ours
        assert self._process.stdin
        assert self._process.stderr
        self._process.stdin.write(Orders((server,)).line())
        self._process.stdin.flush()
        assert b"lookup_ready" in self._process.stderr.readline()
        self.start_time = time.monotonic() - began
        self.start_cpu = self.cpu()

    def cpu(self) -> float:
        """Seconds so far."""
        return running_time(self._process.pid)

    def memory(self) -> tuple[float, float]:
        """MB resident, and those that nobody shares."""
        lines = Path(f"/proc/{self._process.pid}/smaps_rollup").read_text().splitlines()
        sizes = {line.split(":")[0]: int(line.split()[1]) / 1000 for line in lines[1:]}
        return sizes["Rss"], sizes["Private_Clean"] + sizes["Private_Dirty"]

    def look_up(self, addresses: list[str], window: int) -> float:
        """Seconds of its CPU for one of these strangers, so many of them at a time."""
        before, waiting, answers = self.cpu(), 0, 0
        left = iter(addresses)
        for number, address in enumerate(left):
            self._desk.send(encode_question(Question(number, address, ZONES, name=True)))
            waiting += 1
            while waiting >= window or (waiting and number == len(addresses) - 1):
                answers += len(decode_answers(self._desk.recv(PACKET_LIMIT)))
                waiting -= answers // 6
                answers %= 6
        return (self.cpu() - before) / len(addresses)

    def end(self) -> None:
        """Hang up, and wait for its end."""
        assert self._process.stdin
        assert self._process.stderr
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stderr.close()
        self._desk.close()


def main() -> int:
    """Print a table; 1 if a stranger costs the program more than all processes may spend."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strangers", type=int, default=2000)
    parser.add_argument("--window", type=int, default=20)
    options = parser.parse_args()
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))
    threading.Thread(target=serve, args=(server,), daemon=True).start()
    program = Program(server.getsockname())
    idle = program.memory()
    addresses = [unpack((0xC6120000 + number).to_bytes(4, "big")) for number in range(options.strangers)]
    one_by_one = median(program.look_up(addresses[: len(addresses) // 4], 1) for _ in range(ROUNDS)) * 1e6
    together = median(program.look_up(addresses, options.window) for _ in range(ROUNDS)) * 1e6
    busy = program.memory()
    program.end()
    server.sendto(b"", server.getsockname())

    table = Table("the asking program", "")
    table.add_row("CPU a stranger, one at a time", f"{one_by_one:.0f} us")
    table.add_row(f"CPU a stranger, {options.window} at a time", f"{together:.0f} us")
    table.add_row("start", f"{program.start_time * 1e3:.0f} ms, {program.start_cpu * 1e3:.0f} ms of CPU")
    table.add_row("memory idle", f"{idle[0]:.1f} MB resident, {idle[1]:.1f} MB its own")
    table.add_row("memory after that", f"{busy[0]:.1f} MB resident, {busy[1]:.1f} MB its own")
    Console().print(table)
    return 1 if max(one_by_one, together) > MOST_CPU else 0


if __name__ == "__main__":
    sys.exit(main())
