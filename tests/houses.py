"""A house for tests: a real Proxy in a temporary folder, fake smtpds behind it, TCP clients in front of it."""

import contextlib
import io
import os
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import pytest
import trio

from frontproxy.clock import AnchoredClock
from frontproxy.control import Controls
from frontproxy.core import config
from frontproxy.core.address import pack
from frontproxy.core.history import Keys
from frontproxy.core.level import Forgetting
from frontproxy.handover.backends import Given
from frontproxy.learn.report import FeedsHeard
from frontproxy.log import Log
from frontproxy.memory.pins import Pins
from frontproxy.memory.sqlite import HistoryFile
from frontproxy.observe.geo import GeoBook
from frontproxy.observe.list_compiler import compile_into
from frontproxy.observe.lists import ListBook, ListSource
from frontproxy.outcomes import Outcomes
from frontproxy.proxy import Proxy
from frontproxy.session import arrive
from frontproxy.setup import Setup
from frontproxy.status import Watched
from frontproxy.wire.logfmt import format_line
from frontproxy.wire.outcome_line import OutcomeLine
from tests.fakes import PATIENCE, FakeSmtpd, no_notices, tcp_pair

WALL = 1.7e9
QUICK = '[listen]\npause = "20ms"\n'
FRIEND, FOE, PARTNER, BANNED, MONITOR, FORWARDER, STRANGER = (f"192.0.2.{last}" for last in range(1, 8))
LISTS = f"""
[[list]]
name = "friends"
kind = "points"
networks = ["{FRIEND}/32"]
points = 20
[[list]]
name = "foes"
kind = "points"
networks = ["{FOE}/32"]
points = -20
[[list]]
name = "banned"
kind = "deny"
networks = ["{BANNED}/32"]
[[list]]
name = "monitors"
kind = "probe"
networks = ["{MONITOR}/32"]
[[list]]
name = "forwarders"
kind = "forwarder"
networks = ["{FORWARDER}/32"]
points = 20
"""
"""Who is who; everybody else is a stranger."""


class HeardLog(Log):
    """A log that keeps its lines."""

    def __init__(self) -> None:
        super().__init__(-1, None)
        self.lines: list[str] = []

    def __call__(self, event: str, /, **values: object) -> None:
        """Keep the line, without waiting for a tick."""
        self.raw(format_line(event, values))

    def raw(self, line: str) -> None:
        """Keep the line."""
        self.lines.append(line)

    def about(self, event: str) -> list[str]:
        """The lines about one kind of event."""
        return [line for line in self.lines if line.startswith(f"event={event} ")]


def setup_of(folder: Path, text: str) -> Setup:
    """A Setup from the text of a configuration, its lists compiled at once."""
    checked = config.parse(text, file_name="config.toml", folder=folder)
    assert not checked.mistakes, checked.mistakes
    settings = checked.config
    table = io.BytesIO()
    compiled = compile_into([ListSource(entry.name, None, entry.networks) for entry in settings.lists], table)
    history = settings.history
    return Setup(
        path=folder / "config.toml",
        folder=folder,
        config=settings,
        lists=ListBook(table.getvalue(), compiled.counts, compiled.entries),
        geo=GeoBook.open([]),
        forgetting=Forgetting(
            history.good_half_life, history.bad_half_life, history.evidence_cap, history.network_limit
        ),
        warnings=tuple(checked.warnings),
        mailbox="",
        personalities={},
        fingerprint="",
    )


