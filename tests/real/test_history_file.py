"""The history file of a running frontproxy: read with the sqlite3 command, refused to others, and what a kill costs."""

import json
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from frontproxy.core.history import Keys
from frontproxy.core.level import Forgetting
from frontproxy.memory.lock import InUse
from frontproxy.memory.sqlite import HistoryFile
from tests.real.house import CONFIG, House, wait_for
from tests.real.need import need

FOREIGN = CONFIG + "[learn]\nforeign = true\n"
FORGETTING = Forgetting(good_half_life=30 * 86400, bad_half_life=7 * 86400, evidence_cap=25, network_limit=4)
BEST = "SELECT * FROM clients ORDER BY good DESC LIMIT 10"
RATE = 100
"""Sessions a second."""
LIVED = 3 * RATE
"""Sessions before the kill."""


def history_path(house: House) -> Path:
    return house.folder / "var/history.sqlite3"


def open_history(house: House) -> HistoryFile:
    return HistoryFile.open(
        history_path(house), limit=10**6, forgetting=FORGETTING, log=lambda *_event, **_values: None
    )


def client(number: int) -> bytes:
    return (0x0A000000 + number).to_bytes(4, "big")


def outcome_line(number: int, session: int = 0) -> bytes:
    """A good session of the number-th client, one of several."""
    address = socket.inet_ntop(socket.AF_INET, client(number))
    line = {
        "v": 1,
        "client": address,
        "port": 4711 + session,
        "ended": time.time(),
        "messages": 1,
        "recipients": 1,
        "end": "quit",
    }
    return json.dumps(line).encode() + b"\n"


def report(house: House) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(house.folder / "var/report.sock"))
    return connection


def ask_sqlite3(house: House, question: str) -> list[list[str]]:
    """What the command prints, row by row."""
    command = ["sqlite3", "-readonly", "-separator", "\t", str(history_path(house)), question]
    printed = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
    return [line.split("\t") for line in printed.splitlines()]


def test_the_sqlite3_command_reads_the_history_while_the_proxy_writes_it(build: Callable[..., House]) -> None:
    need("sqlite3")
    house = build(FOREIGN).start()
    with report(house) as feed:
        for number in range(200):
            feed.sendall(outcome_line(number % 20, number))
            if number % 20 == 0:
                ask_sqlite3(house, BEST)
        wait_for(lambda: ask_sqlite3(house, "SELECT sum(sessions) FROM clients") == [["200.0"]], "200 sessions on disk")

    rows = ask_sqlite3(house, BEST)
    assert len(rows) == 10
    address, last_seen, sessions, good, bad, name = rows[0]
    assert address.startswith("10.0.0.")
    assert last_seen.startswith("20")
    assert (sessions, bad, name) == ("10.0", "0.0", "")
    assert 5 < float(good) <= 10
    assert ask_sqlite3(house, "SELECT network, sessions > 0 FROM networks") == [["10.0.0.0/24", "1"]]
    assert house.ask("status")["history"]["troubles"] == []


def test_nobody_else_opens_the_history_of_a_running_proxy(build: Callable[..., House]) -> None:
    house = build().start()
    with pytest.raises(InUse):
        open_history(house)
    house.stop()
    open_history(house).close()


def test_a_second_of_sessions_is_the_most_that_kill_9_costs(build: Callable[..., House]) -> None:
    house = build(FOREIGN).start()
    sent: list[float] = []
    started = time.monotonic()
    with report(house) as feed:
        for number in range(LIVED):
            time.sleep(max(0.0, started + number / RATE - time.monotonic()))
            feed.sendall(outcome_line(number))
            sent.append(time.monotonic())
        house.kill()
        killed = time.monotonic()
    house.wait()

    with closing(open_history(house)) as history:
        kept = [number for number in range(LIVED) if history.recall(Keys(client(number), b"\x0a\0\0", 0)).client]
        assert history.current_troubles() == []
    assert kept == list(range(len(kept)))
    lost = killed - sent[len(kept)] if len(kept) < LIVED else 0.0
    assert lost < 1
