"""What a feed program has from its parent: orders, a lifeline that stays unread, and a log that never blocks."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from frontproxy.learn.feed import BadOrders, FeedLog, Orders, read_orders


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def test_orders_are_what_was_ordered_and_the_lifeline_is_left_alone(pipe: tuple[int, int]) -> None:
    orders = Orders(Path("/run/rép ort.sock"))
    os.write(pipe[1], orders.line() + b"more")

    assert read_orders(pipe[0]) == orders
    assert os.read(pipe[0], 10) == b"more"


@pytest.mark.parametrize(
    "line", [b"", b"\n", b"[]\n", b"{}\n", b'{"report":1}\n', b'{"report":""}\n', b"\xff\n", b"[" * 3000]
)
def test_broken_orders_are_refused(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "orders").write_bytes(line)
    descriptor = os.open(tmp_path / "orders", os.O_RDONLY)
    try:
        with pytest.raises(BadOrders):
            read_orders(descriptor)
    finally:
        os.close(descriptor)


def test_a_log_line_is_one_line_whatever_is_in_it(pipe: tuple[int, int]) -> None:
    FeedLog("milter", pipe[1]).say("feed", state="x", why="a\nb\x1b[2J")

    assert os.read(pipe[0], 1000) == b'event=feed name=milter state=x why="a\\nb\\x1b[2J"\n'


def test_a_log_that_nobody_reads_blocks_nothing(pipe: tuple[int, int]) -> None:
    os.set_blocking(pipe[1], False)
    log = FeedLog("milter", pipe[1])

    for _ in range(3000):
        log.say("feed", text="x" * 100)

    assert os.read(pipe[0], 100).startswith(b"event=feed name=milter text=xxx")


def test_the_same_trouble_is_told_now_and_then_with_its_number(pipe: tuple[int, int]) -> None:
    log = FeedLog("milter", pipe[1])
    for tenth in range(300):
        log.often(1000 + tenth / 10, "garbage", why="x")
    log.often(1001.0, "full")

    assert os.read(pipe[0], 1000).splitlines() == [
        b"event=feed name=milter state=garbage times=1 why=x",
        b"event=feed name=milter state=garbage times=100 why=x",
        b"event=feed name=milter state=garbage times=100 why=x",
        b"event=feed name=milter state=full times=1",
    ]
