"""Houses for the real tests: each in a folder of its own, ended whatever happens."""

import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.real.house import CONFIG, House, is_running, wait_for
from tests.real.install import find

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests of this folder are real ones, which `make check` leaves out."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.real)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path: UNIX sockets have at most 107 bytes of it."""
    with tempfile.TemporaryDirectory(prefix="fp-") as name:
        yield Path(name)


@pytest.fixture
def build(folder: Path) -> Iterator[Callable[..., House]]:
    """Makes houses (not yet started) that are ended with the test, their smtpds included."""
    houses: list[House] = []

    def build_one(config: str = CONFIG, **options: Any) -> House:
        house = House(folder, config, **options)
        houses.append(house)
        return house

    yield build_one
    for house in houses:
        if not hasattr(house, "process"):
            continue
        children = _children(house.process.pid)
        if house.process.poll() is None:
            house.kill()
        house.wait()
        for pid in children:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            wait_for(lambda pid=pid: not is_running(pid), f"the end of {pid}")


@pytest.fixture
def house(build: Callable[..., House]) -> House:
    """A running house with the usual configuration."""
    return build().start()


@pytest.fixture
def program(request: pytest.FixtureRequest) -> str:
    """The path of the program a test names by `indirect`; without it the test is skipped, in CI it fails."""
    path = find(request.param)
    if path is None and os.environ.get("CI"):
        pytest.fail(f"{request.param} is not installed")
    if path is None:
        pytest.skip(f"{request.param} is not installed")
    return path


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []
