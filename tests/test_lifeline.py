"""What a program has from its parent: a lifeline that stays unread, and a log that never blocks."""

import os
from collections.abc import Iterator

import pytest

from frontproxy.lifeline import ChildLog


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def test_a_log_line_is_one_line_whatever_is_in_it(pipe: tuple[int, int]) -> None:
    ChildLog("feed", "milter", pipe[1]).say("feed", state="x", why="a\nb\x1b[2J")

    assert os.read(pipe[0], 1000) == b'event=feed name=milter state=x why="a\\nb\\x1b[2J"\n'


def test_a_log_that_nobody_reads_blocks_nothing(pipe: tuple[int, int]) -> None:
    os.set_blocking(pipe[1], False)
    log = ChildLog("feed", "milter", pipe[1])

    for _ in range(3000):
        log.say("feed", text="x" * 100)

    assert os.read(pipe[0], 100).startswith(b"event=feed name=milter text=xxx")


def test_the_same_trouble_is_told_now_and_then_with_its_number(pipe: tuple[int, int]) -> None:
    log = ChildLog("feed", "milter", pipe[1])
    for tenth in range(300):
        log.often(1000 + tenth / 10, "garbage", why="x")
    log.often(1001.0, "full")

    assert os.read(pipe[0], 1000).splitlines() == [
        b"event=feed name=milter state=garbage times=1 why=x",
        b"event=feed name=milter state=garbage times=100 why=x",
        b"event=feed name=milter state=garbage times=100 why=x",
        b"event=feed name=milter state=full times=1",
    ]
