"""Memory is given back even where no thread is to be had."""

import os

import pytest

from frontproxy.observe import memfile


def _no_thread(*_: object) -> None:
    raise RuntimeError("can't start new thread")


def test_without_a_thread_the_memory_is_given_back_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memfile, "start_new_thread", _no_thread)
    descriptor = os.memfd_create("test")
    unmapped: list[bool] = []

    memfile.give_back(descriptor, lambda: unmapped.append(True))

    assert unmapped == [True]
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
