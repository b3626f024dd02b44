"""Survivors in the pools: sessions that a server has from a frontproxy before us hold places until they end."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from frontproxy.core.config_values import Backend, Config
from frontproxy.core.config_values import Pool as PoolSettings
from frontproxy.core.session import Session
from frontproxy.handover.backends import Given
from frontproxy.handover.held import CALM, HeldSockets
from frontproxy.handover.kernel_notices import KernelNotices, SocketName
from frontproxy.handover.pools import HELD_FOR, Pools
from frontproxy.wire.outcome_line import OutcomeLine
from frontproxy.wire.sock_diag import Holding
from tests.fakes import Recorder, Visitors

POSTFIX, OTHER, BUNDLED = Backend("pass", "/nice"), Backend("pass", "/other"), Backend("bundled", "nice")
RELAYED = Backend("tcp", "192.0.2.25:25")


class FakeKernel(KernelNotices):
    """A kernel that tells what a test wants."""

    def __init__(self) -> None:
        self.lost = 0
        self.holding = Holding.HELD
        self.notices: list[int] = []

    def ended(self) -> list[int]:
        notices, self.notices = self.notices, []
        return notices

    def ask(self, name: SocketName) -> Holding:
        return self.holding

    def close(self) -> None:
        pass


class Town:
    """Pools that have given nobody away yet."""

    def __init__(self, *pools: PoolSettings, mode: str = "enforce") -> None:
        self.kernel = FakeKernel()
        self.told = Recorder()
        self.pools = Pools(self.told, HeldSockets(self.kernel))
        self.pools.configure(Config(mode="observe" if mode == "observe" else "enforce", pools=pools), {}, 0.0)
        self._cookie = 0

    def adopt(self, session: Session) -> str:
        """A survivor is found."""
        self._cookie += 1
        name = SocketName(self._cookie, session.server, (session.address, session.port))
        return self.pools.adopt(session, name, 0.0)

    def given(self, session: Session) -> Given:
        """As a feed without session ids would find it."""
        line = OutcomeLine(client=session.address, port=session.port, ended=1.7e9, end="quit", session="")
        given = self.pools.register.find(line)
        assert given is not None
        return given

    def taken(self) -> dict[str, int]:
        return {pool.name: pool.places.taken for pool in self.pools}

    def close(self) -> None:
        self.pools.close()


def nice(*backends: Backend, sessions: int = 2, reserved: bool = True) -> PoolSettings:
    return PoolSettings("nice", backends or (POSTFIX,), sessions=sessions, reserved=reserved, fallback="hostile")


def hostile(*backends: Backend, sessions: int = 2) -> PoolSettings:
    return PoolSettings("hostile", backends or (OTHER,), sessions=sessions)


@pytest.fixture
def town() -> Iterator[Town]:
    with closing(Town(nice(), hostile())) as town:
        yield town


def test_a_survivor_has_a_place_until_the_kernel_tells_its_end(town: Town, visitors: Visitors) -> None:
    session = visitors.friend()
    assert town.adopt(session) == "nice"
    assert town.taken() == {"nice": 1, "hostile": 0}
    assert len(town.pools.held) == 1
    assert not town.pools.are_idle, "its end must be noticed at once"
    assert town.told.given == [], "it was not given away by us"

    town.kernel.notices = [1]
    town.pools.tick(0.1)

    assert town.taken() == {"nice": 0, "hostile": 0}
    assert [(given.session, given.is_survivor) for given in town.told.ended] == [(session, True)]


def test_a_survivor_whose_server_lets_go_gives_its_place_back(town: Town, visitors: Visitors) -> None:
    town.adopt(visitors.friend())
    town.kernel.holding = Holding.LET_GO
    town.pools.tick(2 * CALM)

    assert town.taken() == {"nice": 0, "hostile": 0}
    assert len(town.pools.held) == 0


def test_a_survivor_may_last_as_long_as_it_likes(town: Town, visitors: Visitors) -> None:
    town.adopt(visitors.friend())
    town.pools.tick(2 * HELD_FOR)

    assert town.taken()["nice"] == 1


def test_its_outcome_can_still_be_told(town: Town, visitors: Visitors) -> None:
    session = visitors.friend()
    town.adopt(session)

    assert town.given(session).session is session
    assert town.given(session).end_is_watched, "nobody's word frees its place"


def test_survivors_go_where_their_clients_go_and_then_down(town: Town, visitors: Visitors) -> None:
    assert town.adopt(visitors.session()) == "hostile"
    friends = [town.adopt(visitors.friend(f"203.0.113.{last}")) for last in range(4)]

    assert friends == ["nice", "nice", "hostile", ""], "the last has no place anywhere"
    assert town.taken() == {"nice": 2, "hostile": 2}
    assert len(town.pools.held) == len(town.pools.register) == 4


def test_a_survivor_that_is_no_friend_holds_no_reserved_place(town: Town, visitors: Visitors) -> None:
    assert town.adopt(visitors.session(pool="nice")) == "hostile"


def test_a_survivor_without_a_route_holds_a_place_where_strangers_go(town: Town, visitors: Visitors) -> None:
    assert town.adopt(visitors.session(pool="", learning="none")) == "hostile", "behind a proxy nobody knows it"
    assert town.adopt(visitors.session(pool="")) == "hostile", "refused today; it was not yesterday"


def test_many_of_one_client_are_counted_and_bar_it(visitors: Visitors) -> None:
    settings = PoolSettings("nice", (POSTFIX,), sessions=5, per_client=1)
    with closing(Town(settings)) as town:
        assert [town.adopt(visitors.friend()) for _ in range(2)] == ["nice", "nice"]
        assert not town.pools["nice"].has_place_for(visitors.friend())
        assert town.pools["nice"].has_place_for(visitors.friend("203.0.113.1"))


@pytest.mark.parametrize("backend", [BUNDLED, RELAYED], ids=["bundled", "relayed"])
def test_servers_that_ended_or_began_anew_with_us_have_no_survivors(visitors: Visitors, backend: Backend) -> None:
    with closing(Town(nice(backend), hostile())) as town:
        assert town.adopt(visitors.friend()) == "hostile"
    with closing(Town(nice(backend), hostile(backend))) as town:
        assert town.adopt(visitors.friend()) == ""


def test_survivors_are_spread_over_the_servers_that_can_have_them(visitors: Visitors) -> None:
    with closing(Town(nice(POSTFIX, BUNDLED, OTHER, sessions=9), hostile())) as town:
        for _ in range(4):
            town.adopt(visitors.friend())

        assert [backend.sessions for backend in town.pools["nice"].backends] == [2, 0, 2]


def test_in_observe_mode_all_are_in_the_first_pool(visitors: Visitors) -> None:
    with closing(Town(nice(), hostile(), mode="observe")) as town:
        assert town.adopt(visitors.session(pool="nice")) == "nice"


def test_a_friend_waits_while_survivors_have_all_places(visitors: Visitors) -> None:
    with closing(Town(PoolSettings("nice", (POSTFIX,), sessions=1))) as town:
        town.adopt(visitors.friend())
        town.pools.admit(visitors.friend("203.0.113.1"), 0.0)

        assert town.told.given == []
        assert town.pools.waiting() == 1
