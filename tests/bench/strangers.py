"""What strangers leave behind in memory: a hundred thousand different ones, each asked about once.

Run it alone: `python -m tests.bench.strangers [--strangers 100000] [--long]`.

The desk is asked about one after the other, and five lists and the name answer at once; with `--long`, each list
answers as much as one may, and each name is as long as one may be. Memory is that of this process, the part that
nobody shares (USS). The cache is bounded, so when it is full nothing may grow any more.
"""

import argparse
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

import trio
from rich.console import Console
from rich.progress import track
from rich.table import Table

from frontproxy.lookup.cache import ADDRESSES
from frontproxy.lookup.desk import Desk
from frontproxy.lookup.messages import (
    PACKET_LIMIT,
    Answer,
    ListSaid,
    NameSaid,
    Question,
    decode_question,
    encode_answer,
    packets,
)
from tests.bench.desks import client, desk_at, link

STEPS = 10
BATCH = 8
"""Strangers asked about before the answers are read, which the link must be able to hold."""
_HELD = 3600
"""Seconds: nothing is forgotten because of its age."""
MOST_GROWTH = 1.05
"""Memory at the end, in units of what it was when the cache had just become full."""
Says = Callable[[Question], Sequence[Answer]]


def short(question: Question) -> list[Answer]:
    """What is said of most strangers."""
    lists = [ListSaid(question.id, zone, (), _HELD) for zone in question.zones]
    name = f"host-{question.id}.example.org"
    return [*lists, NameSaid(question.id, "confirmed", name, "example.org", access=False, ttl=_HELD)]


def long(question: Question) -> list[Answer]:
    """As much as can be said."""
    codes = tuple(f"127.100.{number}.{number}" for number in range(100, 200))
    name = ".".join([f"{question.id:063}", "n" * 63, "n" * 63, "n" * 61])
    lists = [ListSaid(question.id, zone, codes, _HELD) for zone in question.zones]
    return [*lists, NameSaid(question.id, "confirmed", name, name, access=False, ttl=_HELD)]


def answer_all(theirs: socket.socket, says: Says) -> None:
    """Answer all questions that have come, as the asking program does."""
    answers: list[bytes] = []
    try:
        while True:
            question = decode_question(theirs.recv(PACKET_LIMIT, socket.MSG_DONTWAIT))
            answers += map(encode_answer, says(question))
    except BlockingIOError:
        for packet in packets(answers):
            theirs.send(packet)


async def land(desk: Desk, theirs: socket.socket, says: Says) -> None:
    """Until everything that was asked is answered."""
    while desk.status()["in_flight"]:
        answer_all(theirs, says)
        await trio.lowlevel.checkpoint()


async def pass_by(desk: Desk, theirs: socket.socket, strangers: range, says: Says) -> None:
    """Ask about each of them, and read what is known."""
    for start in range(strangers.start, strangers.stop, BATCH):
        batch = [client(number) for number in range(start, min(start + BATCH, strangers.stop))]
        now = trio.current_time()
        for packed in batch:
            desk.ask(packed, now)
        await land(desk, theirs, says)
        assert all(desk.hearsay(packed, trio.current_time()).name for packed in batch)


async def measure(count: int, says: Says) -> list[tuple[int, int, float]]:
    """Rows of strangers so far, addresses in the cache, and megabytes."""
    rows = []
    with link() as (ours, theirs):
        async with desk_at(ours, clock=trio.current_time) as desk:
            desk.tick(trio.current_time())
            await land(desk, theirs, _tested)
            for step in track(range(STEPS), "strangers"):
                strangers = range(step * count // STEPS, (step + 1) * count // STEPS)
                await pass_by(desk, theirs, strangers, says)
                rows.append((strangers.stop, int(desk.status()["cached"]), memory()))
    return rows


def _tested(question: Question) -> list[Answer]:
    """What a list says in the test of RFC 5782."""
    codes = ("127.0.0.2",) if question.address == "127.0.0.2" else ()
    return [ListSaid(question.id, zone, codes, _HELD) for zone in question.zones]


def memory() -> float:
    """Megabytes of this process that it shares with nobody."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


def main() -> int:
    """Print a table; 1 if memory grows when the cache is full."""
    parser = argparse.ArgumentParser(description="memory that strangers leave behind")
    parser.add_argument("--strangers", type=int, default=2 * ADDRESSES)
    parser.add_argument("--long", action="store_true", help="answers as long as may be")
    options = parser.parse_args()
    before = memory()
    rows = trio.run(measure, options.strangers, long if options.long else short)
    table = Table("strangers so far", "addresses in the cache", "MB more than at the start")
    for strangers, cached, megabytes in rows:
        table.add_row(f"{strangers:,}", f"{cached:,}", f"{megabytes - before:.1f}")
    Console(width=120).print(table)
    full = [megabytes for strangers, cached, megabytes in rows if cached < strangers]
    return 0 if not full or full[-1] <= full[0] * MOST_GROWTH else 1


if __name__ == "__main__":
    raise SystemExit(main())
