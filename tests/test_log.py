"""The log: it never blocks, it says what it had to drop, and a flood does not drown what matters."""

import fcntl
import os
import re
import select
import termios
import threading
import time
from collections.abc import Iterator

import pytest

from frontproxy import log as log_module
from frontproxy.log import AT_ONCE, OFTEN, Log
from tests.fakes import PATIENCE


class Reader:
    """A log that writes into a pipe, and who reads it."""

    def __init__(self) -> None:
        self._end, self._write_end = os.pipe()
        self.log = Log(self._write_end, None)

    def read(self) -> bytes:
        """What there is to read now."""
        return os.read(self._end, 1 << 20) if select.select([self._end], [], [], 0)[0] else b""

    def lines(self) -> list[str]:
        """Let it be written, and read it."""
        self.log.flush(PATIENCE)
        return self.read().decode().splitlines()

    def read_until(self, wanted: bytes) -> bytes:
        """Read on until something has come."""
        data = b""
        while wanted not in data:
            assert select.select([self._end], [], [], PATIENCE)[0], f"no {wanted!r}"
            data += os.read(self._end, 1 << 20)
        return data

    def wait_until_full(self) -> None:
        """Wait until the log's thread is stuck in a full pipe."""
        size = fcntl.fcntl(self._end, fcntl.F_GETPIPE_SZ)
        deadline = time.monotonic() + PATIENCE
        while int.from_bytes(fcntl.ioctl(self._end, termios.FIONREAD, bytes(4)), "little") < size:
            assert time.monotonic() < deadline
            select.select([], [self._write_end], [], 0.001)

    def leave(self) -> None:
        """Go away; the log goes on."""
        if self._end >= 0:
            os.close(self._end)
            self._end = -1

    def close(self) -> None:
        """End, and let the log's thread end what it writes."""
        self.leave()
        self.log.flush(PATIENCE)
        os.close(self._write_end)


@pytest.fixture
def reader() -> Iterator[Reader]:
    reader = Reader()
    yield reader
    reader.close()


def test_an_event_is_a_line(reader: Reader) -> None:
    reader.log("handover", session="s1", score=1.5)
    reader.log.raw("event=outcome session=s1")

    assert reader.lines() == ["event=handover session=s1 score=1.5", "event=outcome session=s1"]


def test_nothing_is_written_before_the_tick(reader: Reader) -> None:
    reader.log("one")
    assert reader.read() == b""

    reader.log.tick()
    assert reader.read_until(b"\n") == b"event=one\n"


def test_the_time_stands_in_front_if_somebody_keeps_it() -> None:
    end, write_end = os.pipe()
    log = Log(write_end, lambda: 1700000000.0625)
    log("one")
    log.flush(PATIENCE)

    assert os.read(end, 1000) == b"2023-11-14T22:13:20.062Z event=one\n"
    os.close(end)
    os.close(write_end)


def test_the_time_is_that_of_the_event_and_not_that_of_the_tick() -> None:
    end, write_end = os.pipe()
    times = [1700000000.0, 1700000001.0]
    log = Log(write_end, lambda: times.pop(0))
    log("one")
    log("two")
    log.flush(PATIENCE)

    assert os.read(end, 1000) == b"2023-11-14T22:13:20.000Z event=one\n2023-11-14T22:13:21.000Z event=two\n"
    os.close(end)
    os.close(write_end)


def test_text_that_is_no_unicode_is_escaped(reader: Reader) -> None:
    reader.log.raw("event=says text=\udcff")

    assert reader.lines() == ["event=says text=\\udcff"]


# A stalled reader


def stall(reader: Reader) -> None:
    """Fill the pipe, so that the log's thread is stuck."""
    reader.log.raw("x" * 100_000)
    reader.log.tick()
    reader.wait_until_full()


def test_a_stalled_reader_blocks_nobody_and_loses_nothing_that_fits(reader: Reader) -> None:
    stall(reader)
    for number in range(1000):
        reader.log("event", number=number)
        reader.log.tick()

    data = reader.read_until(b"number=999\n")
    assert data.count(b"event=event") == 1000
    assert reader.log.dropped_in_all == 0


