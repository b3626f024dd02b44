"""The known clients: a process that sends their mail and notes when each session began and how long it took.

`python -m tests.bench.flood_known PORT become MESSAGES` has each client send so many messages, one after the other, as
it becomes known. `... PORT steady SECONDS` has each begin one message a second, whatever became of the one before.
Standard output gets a JSON list of `[began, seconds, result]`, by the monotonic clock; result is "served" or what went
wrong instead. A session that is not over after `DEADLINE` is given up.
"""

import json
import sys
import time
from collections import Counter

from tests.bench.flood_epoll import Call, Switchboard
from tests.bench.flood_scripts import SERVED, known

CLIENTS = [f"127.20.0.{last}" for last in range(1, 21)]
DEADLINE = 10.0
"""Seconds from connecting to the reply to QUIT; a session that takes longer is not served."""
_LATE = "late"
_BECOMING = 90.0
"""Seconds in which every client should have become known."""


class Mail:
    """The known clients' sessions with one port."""

    def __init__(self, port: int) -> None:
        self._board = Switchboard(port, self._ended)
        self.samples: list[tuple[float, float, str]] = []
        self._open: Counter[str] = Counter()
        self._sent: Counter[str] = Counter()

    def become(self, messages: int) -> None:
        """Each client sends so many messages, at most one a second, one after the other."""
        until = time.monotonic() + _BECOMING
        begun = dict.fromkeys(CLIENTS, 0.0)
        while time.monotonic() < until and any(self._sent[client] < messages for client in CLIENTS):
            now = time.monotonic()
            for client in CLIENTS:
                if self._sent[client] < messages and not self._open[client] and now >= begun[client] + 1:
                    begun[client] = now
                    self._begin(client)
            self._serve(now + 0.05)
        self._finish()

    def steady(self, seconds: float) -> None:
        """Each client begins a message every second, the clients evenly spread over it."""
        began = time.monotonic()
        step = 1 / len(CLIENTS)
        for number in range(int(seconds * len(CLIENTS))):
            due = began + number * step
            while time.monotonic() < due:
                self._serve(due)
            self._begin(CLIENTS[number % len(CLIENTS)])
        self._finish()

    def _begin(self, client: str) -> None:
        self._open[client] += 1
        self._board.call(client, known())

    def _finish(self) -> None:
        while self._board.calls:
            self._serve(time.monotonic() + 0.05)
        self._board.close()

    def _serve(self, until: float) -> None:
        self._board.serve(until)
        late = time.monotonic() - DEADLINE
        while (oldest := next(iter(self._board.calls.values()), None)) and oldest.began < late:
            self._board.hang_up(oldest, _LATE)

    def _ended(self, call: Call) -> None:
        self._open[call.client] -= 1
        self._sent[call.client] += call.result == SERVED
        self.samples.append((call.began, call.ended - call.began, call.result))


def main() -> None:
    """Do what the arguments say."""
    port, phase, amount = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    mail = Mail(port)
    if phase == "become":
        mail.become(amount)
    else:
        mail.steady(amount)
    print(json.dumps(mail.samples))


if __name__ == "__main__":
    main()
