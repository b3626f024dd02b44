"""The feeds of a Setup: their doors are ours, they outlive a reload that leaves them alone, and a hung one is ended."""

import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio

from frontproxy import children, feeds
from frontproxy.children import Child
from frontproxy.core.config_values import Learn, PolicyService
from frontproxy.core.mistakes import Mistaken
from frontproxy.feeds import Door, Feeds, Wanted
from frontproxy.setup import Setup, load
from frontproxy.wire.logfmt import format_line
from tests.fakes import PATIENCE
from tests.real.ports import Port

PROGRAM = r"""
import json, os, select, socket, sys, time
orders = sys.stdin.buffer.readline().decode().strip()
if sys.argv[1:] == ["--orders"]:
    with open(json.loads(orders)["file"]) as log:
        os.write(2, b"event=feed_ready name=maillog\n")
        for line in log:
            os.write(2, b"event=alive name=maillog" + line.encode())
    os.write(2, f"event=read name=maillog orders={orders}\n".encode())
    sys.stdin.read()
    sys.exit()
door = socket.socket(fileno=int(sys.argv[2]))
os.write(2, b"event=feed_ready name=milter\n")
os.write(2, b"event=alive name=milter\n")
while True:
    ready = select.select([door, sys.stdin], [], [])[0]
    if sys.stdin in ready:
        break
    peer, _nobody = door.accept()
    word = peer.recv(100)
    if word == b"die":
        sys.exit(3)
    if word == b"hang":
        select.select([], [], [])
    peer.sendall(f"{os.getpid()} {orders}".encode())
    peer.close()
    os.write(2, b"event=alive name=milter\n")
os.write(2, b"event=over\n")
"""


class House:
    """Feeds with their log."""

    def __init__(self, folder: Path, setup: Setup, nursery: trio.Nursery) -> None:
        self.lines: list[str] = []
        self.setup = setup
        self.feeds = Feeds(folder / "report", folder / "admin", self._log, self._raw)
        self._nursery = nursery
        self._news = trio.Event()

    def _log(self, event: str, /, **values: object) -> None:
        self._raw(format_line(event, values))

    def _raw(self, line: str) -> None:
        self.lines.append(line)
        self._news.set()
        self._news = trio.Event()

    async def hears(self, text: str, times: int = 1) -> None:
        """Wait until so many lines of the log hold this."""
        while sum(text in line for line in self.lines) < times:
            await self._news.wait()

    def wanting(self, milter: Door | None = None, **others: Any) -> Setup:
        """A Setup with the milter there, and these other feeds."""
        return replace(self.setup, config=replace(self.setup.config, learn=Learn(milter=milter, **others)))

    async def move_in(self, milter: Door | None = None, **others: Any) -> dict[Wanted, Child]:
        """Let such a Setup take effect."""
        prepared = self.feeds.prepare(self.wanting(milter, **others))
        await self.feeds.adopt(prepared, self._nursery)
        return prepared


@pytest.fixture(autouse=True)
def _small_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    monkeypatch.setattr(
        feeds, "command", lambda _module, *words: [sys.executable, "-IS", str(tmp_path / "program.py"), *words]
    )
    monkeypatch.setattr(children, "LAST_WORDS", 0.005)
    monkeypatch.setattr(children, "SHORTEST_PAUSE", 0.005)


@asynccontextmanager
async def house_in(folder: Path) -> AsyncIterator[House]:
    (folder / "config.toml").write_text('[pool.all]\nbackends = ["pass:nowhere"]\n[[route]]\nto = "all"\n')
    setup = await load(folder / "config.toml")
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            house = House(folder, setup, nursery)
            yield house
            await house.move_in(None)
    setup.close()


async def ask(place: Door, word: bytes = b"who") -> bytes:
    """Say a word to the feed; its answer."""
    stream = await trio.open_unix_socket(str(place)) if isinstance(place, Path) else await trio.open_tcp_stream(*place)
    async with stream:
        await stream.send_all(word)
        answer = b""
        with contextlib.suppress(trio.BrokenResourceError):
            while piece := await stream.receive_some():
                answer += bytes(piece)
        return answer


@pytest.fixture
def place() -> Door:
    with Port() as port:
        return port.host, port.number


