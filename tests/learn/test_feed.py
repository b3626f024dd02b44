"""The orders of a feed program."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from frontproxy.learn.feed import Orders, read_orders
from frontproxy.lifeline import BadOrders

OTHERS = [
    b'{"report":"/r","file":["/var/log/mail.log"]}\n',
    b'{"report":"/r","classes":[]}\n',
    b'{"report":"/r","classes":{"nice":1}}\n',
]


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def test_orders_are_what_was_ordered_and_the_lifeline_is_left_alone(pipe: tuple[int, int]) -> None:
    orders = Orders(Path("/run/rép ort.sock"), Path("/run/admin"), Path("/var/log/mail"), {"nice": "permit"})
    os.write(pipe[1], orders.line() + b"more")

    assert read_orders(pipe[0]) == orders
    assert os.read(pipe[0], 10) == b"more"


def test_what_is_not_ordered_is_left_out(pipe: tuple[int, int]) -> None:
    assert Orders(Path("/run/report")).line() == b'{"report": "/run/report"}\n'
    os.write(pipe[1], b'{"report": "/run/report"}\n')

    assert read_orders(pipe[0]) == Orders(Path("/run/report"))


@pytest.mark.parametrize(
    "line", [b"", b"\n", b"[]\n", b"{}\n", b'{"report":1}\n', b'{"report":""}\n', b"\xff\n", b"[" * 3000, *OTHERS]
)
def test_broken_orders_are_refused(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "orders").write_bytes(line)
    descriptor = os.open(tmp_path / "orders", os.O_RDONLY)
    try:
        with pytest.raises(BadOrders):
            read_orders(descriptor)
    finally:
        os.close(descriptor)
