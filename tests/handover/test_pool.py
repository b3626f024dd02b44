"""One pool: whom it serves, which backend gets a session, and what its pulse says."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from frontproxy.core.config_values import Backend as BackendSettings
from frontproxy.core.config_values import Config
from frontproxy.core.config_values import Pool as PoolSettings
from frontproxy.core.session import Session
from frontproxy.handover.pool import TAKEN_WITHIN, Pool
from frontproxy.handover.ways import Ways
from tests.fakes import FakeSmtpd, Recorder, Visitors, open_descriptors

OpenPool = Callable[..., Pool]


@pytest.fixture
def told() -> Recorder:
    return Recorder()


@pytest.fixture
def smtpds(tmp_path: Path) -> Iterator[list[FakeSmtpd]]:
    """Two servers that listen."""
    with ExitStack() as stack:
        yield [stack.enter_context(FakeSmtpd(tmp_path / name)) for name in ("first", "second")]


@pytest.fixture
def open_pool(ways: Ways) -> Iterator[OpenPool]:
    """Opens a pool; its handover connections are closed at the end."""
    with ExitStack() as stack:

        def opened(wanted: PoolSettings, config: Config = Config()) -> Pool:  # noqa: B008  a frozen value
            pool = Pool.open(wanted, ways, {}, config)
            stack.callback(pool.connections.close_all)
            return pool

        yield opened


def settings(*paths: str, reserved: bool = False, sessions: int = 3, per_client: int = 3) -> PoolSettings:
    backends = tuple(BackendSettings("pass", path) for path in paths)
    return PoolSettings("nice", backends, sessions=sessions, per_client=per_client, reserved=reserved)


def give(pool: Pool, session: Session, told: Recorder, *, now: float = 0.0) -> str | None:
    """Where the session went: the path of a backend."""
    given = pool.give(session, now, told.log)
    return given.backend.path if given else None


def test_a_reserved_pool_serves_friends_and_whom_an_operator_sends(visitors: Visitors, open_pool: OpenPool) -> None:
    pool = open_pool(settings(reserved=True))

    assert pool.serves(visitors.friend())
    assert pool.serves(visitors.session(pinned="192.0.2.1"))
    assert pool.serves(visitors.session(learning="none")), "lists of kind own, relay and probe"
    assert not pool.serves(visitors.session())
    assert not pool.serves(visitors.session(standing="foe"))
    assert not pool.serves(visitors.session(learning="forwarder"))


def test_a_pool_that_is_not_reserved_serves_everybody(visitors: Visitors, open_pool: OpenPool) -> None:
    assert open_pool(settings()).serves(visitors.session(standing="foe"))


def test_under_observation_a_pool_is_neither_reserved_nor_limited_per_client(
    smtpds: list[FakeSmtpd], visitors: Visitors, told: Recorder, open_pool: OpenPool
) -> None:
    pool = open_pool(settings(smtpds[0].path, reserved=True, per_client=1), Config(mode="observe"))
    for _ in range(3):
        session = visitors.session()
        assert pool.has_place_for(session)
        give(pool, session, told)

    assert not pool.has_place_for(visitors.session("192.0.2.9")), "the places are limited all the same"


def test_one_client_gets_its_share_and_no_more(
    smtpds: list[FakeSmtpd], visitors: Visitors, told: Recorder, open_pool: OpenPool
) -> None:
    pool = open_pool(settings(smtpds[0].path, per_client=2))
    for _ in range(2):
        give(pool, visitors.session("2001:db8::1"), told)

    assert not pool.has_place_for(visitors.session("2001:db8::2")), "a /64 is one client"
    assert pool.has_place_for(visitors.session("2001:db8:1::1"))


def test_a_session_is_given_away_with_its_place(
    smtpds: list[FakeSmtpd], visitors: Visitors, told: Recorder, open_pool: OpenPool
) -> None:
    session = visitors.session(accepted=3.0)
    pool = open_pool(settings(smtpds[0].path))
    given = pool.give(session, 5.0, told.log)

    assert given is not None
    assert (given.session.id, given.pool, given.session.accepted, given.given_at) == (session.id, "nice", 3.0, 5.0)
    assert (given.taken_at, given.has_ended) == (None, False)
    assert (pool.places.taken, given.backend.sessions) == (1, 1)
    assert session.socket.fileno() == -1, "it costs the front end nothing more"
    assert smtpds[0].take().attributes["session"] == session.id


def test_the_server_is_told_about_stress(
    smtpds: list[FakeSmtpd], visitors: Visitors, told: Recorder, open_pool: OpenPool
) -> None:
    pool = open_pool(settings(smtpds[0].path))
    pool.stress.hold(True)
    pool.feel(0.0)
    give(pool, visitors.session(), told)

    assert smtpds[0].take().attributes["stress"] == "yes"


def test_the_least_busy_backend_is_asked_first(
    smtpds: list[FakeSmtpd], visitors: Visitors, told: Recorder, open_pool: OpenPool
) -> None:
    first, second = smtpds
    pool = open_pool(settings(first.path, second.path))

    assert [give(pool, visitors.session(), told) for _ in range(3)] == [first.path, second.path, first.path]


def test_when_one_backend_is_dead_the_other_serves(
    smtpds: list[FakeSmtpd], visitors: Visitors, told: Recorder, open_pool: OpenPool
) -> None:
    dead, alive = smtpds
    dead.close()
    pool = open_pool(settings(dead.path, alive.path))

    assert [give(pool, visitors.session(), told) for _ in range(2)] == [alive.path, alive.path]
    assert told.logged == [
        (
            "backend",
            {
                "state": "down",
                "pool": "nice",
                "backend": f"pass:{dead.path}",
                "why": f"{dead.path}: Connection refused",
            },
        )
    ]


def test_a_backend_that_is_dead_is_asked_again_after_its_pause(
    tmp_path: Path, visitors: Visitors, told: Recorder, open_pool: OpenPool
) -> None:
    path = str(tmp_path / "smtpd")
    pool = open_pool(settings(path))
    session = visitors.session()
    assert give(pool, session, told, now=0.0) is None
    assert session.socket.fileno() >= 0, "it is still ours"
    assert pool.places.taken == 0

    with FakeSmtpd(tmp_path / "smtpd"):
        assert give(pool, session, told, now=0.1) is None, "it is being left alone"
        assert give(pool, session, told, now=0.3) == path
    assert [values["state"] for values in told.events("backend")] == ["down", "up"]


def test_a_full_backlog_is_no_failure_but_stress(
    tmp_path: Path, visitors: Visitors, told: Recorder, open_pool: OpenPool
) -> None:
    with FakeSmtpd(tmp_path / "smtpd", backlog=0) as smtpd:
        pool = open_pool(settings(smtpd.path, sessions=100))
        assert give(pool, visitors.session(), told) == smtpd.path
        waiting = visitors.session()
        assert give(pool, waiting, told) is None

        assert pool.feel(0.0), "stress turns on"
        assert pool.stress.on
        smtpd.take()
        assert give(pool, waiting, told) == smtpd.path, "no pause, and it is welcome at once"
    assert told.logged == []


def test_what_a_server_takes_is_noticed_once(
    smtpds: list[FakeSmtpd], visitors: Visitors, told: Recorder, open_pool: OpenPool
) -> None:
    pool = open_pool(settings(smtpds[0].path))
    first = pool.give(visitors.session(), 1.0, told.log)
    pool.give(visitors.session(), 1.5, told.log)
    assert pool.sweep_taken(1.9) == ([], [])

    smtpds[0].take()
    assert pool.sweep_taken(2.0) == ([first], [])
    assert first is not None
    assert first.taken_at == 2.0
    assert pool.handover_time == 1.0
    assert pool.longest_handover(2.0) == 0.5, "the second still waits"
    assert pool.sweep_taken(2.1) == ([], [])


def test_what_no_server_takes_in_time_is_lost(
    smtpds: list[FakeSmtpd], visitors: Visitors, told: Recorder, open_pool: OpenPool
) -> None:
    pool = open_pool(settings(smtpds[0].path))
    given = pool.give(visitors.session(), 1.0, told.log)

    assert pool.sweep_taken(1.0 + TAKEN_WITHIN - 0.1) == ([], [])
    assert pool.sweep_taken(1.0 + TAKEN_WITHIN) == ([], [given])
    assert pool.longest_handover(200.0) == 0.0


def test_a_slow_handover_is_stress(
    smtpds: list[FakeSmtpd], visitors: Visitors, told: Recorder, open_pool: OpenPool
) -> None:
    pool = open_pool(settings(smtpds[0].path, sessions=100))
    give(pool, visitors.session(), told, now=0.0)
    assert not pool.feel(0.25)
    assert pool.feel(0.26), "longer than handover_wait"

    pool.sweep_taken(0.3)
    assert pool.stress.on


def test_a_handover_that_was_slow_is_stress_even_when_it_is_over(
    smtpds: list[FakeSmtpd], visitors: Visitors, told: Recorder, open_pool: OpenPool
) -> None:
    pool = open_pool(settings(smtpds[0].path, sessions=100))
    give(pool, visitors.session(), told, now=0.0)
    smtpds[0].take()
    pool.sweep_taken(0.5)

    assert pool.feel(0.5)
    assert not pool.feel(0.6), "told once"
    assert pool.feel(10.7), "and calm again ten seconds later"


def test_a_pool_with_nearly_all_places_taken_is_under_stress(
    smtpds: list[FakeSmtpd], visitors: Visitors, told: Recorder, open_pool: OpenPool
) -> None:
    pool = open_pool(settings(smtpds[0].path))
    for _ in range(3):
        give(pool, visitors.session(), told)

    assert pool.feel(0.0)


def test_the_longest_wait_is_that_of_the_eldest_in_line(visitors: Visitors, open_pool: OpenPool) -> None:
    pool = open_pool(settings())
    assert pool.longest_wait(9.0) == 0.0
    for accepted, score in ((2.0, 0.0), (4.0, 9.0)):
        session = visitors.session(accepted=accepted, score=score)
        pool.line.join(session, score=score, deadline=100.0, limit=10)

    assert pool.longest_wait(9.0) == 7.0


def test_a_reload_keeps_the_backends_that_stay_and_the_places_that_are_taken(
    smtpds: list[FakeSmtpd], visitors: Visitors, told: Recorder, open_pool: OpenPool
) -> None:
    first, second = smtpds
    pool = open_pool(settings(first.path))
    give(pool, visitors.session(), told)
    kept = pool.backends[0]
    pool.configure(settings(second.path, first.path, sessions=1), {}, Config())

    assert [backend.path for backend in pool.backends] == [second.path, first.path]
    assert pool.backends[1] is kept
    assert kept.sessions == 1
    assert not pool.has_place_for(visitors.session("192.0.2.9")), "one place, and it is taken"


def test_a_bundled_backend_listens_where_its_process_does(open_pool: OpenPool) -> None:
    wanted = replace(settings(), backends=(BackendSettings("bundled", "calm"),))
    pool = open_pool(wanted)
    pool.configure(wanted, {("nice", "bundled:calm"): "/run/calm-1.sock"}, Config())
    before = pool.backends[0]
    assert (before.name, before.path, before.reports) == ("bundled:calm", "/run/calm-1.sock", True)

    pool.configure(wanted, {("nice", "bundled:calm"): "/run/calm-2.sock"}, Config())
    assert pool.backends[0] is not before
    assert pool.backends[0].path == "/run/calm-2.sock"


def test_no_descriptor_is_leaked(tmp_path: Path, ways: Ways) -> None:
    before = open_descriptors()
    told = Recorder()
    with Visitors() as visitors, FakeSmtpd(tmp_path / "smtpd") as smtpd:
        pool = Pool.open(settings(str(tmp_path / "nothing"), smtpd.path, sessions=100), ways, {}, Config())
        for number in range(10):
            give(pool, visitors.session(), told, now=float(number))
            if number % 2:
                smtpd.take()
        pool.sweep_taken(10.0)
        pool.sweep_taken(1000.0)
        pool.connections.close_all()

    assert open_descriptors() <= before
