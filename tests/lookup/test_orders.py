"""The orders of the asking program."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from frontproxy.lifeline import BadOrders
from frontproxy.lookup.orders import Orders, read_orders


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