async def test_no_feed_is_asked_for_and_none_runs(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        assert await house.move_in(None) == {}
        assert house.feeds.status() == []
        assert list(house.feeds.troubles()) == []


async def test_a_feed_serves_at_its_port_and_has_its_orders(tmp_path: Path, place: Door) -> None:
    async with house_in(tmp_path) as house:
        (feed,) = (await house.move_in(place)).values()

        pid, _, orders = (await ask(place)).partition(b" ")
        assert orders == b'{"report": "%s"}' % bytes(tmp_path / "report")
        assert house.feeds.status() == [{"name": "milter", "pid": int(pid), "trouble": None}]
        assert feed.is_ready
        assert not any("alive" in line for line in house.lines)


async def test_a_feed_serves_at_a_path_that_anybody_may_use_who_may_enter_the_folder(tmp_path: Path) -> None:
    folder = trio.Path(tmp_path)
    await folder.chmod(0o710)
    async with house_in(tmp_path) as house:
        await house.move_in(tmp_path / "milter.sock")

        assert (await (folder / "milter.sock").stat()).st_mode & 0o777 == 0o666
        assert await ask(tmp_path / "milter.sock")
        assert not any("event=configuration" in line for line in house.lines)
    assert not await (folder / "milter.sock").exists()


async def test_a_folder_that_keeps_the_mail_server_out_is_warned_of(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        await house.move_in(tmp_path / "new" / "milter.sock")

        assert any("keeps the mail server from milter.sock" in line for line in house.lines)


async def test_a_reload_that_leaves_a_feed_alone_does_not_touch_it(tmp_path: Path, place: Door) -> None:
    async with house_in(tmp_path) as house:
        before = await house.move_in(place)
        answer = await ask(place)

        assert await house.move_in(place) == before
        assert await ask(place) == answer


async def test_a_feed_that_moves_is_started_anew_and_the_old_one_finishes(tmp_path: Path, place: Door) -> None:
    async with house_in(tmp_path) as house:
        (old,) = (await house.move_in(place)).values()
        before = await ask(place)
        await house.move_in(tmp_path / "milter.sock")
        await old.ended.wait()

        assert (await ask(tmp_path / "milter.sock")) != before
        assert "event=over" in house.lines
        with pytest.raises(OSError, match="attempts to connect"):
            await ask(place)


@pytest.mark.parametrize("kind", ["port", "path", "file"])
async def test_a_door_that_cannot_be_had_is_a_mistake_and_changes_nothing(
    tmp_path: Path, place: Door, kind: str
) -> None:
    async with house_in(tmp_path) as house:
        before = await house.move_in(place)
        with socket.create_server(("127.0.0.1", 0)) as taken, socket.socket(socket.AF_UNIX) as local:
            local.bind(str(tmp_path / "taken"))
            local.listen()
            (tmp_path / "file").touch()
            wanted = {"port": taken.getsockname(), "path": tmp_path / "taken", "file": tmp_path / "file"}[kind]
            with pytest.raises(Mistaken, match=r"learn\.milter: cannot listen: .*; stop the program") as error:
                await house.move_in(wanted)

        assert len(error.value.mistakes) == 1
        assert house.feeds.status()[0]["pid"] == next(iter(before.values())).pid
        assert await ask(place)


async def test_what_was_prepared_in_vain_leaves_no_door(tmp_path: Path, place: Door) -> None:
    async with house_in(tmp_path) as house:
        await house.move_in(place)
        prepared = house.feeds.prepare(house.wanting(tmp_path / "milter.sock"))
        assert (tmp_path / "milter.sock").exists()
        house.feeds.reject(prepared)

        assert not (tmp_path / "milter.sock").exists()
        assert await ask(place)


async def test_who_comes_while_a_feed_is_dead_waits_for_the_next_one(tmp_path: Path, place: Door) -> None:
    async with house_in(tmp_path) as house:
        await house.move_in(place)
        first = await ask(place)
        await ask(place, b"die")

        assert await ask(place) not in {first, b""}
        assert house.feeds.status()[0]["trouble"] == "its process ended (3)"
        assert list(house.feeds.troubles()) == [
            "feed milter: its process ended (3); it is started again, and what it knew then is not learned"
        ]


async def test_a_feed_that_hangs_is_killed_and_started_again(
    tmp_path: Path, place: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "HANGS_AFTER", 0.1)
    async with house_in(tmp_path) as house:
        await house.move_in(place)
        await ask(place, b"hang")

        await house.hears("event=feed state=hangs name=milter pid=")
        await house.hears("state=died name=milter code=-9")
        assert house.feeds.status()[0]["trouble"] == "it hung and was killed"


async def test_a_trouble_is_forgotten_when_the_next_one_has_lived_long_enough(
    tmp_path: Path, place: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house_in(tmp_path) as house:
        await house.move_in(place)
        await ask(place, b"die")
        await ask(place)
        assert list(house.feeds.troubles())
        monkeypatch.setattr(children, "SOUND_AFTER", 0.0)

        assert list(house.feeds.troubles()) == []


async def test_a_feed_that_reads_a_file_has_no_door(tmp_path: Path) -> None:
    log = tmp_path / "mail.log"
    await trio.Path(log).touch()
    async with house_in(tmp_path) as house:
        await house.move_in(maillog=log)

        await house.hears(f'orders={{"report": "{tmp_path / "report"}", "file": "{log}"}}')
        (status,) = house.feeds.status()
        assert (status["name"], status["trouble"]) == ("maillog", None)


async def test_a_change_of_one_feed_leaves_the_others_alone(tmp_path: Path, place: Door) -> None:
    for name in ("one", "other"):
        await (trio.Path(tmp_path) / name).touch()
    async with house_in(tmp_path) as house:
        await house.move_in(place, maillog=tmp_path / "one")
        await house.hears("event=read")
        milter, maillog = house.feeds.status()
        await house.move_in(place, maillog=tmp_path / "other")
        await house.hears("event=read", 2)

        assert house.feeds.status()[0] == milter
        assert house.feeds.status()[1]["pid"] != maillog["pid"]


async def test_what_a_feed_complains_of_is_told_while_it_lasts(tmp_path: Path) -> None:
    trouble = r'"/a \"b\x20c=\u20ac: Permission denied"'
    log = trio.Path(tmp_path) / "mail.log"
    await log.write_text(f" trouble={trouble}\n")
    async with house_in(tmp_path) as house:
        await house.move_in(maillog=Path(log))
        await house.hears("event=read")
        assert list(house.feeds.troubles()) == ['feed maillog: /a "b c=\u20ac: Permission denied']
        assert house.feeds.status()[0]["trouble"] == '/a "b c=\u20ac: Permission denied'

        await (trio.Path(tmp_path) / "other").write_text(f" trouble={trouble}\n pid=1\n")
        await house.move_in(maillog=tmp_path / "other")
        await house.hears("event=read", 2)
        assert list(house.feeds.troubles()) == []


async def test_what_a_feed_complained_of_is_forgotten_with_its_process(tmp_path: Path) -> None:
    log = trio.Path(tmp_path) / "mail.log"
    await log.write_text(" trouble=much\n")
    async with house_in(tmp_path) as house:
        (feed,) = (await house.move_in(maillog=Path(log))).values()
        await house.hears("event=read")
        await log.write_text("")
        assert feed.complaint == "much"
        assert feed.pid is not None
        os.kill(feed.pid, signal.SIGKILL)
        await house.hears("event=read", 2)

        assert feed.complaint == ""
        assert feed.trouble == "its process ended (-9)"


@pytest.mark.parametrize("kind", ["port", "path"])
async def test_other_classes_are_answered_by_a_new_program_at_the_same_door(
    tmp_path: Path, place: Door, kind: str
) -> None:
    door = place if kind == "port" else tmp_path / "policy.sock"
    before, after = PolicyService(door), PolicyService(door, (("nice", "permit"),))
    async with house_in(tmp_path) as house:
        (old,) = (await house.move_in(policy=before)).values()
        first = await ask(door)
        assert b'"admin": ' in first
        house.feeds.reject(house.feeds.prepare(house.wanting(policy=after)))
        assert await ask(door) == first

        await house.move_in(policy=after)
        await old.ended.wait()
        assert b'"classes": {"nice": "permit"}' in await ask(door)
    assert not await (trio.Path(tmp_path) / "policy.sock").exists()
