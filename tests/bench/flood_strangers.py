"""The flood: a process that keeps so many strangers at the door, each from an address never used before.

`python -m tests.bench.flood_strangers PORT NUMBER RATE`, until SIGTERM; then one line of JSON on standard output. A
stranger that is thrown out comes back at once, with a new address of 127.64.0.0/10; all of them together connect
at most RATE times a second.
"""

import itertools
import json
import signal
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator

from tests.bench.flood_epoll import Call, Switchboard
from tests.bench.flood_scripts import STRANGERS

_TURN = 0.05
"""Seconds between two looks at who may come in."""


def addresses() -> Iterator[str]:
    """All of 127.64.0.0/10, each once, neighbours far apart; then again."""
    for number in itertools.count(1):
        low = number * 2654435761 % 2**22
        yield f"127.{64 + (low >> 16)}.{low >> 8 & 255}.{low & 255}"


class Flood:
    """Strangers in front of one port."""

    def __init__(self, port: int, number: int, rate: float) -> None:
        self._board = Switchboard(port, self._count_out)
        self._addresses = addresses()
        self._rate = rate
        self._kinds: dict[str, str] = {}
        self._outside = deque(itertools.islice(itertools.cycle(STRANGERS), number))
        self.arrivals = 0
        self.thrown_out: Counter[str] = Counter()
        self.seconds = 0.0

    def run(self, stopped: list[int]) -> None:
        """Until a signal was put into `stopped`."""
        began = last = time.monotonic()
        credit = 0.0
        while not stopped:
            now = time.monotonic()
            credit = min(credit + (now - last) * self._rate, self._rate * _TURN * 2)
            last = now
            while credit >= 1 and self._outside:
                credit -= 1
                self._come_in(self._outside.popleft())
            self._board.serve(now + _TURN)
        self.seconds = time.monotonic() - began
        self._board.close()

    def report(self) -> dict[str, object]:
        """What became of them, with the CPU time of this process."""
        return {
            "arrivals": self.arrivals,
            "thrown_out": dict(sorted(self.thrown_out.items())),
            "seconds": round(self.seconds, 1),
            "cpu": round(time.process_time(), 2),
        }

    def _come_in(self, kind: str) -> None:
        client = next(self._addresses)
        self._kinds[client] = kind
        self.arrivals += 1
        self._board.call(client, STRANGERS[kind]())

    def _count_out(self, call: Call) -> None:
        kind = self._kinds.pop(call.client)
        self.thrown_out[kind] += 1
        self._outside.append(kind)


def main() -> None:
    """Flood until told to stop."""
    port, number, rate = (int(word) for word in sys.argv[1:])
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda received, _frame: stopped.append(received))
    flood = Flood(port, number, rate)
    flood.run(stopped)
    print(json.dumps(flood.report()))


if __name__ == "__main__":
    main()