class House:
    """One proxy with an smtpd for each bundled backend. Its clocks stand where a test puts them."""

    def __init__(self, folder: Path, text: str) -> None:
        self.folder = folder
        self.log = HeardLog()
        self.wall = WALL
        setup = setup_of(folder, text)
        self.smtpds: dict[str, FakeSmtpd] = {}
        self._sockets = contextlib.ExitStack()
        paths = {}
        for pool in setup.config.pools:
            (backend,) = pool.backends
            smtpd = self._sockets.enter_context(FakeSmtpd(folder / f"{pool.name}.sock"))
            self.smtpds[pool.name] = smtpd
            paths[pool.name, f"{backend.kind}:{backend.target}"] = smtpd.path
        clock = AnchoredClock(lambda: self.wall, lambda: self.wall)
        memory = HistoryFile.open(
            folder / "history.sqlite3", limit=1000, forgetting=setup.forgetting, log=self.log, clock=clock.now
        )
        self.proxy = Proxy(setup, memory, Pins.load(folder / "pins.toml"), self.log, clock, no_notices())
        self.outcomes = Outcomes(self.proxy)
        self.proxy.pools.configure(setup.config, paths, time.monotonic())
        self._ports = iter(range(1024, 65536))

    def close(self) -> None:
        """End everything."""
        self.proxy.pools.close()
        self.proxy.farewell.close()
        self.proxy.memory.close()
        self.proxy.setup.close()
        self._sockets.close()

    def knock(self, address: str, strangers: trio.Nursery) -> socket.socket:
        """A client connects; returns its end."""
        ours, client = tcp_pair()
        for sock in (ours, client):
            self._sockets.enter_context(sock)
        arrive(self.proxy, ours, (address, next(self._ports)), strangers)
        return client

    def given(self, address: str) -> Given:
        """A session that was judged and given to an smtpd, whatever its client is."""
        ours, client = tcp_pair()
        for sock in (ours, client):
            self._sockets.enter_context(sock)
        session = self.proxy.open_session(ours, (address, next(self._ports)), ("198.51.100.25", 25))
        self.proxy.place(session)
        given = self.proxy.pools.register.find(outcome(session=session.id, client=address))
        assert given is not None
        return given

    def knowledge(self, address: str) -> tuple[float, float]:
        """The units of good and bad that history holds about a client."""
        packed = pack(address)
        record = self.proxy.memory.recall(Keys(packed, packed[:3], 0)).client
        return (record.own.good, record.own.bad) if record else (0.0, 0.0)


def outcome(
    given: Given | None = None, *, session: str = "", client: str = STRANGER, ended: float = WALL, messages: int = 0
) -> OutcomeLine:
    """How a session ended: well, with so many messages."""
    return OutcomeLine(
        client=given.session.address if given else client,
        port=given.session.port if given else 4711,
        ended=ended,
        end="quit",
        session=given.session.id if given else session,
        messages=messages,
        recipients=messages,
    )


def all_from(client: socket.socket) -> bytes:
    """What a client reads until we end our side."""
    client.settimeout(PATIENCE)
    data = b""
    while chunk := client.recv(4096):
        data += chunk
    return data


def bug(*_arguments: object, **_values: object) -> NoReturn:
    """Raise what nobody has thought of."""
    raise ZeroDivisionError("a bug")


@pytest.fixture
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    """A house with the lists above; parametrize it indirectly with other text for its configuration."""
    built = House(tmp_path, f"{getattr(request, 'param', '')}\n{LISTS}")
    yield built
    built.close()


@dataclass
class Deeds:
    """What the operator's verbs asked the house to do."""

    reload: Callable[[], list[str]] = list
    drained: list[str] = field(default_factory=list)


def controls_of(house: House, deeds: Deeds | None = None) -> Controls:
    """What the verbs act upon."""
    done = deeds or Deeds()

    async def reload() -> list[str]:
        await trio.lowlevel.checkpoint()
        return done.reload()

    return Controls(
        proxy=house.proxy,
        watched=Watched(
            feeds=FeedsHeard(connected=1, lines=7),
            servers=lambda: [{"name": "smtpd-nice-nice", "pid": os.getpid()}],
            programs=lambda: [{"name": "milter", "pid": os.getpid(), "trouble": None}],
            asking=lambda: {"pid": os.getpid(), "trouble": None},
            longest_stall=lambda: 0.003,
            alarms=list,
        ),
        reload=reload,
        drain=lambda: done.drained.append("drain"),
    )
