"""A feed's end of the report socket: lines arrive whole and in order, or are counted as dropped."""

import itertools
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from frontproxy.learn import reporter
from frontproxy.learn.reporter import Reporter
from frontproxy.wire.outcome_line import OutcomeLine, decode
from tests.fakes import PATIENCE


class Desk:
    """A report socket that reads when it is told to."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._door: socket.socket | None = None
        self._feeds: list[socket.socket] = []

    def open(self) -> None:
        """Begin to listen."""
        self._path.unlink(missing_ok=True)
        self._door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._door.settimeout(PATIENCE)
        self._door.bind(str(self._path))
        self._door.listen()

    def accept(self) -> socket.socket:
        """The next feed."""
        assert self._door is not None
        feed, _nobody = self._door.accept()
        feed.setblocking(False)
        self._feeds.append(feed)
        return feed

    def close(self) -> None:
        """Go away."""
        for sock in (*self._feeds, *([self._door] if self._door else [])):
            sock.close()
        self._feeds.clear()
        self._door = None


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path / "report")
    yield desk
    desk.close()


@pytest.fixture
def feed(tmp_path: Path) -> Iterator[Reporter]:
    reporter = Reporter(tmp_path / "report")
    yield reporter
    reporter.close()


def outcome(number: int) -> OutcomeLine:
    return OutcomeLine(client="192.0.2.1", port=number, ended=1.7e9, end="quit")


def read(feed: socket.socket) -> bytes:
    data = b""
    try:
        while piece := feed.recv(1_000_000):
            data += piece
    except BlockingIOError:
        pass
    return data


def ports(data: bytes) -> list[int]:
    return [decode(line).port for line in data.splitlines()]


def test_lines_arrive_in_order_over_one_connection(desk: Desk, feed: Reporter) -> None:
    desk.open()
    feed.flush(0.0)
    connection = desk.accept()
    for number in range(500):
        feed.add(outcome(number))
    feed.flush(1.0)

    assert ports(read(connection)) == list(range(500))
    assert feed.is_connected
    assert feed.due is None


def test_lines_wait_for_a_desk_that_is_not_there_yet(desk: Desk, feed: Reporter) -> None:
    feed.add(outcome(1))
    feed.flush(0.0)
    assert not feed.is_connected
    desk.open()
    feed.add(outcome(2))
    assert feed.due is not None
    feed.flush(feed.due)

    assert ports(read(desk.accept())) == [1, 2]


def test_attempts_to_connect_become_rarer(feed: Reporter) -> None:
    times = [0.0]
    for _ in range(9):
        feed.flush(times[-1])
        assert feed.due is not None
        times.append(feed.due)
    pauses = [after - before for before, after in itertools.pairwise(times)]

    assert pauses == sorted(pauses)
    assert pauses[0] < 0.5
    assert pauses[-1] == 5.0


def test_nothing_is_tried_before_it_is_due(desk: Desk, feed: Reporter) -> None:
    feed.flush(0.0)
    desk.open()
    feed.flush(0.05)
    assert not feed.is_connected
    feed.flush(0.5)
    assert feed.is_connected


def test_the_newest_lines_are_kept_and_the_others_counted(
    desk: Desk, feed: Reporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporter, "KEPT", 3)
    for number in range(10):
        feed.add(outcome(number))
    desk.open()
    feed.flush(0.0)

    assert ports(read(desk.accept())) == [7, 8, 9]
    assert feed.dropped == 7


def test_a_desk_that_went_away_gets_what_it_missed_when_it_is_back(desk: Desk, feed: Reporter) -> None:
    desk.open()
    feed.flush(0.0)
    desk.close()
    feed.add(outcome(1))
    feed.flush(1.0)
    desk.open()
    assert feed.due is not None
    feed.flush(feed.due)

    assert ports(read(desk.accept())) == [1]
    assert feed.dropped == 0


def test_a_desk_that_does_not_read_holds_up_nothing_and_gets_all_later(desk: Desk, feed: Reporter) -> None:
    desk.open()
    feed.flush(0.0)
    connection = desk.accept()
    for number in range(5000):
        feed.add(outcome(number))
    feed.flush(1.0)
    data = read(connection)
    assert len(ports(data[: data.rindex(b"\n")])) < 5000

    for now in range(2, 1000):
        feed.flush(float(now))
        data += read(connection)
        if feed.due is None:
            break
    assert ports(data) == list(range(5000))


def test_half_a_line_is_dropped_with_its_connection(
    desk: Desk, feed: Reporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporter, "AT_ONCE", 5000)  # more than the kernel takes in one piece
    desk.open()
    feed.flush(0.0)
    connection = desk.accept()
    for number in range(5000):
        feed.add(outcome(number))
    feed.flush(1.0)
    seen = read(connection)
    desk.close()
    feed.flush(2.0)
    desk.open()
    feed.flush(3.0)
    data = read(desk.accept())

    whole, _, half = seen.rpartition(b"\n")
    assert half
    assert feed.dropped == 1
    assert ports(data.partition(b"\n")[0]) == [len(whole.splitlines()) + 1]
