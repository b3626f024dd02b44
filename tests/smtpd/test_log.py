"""Log lines that never block."""

import os
import re

from backends.smtpd.log import Log


def test_a_stalled_reader_costs_lines_and_they_are_counted() -> None:
    reading, writing = os.pipe()
    log = Log(writing)
    log.never_block()
    for number in range(5000):
        log.event("message", number=number, text="x" * 100)
    read = os.read(reading, 1_000_000).decode().splitlines()
    log.event("after")
    later = os.read(reading, 1_000_000).decode().splitlines()
    os.close(reading)
    os.close(writing)
    assert all(re.fullmatch(r"event=message number=\d+ text=x{100}|event=log_dropped lines=\d+", it) for it in read)
    assert later[1:] == ["event=after"]
    counted = [int(line.rpartition("=")[2]) for line in [*read, later[0]] if "log_dropped" in line]
    assert sum(counted) == 5000 - sum("event=message" in line for line in read)


def test_nobody_reading_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    Log(writing).event("message")
    os.close(writing)


def test_a_line_is_one_line_and_has_a_limit() -> None:
    reading, writing = os.pipe()
    Log(writing).event("smtpd_error", trace="a\nb\x1b" * 3000)
    os.close(writing)
    data = os.read(reading, 10_000)
    os.close(reading)
    assert data.count(b"\n") == 1
    assert b"\x1b" not in data
    assert len(data) <= 4096
