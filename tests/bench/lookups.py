"""What the look-ups of a stranger cost the proxy: five lists and a name, known already, or asked and answered.

Run it alone: `python -m tests.bench.lookups [STRANGERS]`. CPU time of this process in us, medians of seven rounds; the
budget is 100 us for what is known, and 2 ms for what is asked; the asking program's own part is not in it. Then as many
different strangers as it is told (100,000) in a row: memory grows no further than the cache's bound.
"""

import gc
import json
import resource
import socket
import statistics
import sys
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path

from frontproxy.core.config_values import Dns, DnsListSettings, Points, ReplyPoints
from frontproxy.core.dnslist import reasons_of
from frontproxy.core.named import reason_of
from frontproxy.core.reply_pattern import parse_pattern
from frontproxy.lookup.cache import ADDRESSES
from frontproxy.lookup.desk import Desk
from frontproxy.lookup.messages import PACKET_LIMIT

ROUNDS = 7
COUNT = 2000
KNOWN_BUDGET = 100.0
ASKED_BUDGET = 2000.0
BOUND = 64.0
"""Megabytes that the cache may take."""
ZONES = ("zen.dnsbl.example", "bl.spam.example", "list.welcome.example", "b.blocking.example", "new.hosts.example")
LISTS = tuple(
    DnsListSettings(zone, tuple(ReplyPoints(parse_pattern(f"127.0.0.{n}"), -float(n)) for n in range(2, 12)))
    for zone in ZONES
)
NAME = "mx-{0}.customers.hosting-{1}.example"


class Program:
    """The asking program's part, played at once: most are not listed, one in four is on two lists."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link

    def answer(self) -> None:
        """Answer one question in one packet, as the program does with what is ready."""
        question = json.loads(self._link.recv(PACKET_LIMIT))
        number, zones = question["id"], question["zones"]
        is_test = question["address"].startswith("127.")
        lines = []
        for place, zone in enumerate(zones):
            listed = question["address"] == "127.0.0.2" if is_test else number % 4 == 0 and place < 2
            codes = ["127.0.0.2", "127.0.0.4"] if listed else []
            lines.append({"id": number, "zone": zone, "codes": codes, "ttl": 900})
        if question["name"]:
            named = NAME.format(number, number % 1000)
            domain = named.partition("customers.")[2]
            said = {"name": named, "state": "confirmed", "domain": domain, "access": False, "ttl": 3600}
            lines.append({"id": number, **said})
        self._link.send(b"".join(json.dumps(line).encode() + b"\n" for line in lines))


class Office:
    """A desk whose lists have passed their tests."""

    def __init__(self) -> None:
        ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        self.program = Program(ends[1])
        self.desk = Desk(Silent())
        self.desk.configure(Dns(lookups_per_second=10**9), LISTS, ends[0])
        self._link = ends[0]
        self.desk.tick(time.monotonic())
        for _test in range(2 * len(LISTS)):
            self.program.answer()
            self.receive()
        assert len(self.desk.voting) == len(LISTS)

    def receive(self) -> None:
        """Read what has come."""
        self.desk._link._receive(self._link)

    def look_up(self, packed: bytes) -> float:
        """Ask about a stranger, and hear what there is to hear; seconds of CPU that the desk took."""
        began = time.process_time()
        assert self.desk.ask(packed, time.monotonic(), heard=_nothing)
        asked = time.process_time()
        self.program.answer()
        answered = time.process_time()
        self.receive()
        return time.process_time() - answered + asked - began

    def judge(self, packed: bytes) -> None:
        """What is known of a stranger, as evidence."""
        now = time.monotonic()
        heard = self.desk.hearsay(packed, now)
        reasons_of(heard.lists, LISTS, voting=self.desk.voting, doubt=1.0, now=now)
        assert heard.name
        reason_of(heard.name, Points(), doubt=1.0)


class Silent:
    """A log that nobody reads."""

    def __call__(self, event: str, /, **values: object) -> None:
        """Nothing."""

    def bug(self, where: str, error: Exception, /) -> None:
        """There must be none."""
        raise error


def main() -> int:
    """Measure; 1 if a budget is exceeded."""
    strangers = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    office = Office()
    batches = [[client(number) for number in range(start, start + COUNT)] for start in range(0, ROUNDS * COUNT, COUNT)]
    asked = statistics.median([sum(map(office.look_up, batch)) / COUNT * 1e6 for batch in batches])
    print(f"asked and answered: {asked:.0f} us a stranger, the asking program's part and waking up not in it")
    known = median(office.judge, batches)
    nothing = median(lambda packed: office.desk.ask(packed, time.monotonic()), batches)
    print(f"known: {known:.1f} us to read and make reasons of, {nothing:.1f} us to see that nothing has to be asked")
    grown = growth(office, strangers)
    as_objects(office, batches)
    return int(asked > ASKED_BUDGET or known + nothing > KNOWN_BUDGET or grown > BOUND)


def client(number: int) -> bytes:
    """The number-th stranger, scattered over all of IPv4."""
    return (number * 2654435761 % 2**32).to_bytes(4, "big")


def median(step: Callable[[bytes], object], batches: Sequence[Sequence[bytes]]) -> float:
    """Microseconds of CPU an address."""
    taken = []
    for batch in batches:
        began = time.process_time()
        for packed in batch:
            step(packed)
        taken.append((time.process_time() - began) / len(batch) * 1e6)
    return statistics.median(taken)


def growth(office: Office, strangers: int) -> float:
    """Megabytes by which memory grows with so many strangers, and then with as many again, twice."""
    before, collected = memory(), collection()
    grown = []
    for start in (1, 2, 3):
        for number in range(start * strangers, (start + 1) * strangers):
            office.look_up(client(number))
        grown.append(memory() - before)
    cached = office.desk.status()["cached"]
    steps = ", then ".join(f"{grown_by:.1f}" for grown_by in grown)
    print(f"{strangers} strangers, and as many twice more: {steps} MB; {cached} addresses are kept")
    print(f"a full garbage collection takes {collection():.1f} ms, {collected:.1f} before")
    return grown[-1]


def as_objects(office: Office, batches: Sequence[Sequence[bytes]]) -> None:
    """What the same would take if answers were kept as objects."""
    for packed in batches[0]:
        office.look_up(packed)
    before = memory()
    kept = OrderedDict(
        (number, office.desk.hearsay(batches[0][number % COUNT], time.monotonic())) for number in range(ADDRESSES)
    )
    print(f"{len(kept)} addresses as objects: {memory() - before:.1f} MB, and a collection takes {collection():.1f} ms")


def collection() -> float:
    """Milliseconds of CPU that a full garbage collection takes."""
    taken = []
    for _ in range(3):
        began = time.process_time()
        gc.collect()
        taken.append((time.process_time() - began) * 1e3)
    return statistics.median(taken)


def memory() -> float:
    """Megabytes that the process holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def _nothing() -> None:
    """Whoever waits, waits no longer."""


if __name__ == "__main__":
    sys.exit(main())
