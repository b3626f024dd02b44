"""Exact places: a session that was passed to a server holds its place until the kernel tells that it has ended."""

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from frontproxy.core.config_values import Backend, Config
from frontproxy.core.config_values import Pool as PoolSettings
from frontproxy.core.session import Session
from frontproxy.handover.held import CALM, RESET_FOR, URGENT, HeldSockets
from frontproxy.handover.kernel_notices import KernelNotices, SocketName
from frontproxy.handover.pools import HELD_FOR, Pools
from frontproxy.wire.sock_diag import Holding
from tests.fakes import PATIENCE, FakeSmtpd, Recorder, Visitors, await_readable, no_notices, reset, tcp_pair


class Street:
    """One pool with a server that reports nothing, as Postfix does."""

    def __init__(self, folder: Path, held: HeldSockets, *, kind: str = "pass") -> None:
        self.told = Recorder()
        self.smtpd = FakeSmtpd(folder / "smtpd")
        self.held = held
        self.pools = Pools(self.told, held)
        backend = Backend("pass", self.smtpd.path) if kind == "pass" else Backend("bundled", "hostile")
        pool = PoolSettings("hostile", (backend,), sessions=2, per_client=2)
        self.pools.configure(Config(pools=(pool,)), {("hostile", "bundled:hostile"): self.smtpd.path}, 0.0)
        self.far_ends: list[socket.socket] = []

    def admit(self, visitors: Visitors, *, now: float = 0.0) -> Session:
        """A client comes by TCP and gets a place."""
        ours, theirs = tcp_pair()
        self.far_ends.append(theirs)
        session = visitors.session("127.0.0.1", sock=ours)
        session.port = theirs.getsockname()[1]
        session.server = ours.getsockname()[:2]
        self.pools.admit(session, now)
        return session

    def taken(self) -> int:
        return self.pools.open_in("")

    def tick_until(self, happened: Callable[[], bool]) -> None:
        """Beat until it has happened."""
        until = time.monotonic() + PATIENCE
        while not happened():
            assert time.monotonic() < until
            self.pools.tick(time.monotonic())

    def close(self) -> None:
        for sock in self.far_ends:
            sock.close()
        self.smtpd.close()
        self.pools.close()
        self.held.close()


Build = Callable[..., Street]


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Build]:
    streets: list[Street] = []

    def built(held: HeldSockets, *, kind: str = "pass") -> Street:
        streets.append(Street(tmp_path, held, kind=kind))
        return streets[-1]

    yield built
    for street in streets:
        street.close()


class FakeKernel(KernelNotices):
    """A kernel that tells what a test wants."""

    def __init__(self) -> None:
        self.lost = 0
        self.holding = Holding.HELD
        self.asked: list[int] = []
        self.notices: list[int] = []

    def ended(self) -> list[int]:
        notices, self.notices = self.notices, []
        return notices

    def ask(self, name: SocketName) -> Holding:
        self.asked.append(name.cookie)
        return self.holding

    def close(self) -> None:
        pass


def taken_street(build: Build, visitors: Visitors, kernel: KernelNotices) -> Street:
    """A street whose only session was taken by its server."""
    street = build(HeldSockets(kernel))
    street.admit(visitors)
    street.smtpd.take()
    street.pools.tick(0.1)
    assert street.taken() == 1
    return street


@pytest.mark.parametrize("end", ["server first", "client first", "reset"])
def test_a_place_is_held_until_the_kernel_tells_the_end(build: Build, visitors: Visitors, end: str) -> None:
    street = build(HeldSockets.open())
    session = street.admit(visitors)
    (theirs,) = street.far_ends
    client = street.smtpd.take().client
    street.tick_until(lambda: street.told.given[0].taken_at is not None)
    assert street.taken() == 1
    assert street.told.ended == []

    match end:
        case "server first":
            client.close()
            await_readable(theirs)
            theirs.close()
        case "client first":
            theirs.close()
            client.close()
        case "reset":
            reset(theirs)
            client.close()
    street.tick_until(lambda: street.taken() == 0)

    assert [given.session.id for given in street.told.ended] == [session.id]


