"""One epoll for all descriptors of the asking program."""

import os
from collections.abc import Iterator

import pytest

from frontproxy.lookup.events import WRITE, Events


@pytest.fixture
def events() -> Iterator[Events]:
    events = Events()
    yield events
    events.close()


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def test_who_waits_is_called_when_there_is_something(events: Events, pipe: tuple[int, int]) -> None:
    called: list[str] = []
    events.watch(pipe[0], lambda: called.append("read"))
    assert list(events.wait(-1.0)) == []

    os.write(pipe[1], b"x")
    events.watch(pipe[1], lambda: called.append("write"), WRITE)
    for ready in events.wait(0):
        ready()
    assert sorted(called) == ["read", "write"]


def test_who_is_forgotten_by_another_is_not_called(events: Events, pipe: tuple[int, int]) -> None:
    called: list[int] = []
    os.write(pipe[1], b"x")

    def first_come(mine: int, other: int) -> None:
        called.append(mine)
        events.forget(other)

    events.watch(pipe[0], lambda: first_come(pipe[0], pipe[1]))
    events.watch(pipe[1], lambda: first_come(pipe[1], pipe[0]), WRITE)
    for ready in events.wait(0):
        ready()

    assert len(called) == 1


def test_another_may_take_over_and_forgetting_twice_is_harmless(events: Events, pipe: tuple[int, int]) -> None:
    called: list[str] = []
    os.write(pipe[1], b"x")
    events.watch(pipe[0], lambda: called.append("first"))
    events.watch(pipe[0], lambda: called.append("second"))
    for ready in events.wait(0):
        ready()
    events.forget(pipe[0])
    events.forget(pipe[0])

    assert called == ["second"]
    assert list(events.wait(0)) == []
