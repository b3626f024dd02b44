"""The asking program of a Setup: it outlives a reload that leaves it alone, and questions outlive it."""

import resource
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import trio
import trio.testing

from frontproxy import children, lookups
from frontproxy.core.address import pack
from frontproxy.core.config_values import Config, Dns
from frontproxy.core.mistakes import Mistaken
from frontproxy.lookup.desk import Desk
from frontproxy.lookups import AskingProgram, Lookups
from frontproxy.setup import Setup, load
from tests.fakes import PATIENCE, open_descriptors
from tests.lookup.desks import LISTS, Lines

PROGRAM = r"""
import json, os, select, socket, sys
link = socket.socket(fileno=int(sys.argv[2]))
assert sys.argv[1] == "--socket-fd"
orders = json.loads(sys.stdin.buffer.readline())
os.write(2, b"event=lookup_ready name=lookup\n")
os.write(2, b"event=alive name=lookup\n")
while True:
    ready = select.select([link, sys.stdin], [], [])[0]
    if sys.stdin in ready:
        break
    question = json.loads(link.recv(65536))
    if question["address"] == "192.0.2.13":
        sys.exit(3)
    name = f"pid-{os.getpid()}.{len(orders['servers'])}.example"
    said = {"id": question["id"], "name": name, "state": "confirmed", "domain": "example", "access": False, "ttl": 1}
    link.send(json.dumps(said).encode() + b"\n")
    for zone in question["zones"]:
        link.send(json.dumps({"id": question["id"], "zone": zone, "codes": [], "ttl": 1}).encode() + b"\n")
os.write(2, b"event=over\n")
"""
NOTHING = Dns(names=False)


class House:
    """The program with its desk and its log."""

    def __init__(self, setup: Setup, nursery: trio.Nursery) -> None:
        self.log = Lines()
        self.desk = Desk(self.log, trio.current_time)
        self.lookups = Lookups(self.desk, self.log, self.log.lines.append)
        self._setup = setup
        self._nursery = nursery

    def wanting(self, dns: Dns) -> Setup:
        """A Setup with this."""
        return replace(self._setup, config=replace(self._setup.config, dns=dns))

    async def move_in(self, dns: Dns) -> AskingProgram | None:
        """Let such a Setup take effect."""
        setup = self.wanting(dns)
        asking = self.lookups.prepare(setup)
        self.lookups.adopt(asking, setup.config, self._nursery)
        return asking

    async def name_of(self, address: str = "192.0.2.1") -> str:
        """What the program says of an address, asked anew."""
        heard = trio.Event()
        assert self.desk.ask_all(pack(address), trio.current_time(), heard.set)
        await heard.wait()
        found = self.desk.hearsay(pack(address), trio.current_time())
        assert found.name
        return found.name.name


@pytest.fixture(autouse=True)
def _small_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    called = [sys.executable, "-IS", str(tmp_path / "program.py")]
    monkeypatch.setattr(lookups, "command", lambda _module, *words: [*called, *words])
    monkeypatch.setattr(children, "LAST_WORDS", 0.005)
    monkeypatch.setattr(children, "SHORTEST_PAUSE", 0.005)


@asynccontextmanager
async def house_in(folder: Path) -> AsyncIterator[House]:
    (folder / "config.toml").write_text('[pool.all]\nbackends = ["pass:nowhere"]\n[[route]]\nto = "all"\n')
    setup = await load(folder / "config.toml")
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as desks:
            async with trio.open_nursery() as programs:
                house = House(setup, programs)
                desks.start_soon(house.desk.run)
                yield house
                await house.move_in(NOTHING)
            desks.cancel_scope.cancel()
    setup.close()


@pytest.mark.parametrize(
    ("config", "wanted"),
    [
        (Config(), True),
        (Config(dns=NOTHING), False),
        (Config(dns=NOTHING, dnslists=LISTS), True),
    ],
)
def test_a_program_is_wanted_where_there_is_something_to_ask(config: Config, *, wanted: bool) -> None:
    assert lookups.is_wanted(config) == wanted


async def test_where_nothing_is_asked_no_program_runs(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        assert await house.move_in(NOTHING) is None
        assert house.lookups.status() is None
        assert list(house.lookups.troubles()) == []


async def test_the_desk_asks_through_the_program_which_has_its_orders(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        asking = await house.move_in(Dns(servers=(("127.0.0.1", 53), ("::1", 53)), generic=("example.net",)))
        assert asking
        assert asking.orders == b'{"servers": [["127.0.0.1", 53], ["::1", 53]], "generic": ["example.net"]}\n'

        assert await house.name_of() == f"pid-{asking.child.pid}.2.example"
        assert house.lookups.status() == {"pid": asking.child.pid, "trouble": None}
        assert asking.child.is_ready
        assert not any("alive" in line for line in house.log.lines)


async def test_a_reload_that_leaves_the_orders_alone_does_not_touch_the_program(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        before = await house.move_in(Dns())
        name = await house.name_of()

        assert await house.move_in(Dns(lookups_per_second=7)) is before
        assert await house.name_of() == name


@pytest.mark.parametrize("dns", [Dns(servers=(("127.0.0.1", 53),)), Dns(generic=("example.net",))])
async def test_other_orders_are_for_another_program(tmp_path: Path, dns: Dns) -> None:
    async with house_in(tmp_path) as house:
        old = await house.move_in(Dns())
        assert old
        name = await house.name_of()
        await house.move_in(dns)

        assert await house.name_of() != name
        await old.child.ended.wait()
        assert "event=over" in house.log.lines


async def test_a_program_that_is_not_wanted_any_more_ends_and_leaves_no_socket(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        before = open_descriptors()
        asking = await house.move_in(Dns())
        assert asking
        await house.name_of()
        await house.move_in(NOTHING)
        await asking.child.ended.wait()
        await trio.testing.wait_all_tasks_blocked()

        assert asking.link.fileno() == -1
        assert open_descriptors() <= before


async def test_what_was_asked_while_the_program_is_dead_waits_for_the_next_one(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        await house.move_in(Dns())
        first = await house.name_of()
        house.desk.ask(pack("192.0.2.13"), trio.current_time())

        assert await house.name_of() != first
        status = house.lookups.status()
        assert status
        assert status["trouble"] == "its process ended (3)"
        assert list(house.lookups.troubles()) == [
            "the asking program: its process ended (3); it is started again, and while it is away nobody is looked up"
        ]


async def test_what_was_prepared_in_vain_leaves_no_socket(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        await house.move_in(Dns())
        name = await house.name_of()
        before = open_descriptors()
        house.lookups.reject(house.lookups.prepare(house.wanting(Dns(generic=("example.net",)))))
        house.lookups.reject(house.lookups.prepare(house.wanting(Dns())))

        assert open_descriptors() <= before
        assert await house.name_of() == name


async def test_without_a_descriptor_nothing_changes(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        await house.move_in(Dns())
        name = await house.name_of()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
        try:
            with pytest.raises(Mistaken, match=r"dns: no socket for the asking program: .*; raise the limit"):
                house.lookups.prepare(house.wanting(Dns(generic=("example.net",))))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

        assert await house.name_of() == name