def test_a_bundled_smtpd_tells_its_ends_itself(build: Build, visitors: Visitors) -> None:
    street = build(HeldSockets.open(), kind="bundled")
    street.admit(visitors, now=time.monotonic())
    street.smtpd.take().client.close()
    street.far_ends[0].close()
    street.tick_until(lambda: street.told.given[0].taken_at is not None)

    assert street.taken() == 1
    assert not street.told.given[0].end_is_watched


def test_without_notices_a_place_is_free_when_the_session_is_taken(build: Build, visitors: Visitors) -> None:
    street = build(no_notices())
    street.admit(visitors)
    street.smtpd.take()
    street.tick_until(lambda: street.taken() == 0)

    assert street.told.given[0].taken_at is not None


def test_a_session_out_of_the_kernels_sight_is_counted_until_taken(build: Build, visitors: Visitors) -> None:
    kernel = FakeKernel()
    kernel.holding = Holding.NOT_FOUND
    street = build(HeldSockets(kernel))
    street.admit(visitors)
    assert (street.held.unseen, len(street.held)) == (1, 0)

    street.smtpd.take()
    street.pools.tick(0.1)
    assert street.taken() == 0


def test_a_session_that_could_not_be_given_away_is_not_watched(build: Build, visitors: Visitors) -> None:
    street = build(HeldSockets(FakeKernel()))
    street.smtpd.close()
    street.admit(visitors)

    assert street.taken() == 0
    assert len(street.held) == 0


def test_the_kernel_is_asked_about_each_now_and_then_and_often_while_places_are_short(
    build: Build, visitors: Visitors
) -> None:
    kernel = FakeKernel()
    street = taken_street(build, visitors, kernel)
    kernel.asked.clear()
    for second in range(1, int(CALM) + 2):
        street.pools.tick(float(second))
    assert len(kernel.asked) == 1

    street.admit(visitors, now=CALM + 1)  # now the pool is full
    street.smtpd.take()
    street.pools.tick(CALM + 1)
    kernel.asked.clear()
    for beat in range(1, 42):
        street.pools.tick(CALM + 1 + beat * URGENT / 40)
    assert len(kernel.asked) == 2


def test_a_server_that_has_let_go_gives_its_place_back(build: Build, visitors: Visitors) -> None:
    kernel = FakeKernel()
    street = taken_street(build, visitors, kernel)
    kernel.holding = Holding.LET_GO
    street.pools.tick(2 * CALM)

    assert street.taken() == 0
    assert len(street.held) == 0


def test_a_reset_alone_does_not_free_a_place(build: Build, visitors: Visitors) -> None:
    """The server may still be at work for it; its notice will tell when it is not."""
    kernel = FakeKernel()
    street = taken_street(build, visitors, kernel)
    kernel.holding = Holding.NOT_FOUND
    street.pools.tick(CALM + 1)
    street.pools.tick(RESET_FOR)
    assert street.taken() == 1

    street.pools.tick(RESET_FOR + 2 * CALM)
    assert street.taken() == 0


def test_after_lost_notices_the_kernel_is_asked_about_all_at_once(build: Build, visitors: Visitors) -> None:
    kernel = FakeKernel()
    street = taken_street(build, visitors, kernel)
    kernel.lost, kernel.holding = 1, Holding.NOT_FOUND
    street.pools.tick(0.2)
    street.pools.tick(0.2 + URGENT)

    assert street.taken() == 0


def test_no_answer_frees_no_place(build: Build, visitors: Visitors) -> None:
    kernel = FakeKernel()
    street = taken_street(build, visitors, kernel)
    kernel.holding = Holding.UNTOLD
    for beat in range(10):
        street.pools.tick(beat * CALM)

    assert street.taken() == 1


def test_a_watched_session_may_last_as_long_as_it_likes(build: Build, visitors: Visitors) -> None:
    street = taken_street(build, visitors, FakeKernel())
    street.pools.tick(2 * HELD_FOR)

    assert street.taken() == 1


def test_notices_of_strangers_sockets_mean_nothing(build: Build, visitors: Visitors) -> None:
    kernel = FakeKernel()
    street = taken_street(build, visitors, kernel)
    kernel.notices = [1, 2, 3]
    street.pools.tick(0.2)

    assert street.taken() == 1
