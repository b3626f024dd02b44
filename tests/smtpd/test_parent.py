"""What the parent says on standard input."""

import json
import os
from pathlib import Path

import pytest
import trio

from backends.smtpd.parent import BadOrders, Orders, end_of_lifeline, read_orders


def _read(data: bytes, *, to_the_end: bool) -> Orders:
    reading, writing = os.pipe()
    os.write(writing, data)
    os.close(writing)
    try:
        return read_orders(reading, to_the_end=to_the_end)
    finally:
        os.close(reading)


def test_orders_are_one_line() -> None:
    line = json.dumps({"smtpd": {"timeout": 5}, "folder": "/etc", "report": "/run/report"}).encode()
    expected = Orders({"timeout": 5}, Path("/etc"), Path("/run/report"))
    assert _read(line + b"\nmore", to_the_end=False) == expected
    assert _read(line, to_the_end=True) == expected


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"smtpd": 5, "folder": "/"}',
        b'{"smtpd": {}, "folder": 5}',
        b"[" * 60_000,
        b'{"smtpd": {}, "folder": "/", "personalities": 5}',
        b'{"smtpd": {}, "folder": "/", "report": 5}',
    ],
)
def test_bad_orders_say_so(line: bytes) -> None:
    with pytest.raises(BadOrders):
        _read(line, to_the_end=True)


async def test_the_lifeline_ends_with_its_other_end() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"thrown away")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(end_of_lifeline, reading)
        await trio.testing.wait_all_tasks_blocked()
        assert len(nursery.child_tasks) == 1
        os.close(writing)
    os.close(reading)


@pytest.mark.parametrize("drain_time", ["soon", -1, True, 1e9])
def test_a_drain_time_that_is_none_is_refused(drain_time: object) -> None:
    with pytest.raises(BadOrders, match="drain_time"):
        _read(json.dumps({"smtpd": {}, "folder": "/", "drain_time": drain_time}).encode(), to_the_end=True)
