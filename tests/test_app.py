"""The composition root: a reload changes everything or nothing, and never ends what serves."""

import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import trio

from frontproxy import app, house
from frontproxy.clock import AnchoredClock
from frontproxy.doors import Address
from frontproxy.log import Log
from frontproxy.memory.lock import InUse, Lock
from frontproxy.memory.sqlite import HistoryFile
from frontproxy.setup import Setup
from tests.fakes import PATIENCE
from tests.houses import bug

POOLS = '[pool.nice]\nbackends = ["pass:{0}/nice"]\n[pool.hostile]\nbackends = ["pass:{0}/hostile"]\n'
ANY = "127.0.0.1:0"


class Operator:
    """Edits the configuration of a running frontproxy and asks it things."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "config.toml"
        self.addresses: list[Address] = []
        self._stream: trio.SocketStream | None = None

    def write(self, text: str = "", *addresses: str) -> None:
        listen = f"[listen]\naddresses = {json.dumps(addresses or [ANY])}\n"
        self.path.write_text(f"{text}\n{listen}\n{POOLS.format(self.folder)}")

    async def ask(self, request: str) -> dict[str, Any]:
        if self._stream is None:
            self._stream = await trio.open_unix_socket(str(self.folder / "var/admin.sock"))
        await self._stream.send_all(request.encode() + b"\n")
        data = b""
        while not data.endswith(b"\n"):
            chunk = await self._stream.receive_some()
            if not chunk:
                raise EOFError(data)
            data += chunk
        answer: dict[str, Any] = json.loads(data)
        return answer

    async def leave(self) -> None:
        if self._stream:
            await self._stream.aclose()


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Operator]:
    """A frontproxy runs in the folder, until it is drained."""
    operator = Operator(folder)
    operator.write()
    ready = trio.Event()

    def greet(_setup: Setup, addresses: list[Address]) -> None:
        operator.addresses = addresses
        ready.set()

    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(app.serve, operator.path, greet)
            await ready.wait()
            yield operator
            with suppress(trio.BrokenResourceError, EOFError):  # it has drained already
                await operator.ask("drain")
            await operator.leave()


async def test_a_reload_takes_effect_and_says_what_needs_a_restart(tmp_path: Path) -> None:
    async with running(tmp_path) as operator:
        operator.write('mode = "observe"\n[admin]\ngroup = "root"\n')

        answer = await operator.ask("reload")

        assert answer == {"ok": True, "remarks": ["admin has changed, which takes effect at the next start"]}
        assert (await operator.ask("status"))["mode"] == "observe"


async def test_a_reload_with_mistakes_changes_nothing(tmp_path: Path) -> None:
    async with running(tmp_path) as operator:
        operator.write('mode = "observed"\n')

        answer = await operator.ask("reload")

        assert (answer["ok"], answer["code"]) == (False, "failed")
        (mistake,) = answer["mistakes"]
        assert mistake.startswith(f"{operator.path}:1: mode: ")
        assert (await operator.ask("status"))["mode"] == "enforce"


async def test_a_reload_with_an_address_that_is_taken_changes_nothing(tmp_path: Path) -> None:
    async with running(tmp_path) as operator:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            operator.write('mode = "observe"', ANY, f"127.0.0.1:{taken.getsockname()[1]}")

            answer = await operator.ask("reload")

        assert "Address already in use" in answer["mistakes"][0]
        assert (await operator.ask("status"))["mode"] == "enforce"


@pytest.mark.parametrize("broken", ["load", "_needs_restart", "_places"])
async def test_a_reload_that_fails_in_a_way_nobody_thought_of_does_not_end_the_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    async with running(tmp_path) as operator:
        with monkeypatch.context() as patched:
            patched.setattr(house, broken, bug)
            answer = await operator.ask("reload")

        (mistake,) = answer["mistakes"]
        assert "could not be taken over: ZeroDivisionError('a bug')" in mistake
        assert (await operator.ask("reload"))["ok"] is True


async def test_the_limits_of_history_change_with_a_reload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[HistoryFile] = []
    open_history = app._open_history

    def remembered(setup: Setup, log: Log, clock: AnchoredClock) -> HistoryFile:
        opened.append(open_history(setup, log, clock))
        return opened[0]

    monkeypatch.setattr(app, "_open_history", remembered)
    async with running(tmp_path) as operator:
        operator.write("[history]\nmax_clients_remembered = 5000\nevidence_cap = 30\n")

        assert (await operator.ask("reload"))["ok"] is True

        (history,) = opened
        assert (history.limit, history.forgetting.evidence_cap) == (5000, 30)


async def test_it_waits_for_another_program_to_let_go_of_the_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`frontproxy learn` does, when it sees us."""
    (tmp_path / "var").mkdir()
    learning = Lock.take(tmp_path / "var/history.sqlite3")
    open_history = app._open_history

    def found_in_use(setup: Setup, log: Log, clock: AnchoredClock) -> HistoryFile:
        try:
            return open_history(setup, log, clock)
        except InUse:
            learning.release()
            raise

    monkeypatch.setattr(app, "_open_history", found_in_use)
    async with running(tmp_path) as operator:
        assert (await operator.ask("status"))["history"]["troubles"] == []


async def test_it_does_not_wait_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "PATIENCE", 0.0)
    operator = Operator(tmp_path)
    operator.write()
    (tmp_path / "var").mkdir()
    learning = Lock.take(tmp_path / "var/history.sqlite3")
    try:
        with trio.fail_after(PATIENCE), pytest.raises(InUse):
            await app.serve(operator.path, lambda _setup, _addresses: None)
    finally:
        learning.release()


async def test_nobody_can_open_the_doors_again_while_it_drains(tmp_path: Path) -> None:
    async with running(tmp_path) as operator:
        [address] = operator.addresses
        assert isinstance(address, tuple)
        _host, port = address
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as client:  # a lingering stranger
            while (await operator.ask("status"))["waiting_room"]["waiting"] == 0:
                await trio.lowlevel.checkpoint()
            await operator.ask("drain")

            answer = await operator.ask("reload")

            assert client.recv(4) == b"421 "
        assert "frontproxy is about to end" in answer["mistakes"][0]
