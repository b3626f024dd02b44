"""Supervised smtpds: started, heard, started again, and let go. The children are small scripts with a real clock."""

import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from frontproxy import children
from frontproxy.children import Smtpd
from frontproxy.wire.logfmt import format_line
from tests.fakes import PATIENCE

CHILD = r"""
import os, select, signal, socket, sys
manner, descriptor = sys.argv[1], int(sys.argv[3])
assert sys.argv[2] == "--handover-fd"
settings = sys.stdin.buffer.readline().decode().strip()

def say(text):
    os.write(2, text.encode() + b"\n")

def on_term(*_):
    say("event=over why=term")
    os._exit(0)

signal.signal(signal.SIGTERM, on_term)
say(f"event=smtpd_ready settings={settings}")
if manner == "talk":
    say("Traceback: \x1b[2J of a \xe9")
    say("event=forged text=\x1b[2J")
    say("x" * 20000)
    say("")
    say("event=last said=all")
elif manner == "serve_one":
    door = socket.socket(fileno=descriptor)
    if sys.stdin in select.select([door, sys.stdin], [], [])[0]:
        sys.exit(0)
    peer, _nobody = door.accept()
    peer.sendall(b"served by %d" % os.getpid())
    peer.close()
    sys.exit(3)
elif manner == "orphan":
    if os.fork() == 0:
        say(f"event=orphan pid={os.getpid()}")
        signal.pause()
    sys.exit(4)
elif manner == "die":
    sys.exit(5)
sys.stdin.buffer.read()
say("event=over why=lifeline")
"""