def test_what_does_not_fit_is_dropped_counted_and_told_later(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_module, "BUFFER_LIMIT", 110_000)
    stall(reader)
    for number in range(1000):
        reader.log("event", number=number, text="x" * 100)
        reader.log.tick()
    dropped = reader.log.dropped_in_all
    assert 0 < dropped < 1000

    data = reader.read_until(b"event=event number=0")
    reader.log.flush(PATIENCE)
    reader.log.tick()
    data += reader.read_until(b"log_dropped")
    assert data.count(b"event=event") == 1000 - dropped
    assert data.endswith(b"event=log_dropped lines=%d\n" % dropped)


def test_what_gathers_between_two_ticks_is_bounded_like_the_rest(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "BUFFER_LIMIT", 1000)
    for number in range(AT_ONCE):
        reader.log("event", number=number)

    assert 0 < reader.log.dropped_in_all < AT_ONCE


def test_flush_waits_for_a_stalled_reader_no_longer_than_it_may(reader: Reader) -> None:
    stall(reader)
    began = time.monotonic()
    reader.log.flush(0.02)

    assert 0.02 <= time.monotonic() - began < PATIENCE


def test_a_reader_that_has_gone_ends_nothing_and_its_lines_are_counted(reader: Reader) -> None:
    reader.leave()
    reader.log("one")
    reader.log("two")
    reader.log.flush(PATIENCE)
    assert reader.log.dropped_in_all == 2

    reader.log("three")
    reader.log.flush(PATIENCE)
    assert reader.log.dropped_in_all >= 3
    assert any(thread.name == "log" for thread in threading.enumerate())


# Floods


def test_what_strangers_can_cause_is_told_while_it_is_rare_and_summed_up_otherwise(reader: Reader) -> None:
    for number in range(OFTEN + 7):
        reader.log.often("refused", "route", number=number)
    for _ in range(3):
        reader.log.often("gone", "hung_up")
    reader.log("handover")
    reader.log.second()

    lines = reader.lines()
    assert lines[:OFTEN] == [f"event=refused why=route number={number}" for number in range(OFTEN)]
    assert lines[OFTEN:] == ["event=handover", "event=untold refused_route=7 gone_hung_up=3"]


def test_each_second_begins_anew(reader: Reader) -> None:
    for _second in range(2):
        for _ in range(OFTEN):
            reader.log.often("refused", "route")
        reader.log.second()

    assert reader.lines() == ["event=refused why=route"] * (2 * OFTEN)


# Bugs


def fail(depth: int, text: str) -> None:
    if depth:
        fail_deeper(depth - 1, text)
    raise LookupError(text)


def fail_deeper(depth: int, text: str) -> None:
    fail(depth, text)


def caught(text: str, depth: int = 0) -> Exception:
    try:
        fail(depth, text)
    except LookupError as error:
        return error
    raise AssertionError


def test_a_bug_shows_its_traceback_the_first_time_and_is_one_line_afterwards(reader: Reader) -> None:
    for number in range(2):
        reader.log.bug("session", caught(f"oh{number}"), client="192.0.2.1")

    first, second = reader.lines()
    assert first.startswith("""event=bug where=session error=LookupError('oh0') traceback="Traceback (most""")
    assert first.endswith("client=192.0.2.1")
    assert second == "event=bug why=session error=LookupError('oh1') client=192.0.2.1"


def test_another_bug_shows_its_own_traceback(reader: Reader) -> None:
    reader.log.bug("session", caught("one"))
    try:
        raise ValueError("two")  # noqa: TRY301
    except ValueError as error:
        reader.log.bug("session", error)

    assert [line.count("traceback=") for line in reader.lines()] == [1, 1]


def test_the_end_of_a_long_traceback_is_kept(reader: Reader) -> None:
    """It says where the mistake is; the beginning says only that there is a guard."""
    error = caught("deep", depth=40)
    here = f'test_log.py\\", line {fail.__code__.co_firstlineno + 3}'
    reader.log.bug("session", error)

    (line,) = reader.lines()
    assert re.search(r"LookupError: deep\\n\"$", line), line[-200:]
    assert here in line


def test_a_bug_without_a_traceback_is_known_by_its_place(reader: Reader) -> None:
    for _ in range(2):
        reader.log.bug("judge", ValueError("bare"))

    assert [line.count("traceback=") for line in reader.lines()] == [1, 0]


def test_the_same_bug_a_thousand_times_is_summed_up(reader: Reader) -> None:
    error = caught("often")
    for _ in range(1000):
        reader.log.bug("session", error)
    reader.log.second()

    lines = reader.lines()
    assert len(lines) == OFTEN + 2
    assert lines[-1] == f"event=untold bug_session={999 - OFTEN}"
