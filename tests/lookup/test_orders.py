"""The orders of the asking program, and its place in the log."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from frontproxy.lookup.orders import BadOrders, Log, Orders, read_orders


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


@pytest.mark.parametrize("orders", [Orders(), Orders((("127.0.0.1", 5353), ("2001:db8::1", 53)), ("example.com",))])
def test_orders_are_what_was_ordered_and_the_lifeline_is_left_alone(pipe: tuple[int, int], orders: Orders) -> None:
    os.write(pipe[1], orders.line() + b"more")

    assert read_orders(pipe[0]) == orders
    assert os.read(pipe[0], 10) == b"more"


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"[]\n",
        b'{"servers":[]}\n',
        b'{"servers":[],"generic":[1]}\n',
        b'{"servers":[["example.com",53]],"generic":[]}\n',
        b'{"servers":[["127.0.0.1",0]],"generic":[]}\n',
        b'{"servers":[["127.0.0.1",65536]],"generic":[]}\n',
        b'{"servers":["127.0.0.1"],"generic":[]}\n',
        b"\xff\n",
        b"[" * 3000,
    ],
)
def test_broken_orders_are_refused(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "orders").write_bytes(line)
    descriptor = os.open(tmp_path / "orders", os.O_RDONLY)
    try:
        with pytest.raises(BadOrders):
            read_orders(descriptor)
    finally:
        os.close(descriptor)


def test_the_same_trouble_is_told_now_and_then_with_its_number(pipe: tuple[int, int]) -> None:
    log = Log(pipe[1])
    for tenth in range(101):
        log.often(1000 + tenth / 10, "garbage", why="x y")

    assert os.read(pipe[0], 1000).decode().splitlines() == [
        'event=lookup name=lookup state=garbage times=1 why="x y"',
        'event=lookup name=lookup state=garbage times=100 why="x y"',
    ]


def test_a_log_that_nobody_reads_blocks_nothing(pipe: tuple[int, int]) -> None:
    os.set_blocking(pipe[1], False)
    log = Log(pipe[1])

    for _ in range(3000):
        log.say("lookup", text="x" * 100)

    assert os.read(pipe[0], 100).startswith(b"event=lookup name=lookup text=xxx")