class Ear:
    """Hears what a supervised program says and what is said about it."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.deaths: list[str] = []
        self._news = trio.Event()

    def log(self, event: str, /, **values: object) -> None:
        self.raw(format_line(event, values))

    def raw(self, line: str) -> None:
        self.lines.append(line)
        self._news.set()
        self._news = trio.Event()

    def died(self, path: str, _again_in: float) -> int:
        self.deaths.append(path)
        return 7

    async def hears(self, text: str, times: int = 1) -> list[str]:
        """Wait for so many lines with this text in them."""
        with trio.fail_after(PATIENCE):
            while len(found := [line for line in self.lines if text in line]) < times:
                await self._news.wait()
        return found


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "LAST_WORDS", 0.005)
    monkeypatch.setattr(children, "SHORTEST_PAUSE", 0.005)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "child.py").write_text(CHILD)
    yield tmp_path
    assert not list(tmp_path.glob("*.sock"))  # every door is closed in the end, and its file removed


def smtpd_in(folder: Path, manner: str, program: str = sys.executable) -> Smtpd:
    command = [program, "-IS", str(folder / "child.py"), manner]
    return Smtpd("smtpd-nice", command, {"PATH": os.environ["PATH"]}, b"all-of-them\n", folder)


@asynccontextmanager
async def supervised(folder: Path, manner: str) -> AsyncIterator[tuple[Smtpd, Ear]]:
    smtpd, ear = smtpd_in(folder, manner), Ear()
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(smtpd.run, ear.log, ear.died, ear.raw)
            yield smtpd, ear
            await smtpd.retire()


def ask(path: Path) -> bytes:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(PATIENCE)
        client.connect(str(path))
        return client.recv(100)


async def test_a_child_gets_its_settings_and_says_when_it_is_ready(folder: Path) -> None:
    async with supervised(folder, "wait") as (smtpd, ear):
        await smtpd.begun.wait()

        assert f"event=smtpd state=started name=smtpd-nice pid={smtpd.pid}" in ear.lines
        assert "event=smtpd_ready settings=all-of-them" in ear.lines
        assert smtpd.path.stat().st_mode & 0o777 == 0o600


async def test_what_a_child_says_goes_into_the_log_and_never_unescaped(folder: Path) -> None:
    async with supervised(folder, "talk") as (_smtpd, ear):
        await ear.hears("event=last said=all")

        said = [line for line in ear.lines if "state=says" in line]
        assert len(said) == 2
        assert all(line.startswith("event=smtpd state=says name=smtpd-nice text=") for line in said)
        assert not any(line.startswith("event=forged") for line in ear.lines)
        assert all(line.isascii() and line.isprintable() for line in ear.lines)
        assert max(map(len, ear.lines)) < 200


async def test_what_is_handed_over_while_a_child_is_dead_waits_for_the_next(folder: Path) -> None:
    async with supervised(folder, "serve_one") as (smtpd, ear):
        answers = [await trio.to_thread.run_sync(ask, smtpd.path) for _ in range(3)]

        await ear.hears("state=died", 2)
        assert len(set(answers)) == 3
        assert all(answer.startswith(b"served by ") for answer in answers)


async def test_a_child_that_dies_is_started_again_after_pauses_that_grow(folder: Path) -> None:
    async with supervised(folder, "die") as (smtpd, ear):
        deaths = await ear.hears("state=died", 3)

        assert [line.partition("again_in=")[2] for line in deaths] == ["0.01", "0.02", "0.04"]
        assert "code=5 lost_sessions=7" in deaths[0]
        assert ear.deaths[:3] == [str(smtpd.path)] * 3


async def test_the_pause_has_a_limit_and_a_sound_life_makes_it_short_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children, "LONGEST_PAUSE", 0.008)
    async with supervised(folder, "die") as (_smtpd, ear):
        deaths = await ear.hears("state=died", 2)
        assert [line.partition("again_in=")[2] for line in deaths] == ["0.008", "0.008"]

        monkeypatch.setattr(children, "SOUND_AFTER", 0.0)
        await ear.hears("again_in=0.005")


async def test_a_program_that_cannot_be_started_is_tried_again(folder: Path) -> None:
    smtpd, ear = smtpd_in(folder, "wait", program="/nowhere/smtpd"), Ear()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(smtpd.run, ear.log, ear.died, ear.raw)
        deaths = await ear.hears("state=died", 2)
        nursery.cancel_scope.cancel()

    assert 'code="No such file or directory"' in deaths[0]
    assert smtpd.pid is None


async def test_a_child_that_retires_loses_its_lifeline_and_ends(folder: Path) -> None:
    async with supervised(folder, "wait") as (smtpd, ear):
        await smtpd.begun.wait()

        await smtpd.retire()
        await smtpd.ended.wait()

        assert "event=over why=lifeline" in ear.lines
        assert not smtpd.path.exists()
        assert not any("state=died" in line for line in ear.lines)
        assert ear.deaths == [str(smtpd.path)]


async def test_a_child_that_drains_gets_sigterm(folder: Path) -> None:
    async with supervised(folder, "wait") as (smtpd, ear):
        await smtpd.begun.wait()

        smtpd.drain()
        await smtpd.ended.wait()

        assert "event=over why=term" in ear.lines


@pytest.mark.parametrize("manner", ["wait", "die"])
@pytest.mark.parametrize("order", ["retire", "drain"])
async def test_who_is_let_go_while_it_is_being_started_ends_too(
    folder: Path, monkeypatch: pytest.MonkeyPatch, manner: str, order: str
) -> None:
    started, go_on = trio.Event(), trio.Event()
    open_process = trio.lowlevel.open_process

    async def slow(*command: Any, **options: Any) -> trio.Process:
        process = await open_process(*command, **options)
        started.set()
        await go_on.wait()
        return process

    monkeypatch.setattr(trio.lowlevel, "open_process", slow)
    async with supervised(folder, manner) as (smtpd, ear):
        await started.wait()
        assert smtpd.pid is None

        if order == "retire":
            await smtpd.retire()
        else:
            smtpd.drain()
        go_on.set()
        await smtpd.ended.wait()

        assert "event=smtpd_ready settings=all-of-them" in ear.lines


async def test_who_waited_at_the_door_of_a_dead_child_that_retires_is_told_as_lost(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children, "SHORTEST_PAUSE", PATIENCE)
    async with supervised(folder, "die") as (smtpd, ear):
        await ear.hears("state=died")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as waiting:
            waiting.connect(str(smtpd.path))
            waiting.setblocking(False)

            await smtpd.retire()
            await smtpd.ended.wait()

            with pytest.raises(ConnectionResetError):
                waiting.recv(1)
        assert len(ear.deaths) == 2


async def test_a_child_of_the_child_that_talks_on_delays_nothing(folder: Path) -> None:
    async with supervised(folder, "orphan") as (_smtpd, ear):
        (orphan,) = (await ear.hears("event=orphan"))[:1]
        try:
            await ear.hears("code=4")
        finally:
            for line in ear.lines:
                if line.startswith("event=orphan"):
                    os.kill(int(line.partition("pid=")[2]), signal.SIGKILL)
    assert orphan


async def test_one_that_never_ran_leaves_nothing_behind(folder: Path) -> None:
    smtpd, ear = smtpd_in(folder, "wait"), Ear()

    smtpd.abandon()
    await smtpd.run(ear.log, ear.died, ear.raw)

    assert smtpd.ended.is_set()
    assert ear.lines == []
