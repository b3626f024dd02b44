"""The pools together: spilling down, standing in line, being called; and no place or descriptor is ever leaked."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from frontproxy.core.config_values import Backend, Config
from frontproxy.core.config_values import Pool as PoolSettings
from frontproxy.core.session import Session
from frontproxy.handover.pool import WEDGED, WEDGED_PAUSE
from frontproxy.handover.pools import BUSY, HELD_FOR, Pools
from frontproxy.wire.outcome_line import OutcomeLine
from tests.fakes import FakeSmtpd, Recorder, Visitors, no_notices, open_descriptors

NICE = PoolSettings(
    "nice", (Backend("bundled", "nice"),), sessions=2, per_client=2, reserved=True, fallback="hostile", patience=20.0
)
HOSTILE = PoolSettings("hostile", (Backend("bundled", "hostile"),), sessions=2, per_client=2, patience=5.0)


class Town:
    """Two pools, nice and hostile, each with a server that reports."""

    def __init__(self, folder: Path, *, backlog: int = 100) -> None:
        self.folder = folder
        self.told = Recorder()
        self.pools = Pools(self.told, no_notices())
        self.smtpds = {name: FakeSmtpd(folder / name, backlog=backlog) for name in ("nice", "hostile")}
        self.configure(NICE, HOSTILE)

    def configure(self, *wanted: PoolSettings, now: float = 0.0) -> None:
        """Take over a configuration with these pools."""
        paths = {(pool.name, f"bundled:{pool.name}"): str(self.folder / pool.name) for pool in wanted}
        self.pools.configure(Config(pools=wanted), paths, now)

    def fill(self, visitors: Visitors, *names: str) -> None:
        """Take every free place of these pools, each for another client."""
        for name in names:
            places = self.pools[name].places
            while places.taken < places.sessions:
                self.admit(visitors.friend(f"203.0.113.{len(self.told.given) + 1}", pool=name))

    def admit(self, session: Session, now: float = 0.0) -> Session:
        """Let a session in."""
        self.pools.admit(session, now)
        return session

    def end(self, session_id: str, now: float = 1.0) -> None:
        """A server reports the end of a session."""
        (found,) = [given for given in self.told.given if given.session.id == session_id]
        self.pools.ended(found, now)

    def end_one(self, pool: str, now: float = 1.0) -> None:
        """The eldest session of a pool ends."""
        ended = {given.session.id for given in self.told.ended}
        self.end(
            next(given.session.id for given in self.told.given if given.pool == pool and given.session.id not in ended),
            now,
        )

    def went(self) -> dict[str, str]:
        """Where each session was given to."""
        return {given.session.id: given.pool for given in self.told.given}

    def close(self) -> None:
        """Close what the servers and the pools hold."""
        for smtpd in self.smtpds.values():
            smtpd.close()
        self.pools.close()


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    town = Town(tmp_path)
    yield town
    town.close()


# Places


def test_each_goes_to_the_pool_of_its_route(town: Town, visitors: Visitors) -> None:
    friend, stranger = town.admit(visitors.friend()), town.admit(visitors.session("192.0.2.2"))

    assert town.went() == {friend.id: "nice", stranger.id: "hostile"}
    assert [town.pools.open_in(name) for name in ("nice", "hostile", "")] == [1, 1, 2]
    assert "nice" in town.pools
    assert "other" not in town.pools


def test_a_friend_who_finds_no_place_spills_down_at_once(town: Town, visitors: Visitors) -> None:
    town.fill(visitors, "nice")
    friend = town.admit(visitors.friend())

    assert town.went()[friend.id] == "hostile"


def test_a_client_with_its_share_spills_down_too(town: Town, visitors: Visitors) -> None:
    town.configure(replace(NICE, sessions=10), HOSTILE)
    sessions = [town.admit(visitors.friend()) for _ in range(3)]

    assert [town.went()[session.id] for session in sessions] == ["nice", "nice", "hostile"]


def test_a_stranger_never_takes_a_place_of_a_reserved_pool(town: Town, visitors: Visitors) -> None:
    sent = town.admit(visitors.session(pool="nice"))
    town.fill(visitors, "hostile")
    waiting = town.admit(visitors.session("192.0.2.2"))

    assert town.went()[sent.id] == "hostile"
    assert waiting.id not in town.went()
    assert town.pools.open_in("nice") == 0


def test_a_stranger_sent_to_a_reserved_pool_without_a_fallback_is_refused(town: Town, visitors: Visitors) -> None:
    town.configure(replace(NICE, fallback=""), HOSTILE)
    stranger = town.admit(visitors.session(pool="nice"))

    assert town.told.refused == [(stranger.id, "reserved")]


def test_an_ended_session_gives_its_place_back_once(town: Town, visitors: Visitors) -> None:
    session = town.admit(visitors.session())
    town.end(session.id)
    town.end(session.id)

    assert town.pools.open_in("hostile") == 0
    assert [given.session.id for given in town.told.ended] == [session.id]
    assert [backend.sessions for backend in town.pools["hostile"].backends] == [0]


def test_an_outcome_finds_its_session_by_id_or_by_address_and_port(town: Town, visitors: Visitors) -> None:
    session = town.admit(visitors.session())
    by_id = OutcomeLine(client=session.address, port=1, ended=0.0, end="quit", session=session.id)
    by_port = OutcomeLine(client=session.address, port=session.port, ended=0.0, end="quit")

    assert town.pools.register.find(by_id) is town.pools.register.find(by_port) is town.told.given[0]


def test_nobody_can_tell_of_the_session_of_another_client(town: Town, visitors: Visitors) -> None:
    session = town.admit(visitors.session())

    assert not town.pools.register.find(
        OutcomeLine(client="192.0.2.9", port=1, ended=0.0, end="quit", session=session.id)
    )


def test_a_place_whose_outcome_never_comes_is_given_back_in_the_end(town: Town, visitors: Visitors) -> None:
    town.admit(visitors.session())
    (given,) = town.told.given
    town.smtpds["hostile"].take()

    town.pools.tick(given.given_at + HELD_FOR)
    assert town.pools.open_in("hostile") == 1
    town.pools.tick(given.given_at + HELD_FOR + 1)
    assert town.pools.open_in("hostile") == 0


def test_a_server_that_does_not_report_frees_the_place_when_it_takes_the_session(
    town: Town, visitors: Visitors
) -> None:
    smtpd = town.smtpds["hostile"]
    town.configure(NICE, replace(HOSTILE, backends=(Backend("pass", smtpd.path),)))
    session = town.admit(visitors.session())
    town.pools.tick(0.1)
    assert town.pools.open_in("hostile") == 1

    smtpd.take()
    town.pools.tick(0.2)
    assert town.pools.open_in("hostile") == 0
    assert [given.session.id for given in town.told.ended] == [session.id]


def test_a_server_that_reports_holds_the_place_until_it_does(town: Town, visitors: Visitors) -> None:
    town.admit(visitors.session())
    town.smtpds["hostile"].take()
    town.pools.tick(0.1)

    assert town.pools.open_in("hostile") == 1
    assert town.told.given[0].taken_at == 0.1


def test_a_session_that_no_server_takes_gives_its_place_back(town: Town, visitors: Visitors) -> None:
    session = town.admit(visitors.session())
    town.pools.tick(100.0)

    assert town.pools.open_in("hostile") == 0
    assert town.told.events("handover_lost") == [
        {"session": session.id, "pool": "hostile", "backend": "bundled:hostile"}
    ]


# The line


def test_who_finds_no_place_waits_and_is_called_when_there_is_one(town: Town, visitors: Visitors) -> None:
    town.fill(visitors, "hostile")
    waiting = town.admit(visitors.session())
    assert town.pools.waiting() == 1

    town.end_one("hostile")
    assert town.went()[waiting.id] == "hostile"
    assert town.pools.waiting() == 0


def test_the_best_score_is_called_first_and_among_equals_the_one_who_came_first(town: Town, visitors: Visitors) -> None:
    town.fill(visitors, "hostile")
    scores = [-5.0, 1.0, 1.0, 3.0]
    waiting = [town.admit(visitors.session(f"192.0.2.{n}", score=score)) for n, score in enumerate(scores)]
    for _ in waiting:
        town.end_one("hostile")

    called = [given.session.id for given in town.told.given[2:]]
    assert called == [waiting[3].id, waiting[1].id, waiting[2].id, waiting[0].id]


def test_a_friend_waiting_in_the_nice_line_gets_a_place_freed_in_hostile_before_a_stranger(
    town: Town, visitors: Visitors
) -> None:
    town.fill(visitors, "nice", "hostile")
    stranger = town.admit(visitors.session("192.0.2.2", score=4.0, accepted=1.0))
    friend = town.admit(visitors.friend(accepted=2.0))
    assert [len(pool.line) for pool in town.pools] == [1, 1]

    town.end_one("hostile")
    assert town.went()[friend.id] == "hostile"
    town.end_one("hostile")
    assert town.went()[stranger.id] == "hostile"


def test_among_equals_of_two_lines_the_one_who_came_first_is_called(town: Town, visitors: Visitors) -> None:
    town.fill(visitors, "nice", "hostile")
    earlier = town.admit(visitors.session("192.0.2.2", score=10.0, accepted=1.0))
    later = town.admit(visitors.friend("192.0.2.3", score=10.0, accepted=2.0))
    town.end_one("hostile")

    assert earlier.id in town.went()
    assert later.id not in town.went()


def test_a_place_freed_in_nice_never_goes_to_a_stranger(town: Town, visitors: Visitors) -> None:
    town.fill(visitors, "nice", "hostile")
    stranger = town.admit(visitors.session("192.0.2.2"))
    town.end_one("nice")
    town.pools.tick(2.0)

    assert stranger.id not in town.went()
    assert town.pools.open_in("nice") == 1


def test_one_whose_client_has_its_share_lets_the_next_in_line_go_first(town: Town, visitors: Visitors) -> None:
    town.configure(NICE, replace(HOSTILE, per_client=1))
    town.admit(visitors.session("192.0.2.1"))
    town.admit(visitors.session("192.0.2.2"))
    greedy = town.admit(visitors.session("192.0.2.1", score=4.0))
    modest = town.admit(visitors.session("192.0.2.3", score=-4.0))
    town.end(town.told.given[1].session.id)

    assert town.went()[modest.id] == "hostile"
    assert greedy.id not in town.went()


def test_patience_has_an_end(town: Town, visitors: Visitors) -> None:
    town.fill(visitors, "nice", "hostile")
    friend, stranger = town.admit(visitors.friend(), 10.0), town.admit(visitors.session("192.0.2.2"), 10.0)
    town.pools.tick(14.9)
    assert town.told.refused == []

    town.pools.tick(15.0)
    assert town.told.refused == [(stranger.id, "patience")]
    town.pools.tick(30.0)
    assert town.told.refused == [(stranger.id, "patience"), (friend.id, "patience")]
    assert town.told.replies == {BUSY: 2}
    assert town.pools.waiting() == 0


def test_in_a_full_line_the_lowest_leaves(town: Town, visitors: Visitors) -> None:
    town.configure(NICE, replace(HOSTILE, queue=2))
    town.fill(visitors, "hostile")
    sessions = [town.admit(visitors.session("192.0.2.2", score=score)) for score in (-2.0, 1.0, 0.0, -3.0)]

    assert town.told.refused == [(sessions[0].id, "queue_full"), (sessions[3].id, "queue_full")]


def test_without_a_line_who_finds_no_place_is_refused_at_once(town: Town, visitors: Visitors) -> None:
    town.configure(NICE, replace(HOSTILE, queue=0))
    town.fill(visitors, "hostile")
    session = town.admit(visitors.session())

    assert town.told.refused == [(session.id, "queue_full")]


def test_all_who_wait_leave_when_the_house_closes(town: Town, visitors: Visitors) -> None:
    town.fill(visitors, "nice", "hostile")
    town.admit(visitors.friend())
    town.admit(visitors.session("192.0.2.2"))
    town.pools.dismiss_all("421 closing")

    assert [why for _id, why in town.told.refused] == ["drain", "drain"]
    assert town.told.replies == {"421 closing": 2}
    assert town.pools.waiting() == 0


# Backends that fail


def test_when_no_server_answers_the_fallback_serves(town: Town, visitors: Visitors) -> None:
    town.smtpds["nice"].close()
    friend = town.admit(visitors.friend())

    assert town.went() == {friend.id: "hostile"}
    assert town.pools.open_in("nice") == 0


def test_when_nobody_answers_at_all_everybody_waits_for_the_first_that_does(town: Town, visitors: Visitors) -> None:
    for smtpd in town.smtpds.values():
        smtpd.close()
    friend, stranger = town.admit(visitors.friend()), town.admit(visitors.session("192.0.2.2"))
    town.pools.tick(0.3)
    assert town.pools.waiting() == 2
    (town.folder / "hostile").unlink()

    with FakeSmtpd(town.folder / "hostile"):
        town.pools.tick(1.0)
        assert town.went() == {friend.id: "hostile", stranger.id: "hostile"}
    assert [values["state"] for values in town.told.events("backend")] == ["down", "down", "up"]


def test_a_newcomer_does_not_overtake_a_better_client_that_waits_for_a_server(
    tmp_path: Path, visitors: Visitors
) -> None:
    """With a full backlog there are places but nobody can be given one; the next chance is for the first in line."""
    town = Town(tmp_path, backlog=0)
    town.configure(replace(NICE, sessions=50), replace(HOSTILE, sessions=50))
    town.admit(visitors.session("192.0.2.2", pool="hostile"))
    better = town.admit(visitors.session("192.0.2.3", score=4.0))
    assert town.pools.waiting() == 1

    town.smtpds["hostile"].take()
    newcomer = town.admit(visitors.session("192.0.2.4", score=-4.0), 0.2)
    town.pools.tick(0.3)
    assert better.id in town.went()
    assert newcomer.id not in town.went()

    town.smtpds["hostile"].take()
    best = town.admit(visitors.session("192.0.2.5", score=4.5), 0.4)
    assert best.id in town.went(), "a better one need not wait behind it"
    town.close()


def test_a_server_that_died_loses_what_it_had_taken_and_only_that(town: Town, visitors: Visitors) -> None:
    taken, untaken, elsewhere = (
        town.admit(session)
        for session in (visitors.session("192.0.2.1"), visitors.session("192.0.2.2"), visitors.friend())
    )
    town.smtpds["hostile"].take()
    town.smtpds["nice"].take()
    waiting = town.admit(visitors.session("192.0.2.3"))
    lost = town.pools.server_died(town.smtpds["hostile"].path, 1.0)

    assert [given.session.id for given in lost] == [taken.id]
    assert [given.session.id for given in town.told.ended] == [taken.id]
    assert set(town.went()) == {taken.id, untaken.id, elsewhere.id, waiting.id}, "who waited got the place"
    assert town.pools.open_in("hostile") == 2
    assert town.smtpds["hostile"].take().attributes["session"] == untaken.id, "the backlog waits for the next server"


# Stress


def test_under_stress_no_more_stand_in_line_than_there_are_places_and_the_worst_leave(
    town: Town, visitors: Visitors
) -> None:
    town.fill(visitors, "nice", "hostile")
    waiting = [town.admit(visitors.session(f"192.0.2.{score}", score=-score)) for score in range(1, 6)]
    town.pools.tick(1.0)  # full: stress begins
    town.pools.tick(1.1)

    assert town.told.refused == [(session.id, "stress") for session in (waiting[4], waiting[3], waiting[2])]
    assert town.told.replies == {BUSY: 3}
    assert town.pools.waiting() == 2


def test_stress_sends_no_friend_away(town: Town, visitors: Visitors) -> None:
    town.fill(visitors, "nice", "hostile")
    for last in range(1, 6):
        town.admit(visitors.friend(f"192.0.2.{last}"))
    town.pools.tick(1.0)
    town.pools.tick(1.1)

    assert town.told.refused == []
    assert town.pools.waiting() == 5


def test_stress_is_told_when_it_turns(town: Town, visitors: Visitors) -> None:
    town.fill(visitors, "hostile")
    town.pools.tick(0.0)
    assert town.pools.stressed == ("hostile",)
    assert town.told.events("stress") == [{"pool": "hostile", "state": "on", "taken": 2, "waiting": 0}]

    for _ in range(2):
        town.end_one("hostile")
        town.smtpds["hostile"].take()
    for now in (1.0, 2.0, 11.9):
        town.pools.tick(now)
    assert [values["state"] for values in town.told.events("stress")] == ["on"]
    town.pools.tick(12.1)
    assert [values["state"] for values in town.told.events("stress")] == ["on", "off"]
    assert not town.pools.stressed


# Reloads


def test_a_pool_that_is_gone_dismisses_its_line_and_serves_its_sessions_to_their_end(
    town: Town, visitors: Visitors
) -> None:
    town.fill(visitors, "nice", "hostile")
    in_line = town.admit(visitors.session())
    served = town.told.given[-1]
    town.configure(replace(NICE, fallback=""))
    assert town.told.refused == [(in_line.id, "pool_gone")]
    assert "hostile" not in town.pools

    town.smtpds["hostile"].take()
    town.pools.tick(1.0)
    assert town.told.given[2].taken_at == 1.0
    town.end(served.session.id)
    assert town.told.ended == [served]
    town.end_one("hostile")
    assert len(town.pools.register) == 2, "those of the nice pool"
    town.pools.tick(2.0)
    town.pools.tick(101.0)  # its last connection is closed, and so it goes


def test_a_pool_that_comes_back_starts_with_all_its_places(town: Town, visitors: Visitors) -> None:
    town.fill(visitors, "hostile")
    old = town.told.given[0]
    town.configure(replace(NICE, fallback=""))
    town.configure(NICE, HOSTILE)
    town.fill(visitors, "hostile")
    town.pools.ended(old, 1.0)

    assert town.pools.open_in("hostile") == 2, "the old session had no place of the new pool"
    for smtpd in town.smtpds.values():
        smtpd.close()
    town.pools.tick(200.0)  # takes the old pool's connections away


def test_more_places_after_a_reload_are_taken_at_once(town: Town, visitors: Visitors) -> None:
    town.fill(visitors, "hostile")
    waiting = town.admit(visitors.session())
    town.configure(NICE, replace(HOSTILE, sessions=3))

    assert town.went()[waiting.id] == "hostile"


def test_fewer_places_after_a_reload_let_nobody_in_until_enough_have_left(town: Town, visitors: Visitors) -> None:
    town.fill(visitors, "hostile")
    waiting = town.admit(visitors.session())
    town.configure(NICE, replace(HOSTILE, sessions=1))
    town.end_one("hostile")
    assert waiting.id not in town.went()

    town.end_one("hostile")
    assert town.went()[waiting.id] == "hostile"


# Nothing is leaked

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("friend"), st.integers(0, 3)),
        st.tuples(st.just("stranger"), st.integers(0, 3)),
        st.tuples(st.just("end"), st.integers(0, 5)),
        st.tuples(st.sampled_from(["take nice", "take hostile"]), st.just(0)),
        st.tuples(st.sampled_from(["die nice", "die hostile", "tick", "wait", "reload"]), st.just(0)),
    ),
    max_size=30,
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_every_session_is_given_a_place_or_a_reply_once_and_no_place_is_leaked(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    before = open_descriptors()
    now = 0.0
    with Visitors() as visitors:
        town = Town(tmp_path_factory.mktemp("town"))
        admitted = []
        for step, number in steps:
            now += 0.1
            if step == "friend":
                admitted.append(town.admit(visitors.friend(f"192.0.2.{number}"), now).id)
            elif step == "stranger":
                session = visitors.session(f"198.51.100.{number}", score=number - 2.0)
                admitted.append(town.admit(session, now).id)
            elif step == "end" and number < len(town.told.given):
                town.pools.ended(town.told.given[number], now)
            elif step.startswith("take"):
                take_if_there_is_one(town, step.removeprefix("take "))
            elif step.startswith("die"):
                town.pools.server_died(town.smtpds[step.removeprefix("die ")].path, now)
            elif step == "reload":
                town.configure(NICE, replace(HOSTILE, sessions=1 + number), now=now)
            else:
                now += 10.0 if step == "wait" else 0.0
                town.pools.tick(now)
            check(town)
        for given_away in town.told.given:  # it grows as those in line are called
            town.pools.ended(given_away, now)
        check(town)
        town.pools.dismiss_all(BUSY)  # who waits for a server that takes nothing
        assert sorted([*town.went(), *(identity for identity, _why in town.told.refused)]) == sorted(admitted)
        assert sorted(given.session.id for given in town.told.ended) == sorted(town.went())
        assert [pool.places.taken for pool in town.pools] == [0, 0]
        town.close()
    assert open_descriptors() <= before + 1, "at most the epoll of a pool that is still to be collected"


def take_if_there_is_one(town: Town, name: str) -> None:
    if any(given.taken_at is None and given.pool == name for given in town.told.given) and town.pools[name].untaken:
        town.smtpds[name].take()
        town.pools.tick(0.0)


def check(town: Town) -> None:
    """Who is open has a place, nobody waits while there is one, and no stranger has a place among friends."""
    held = [given for given in town.told.given if given not in town.told.ended]
    for pool in town.pools:
        mine = [given for given in held if given.pool == pool.name]
        assert pool.places.taken == len(mine) == sum(backend.sessions for backend in pool.backends)
        is_up = not any(backend.failed_for for backend in pool.backends)
        assert not is_up or pool.line.first(pool.has_place_for) is None
        assert pool.name == "hostile" or all(given.session.verdict.standing == "friend" for given in mine)


def test_a_server_that_takes_nothing_gets_nothing_more_until_it_does(town: Town, visitors: Visitors) -> None:
    town.admit(visitors.friend("192.0.2.1"))
    (first,) = town.told.given
    assert first.pool == "nice"
    town.pools.tick(first.given_at + WEDGED + 0.1)

    town.pools.admit(visitors.friend("192.0.2.2"), first.given_at + WEDGED + 0.2)
    assert town.told.given[-1].pool == "hostile"

    town.smtpds["nice"].take()
    town.pools.tick(first.given_at + WEDGED + 0.3)
    town.pools.tick(first.given_at + WEDGED + 0.3 + WEDGED_PAUSE)
    town.pools.admit(visitors.friend("192.0.2.3"), first.given_at + WEDGED + 0.4 + WEDGED_PAUSE)
    assert town.told.given[-1].pool == "nice"
    assert not town.pools["nice"].backends[0].failed_for
