"""What becomes of sessions given away: outcomes free places and become history."""

import time
from dataclasses import replace
from typing import Any

import pytest

from frontproxy.core.address import pack
from frontproxy.core.brake import STALE, Brake
from frontproxy.core.hearsay import NOTHING_HEARD, Hearsay, NameAnswer
from frontproxy.core.history import Keys, KnownName, Lesson
from frontproxy.core.outcome import Weight, weigh
from frontproxy.core.session import Session
from frontproxy.handover.backends import Given
from frontproxy.handover.kernel_notices import SocketName
from frontproxy.knowledge import teach
from frontproxy.memory.journal import Journal
from frontproxy.memory.told import minute_key, minutes_around
from frontproxy.outcomes import FUTURE
from frontproxy.wire.outcome_line import OutcomeLine
from tests.houses import FORWARDER, FRIEND, MONITOR, STRANGER, WALL, House, bug, house, outcome

__all__ = ["house"]

CLIENT = bytes([192, 0, 2, 7])
foreign = pytest.mark.parametrize("house", ["[learn]\nforeign = true\n"], indirect=True)


def was_live(house: House, wall: float) -> bool:
    """Whether a log of that moment would be left out."""
    return any(map(house.proxy.memory.is_told, minutes_around(wall)))


def test_an_outcome_teaches_and_frees_the_place(house: House) -> None:
    given = house.given(STRANGER)
    assert house.proxy.pools.open_in("hostile") == 1

    house.outcomes.hear(outcome(given, messages=1))

    assert house.knowledge(STRANGER) == (1.0, 0.0)
    assert house.proxy.pools.open_in("hostile") == 0
    assert house.proxy.census.of(CLIENT, 0).open_sessions == 0
    assert house.proxy.counters["outcomes"] == 1
    (line,) = house.log.about("outcome")
    assert f"session={given.session.id} " in line
    assert " good=1 bad=0 " in line


def test_an_outcome_frees_no_place_that_the_kernel_watches(house: House) -> None:
    """Whoever can tell outcomes, or a port used again, must not bring more sessions to a server than it has places."""
    given = house.given(STRANGER)
    given.name = SocketName(1, ("198.51.100.25", 25), (STRANGER, given.session.port), 0)

    house.outcomes.hear(outcome(given, messages=1))

    assert house.knowledge(STRANGER) == (1.0, 0.0)
    assert house.proxy.pools.open_in("hostile") == 1


def test_an_outcome_told_twice_counts_once(house: House) -> None:
    given = house.given(STRANGER)

    house.outcomes.hear(outcome(given, messages=1))
    house.outcomes.hear(outcome(given, messages=1))

    assert house.knowledge(STRANGER) == (1.0, 0.0)
    assert house.proxy.counters["outcomes_repeated"] == 1
    assert house.proxy.pools.open_in("hostile") == 0


def test_what_a_second_feed_knows_besides_is_learned(house: House) -> None:
    """A milter sees that a message was broken off, and the log, a moment later, that it was refused for its content."""
    given = house.given(STRANGER)

    house.outcomes.hear(outcome(given))
    house.outcomes.hear(replace(outcome(given), content_refused=2, end="lost"))
    house.outcomes.hear(replace(outcome(given), content_refused=2, end="lost"))

    assert house.knowledge(STRANGER) == (0.0, 4.0)
    assert house.proxy.counters["outcomes_repeated"] == 2
    _first, second = house.log.about("outcome")
    assert " addition=yes end=lost " in second
    assert " bad=4 " in second


def test_what_counts_less_good_by_all_that_is_known_is_taken_back(house: House) -> None:
    given = house.given(STRANGER)

    house.outcomes.hear(outcome(given, messages=2))
    house.outcomes.hear(replace(outcome(given), content_refused=1))

    assert house.knowledge(STRANGER) == pytest.approx((0.0, 2.0))
    assert given.earned == pytest.approx(0.0, abs=0.1)


def test_what_a_verdict_has_taken_back_is_not_taken_again(house: House) -> None:
    other, given = house.given(STRANGER), house.given(STRANGER)
    house.outcomes.hear(outcome(other, messages=5))
    house.outcomes.hear(outcome(given, messages=1))
    given.earned = 0.0  # as `tell CLIENT bad` does
    before, _bad = house.knowledge(STRANGER)

    house.outcomes.hear(replace(outcome(given), content_refused=1))

    assert house.knowledge(STRANGER)[0] == pytest.approx(before / 1.04**2)  # only displaced


def test_a_second_feed_adds_good_as_well(house: House) -> None:
    given = house.given(STRANGER)

    house.outcomes.hear(outcome(given))
    house.outcomes.hear(outcome(given, messages=2))

    assert house.knowledge(STRANGER) == (1.25, 0.0)
    assert given.earned == 1.25


def test_a_late_line_of_the_session_before_ends_no_other_from_its_port(house: House) -> None:
    told, still_open = house.given(STRANGER), house.given(STRANGER)
    still_open.session.port = told.session.port
    register = house.proxy.pools.register
    for given in (told, still_open):
        register.forget(given)
    register.add(told)
    told.given_at -= 60
    house.outcomes.hear(replace(outcome(told, messages=1, ended=WALL - 30), session=""))
    register.add(still_open)

    house.outcomes.hear(replace(outcome(told, messages=1, ended=WALL - 30.4), session=""))
    assert house.proxy.counters["outcomes_repeated"] == 1

    house.outcomes.hear(replace(outcome(still_open), session="", content_refused=1))
    assert still_open.has_ended
    assert house.knowledge(STRANGER)[1] == 2


def test_an_outcome_without_an_id_is_joined_by_client_and_port(house: House) -> None:
    given = house.given(STRANGER)

    house.outcomes.hear(OutcomeLine(client=STRANGER, port=given.session.port, ended=WALL, end="quit", messages=1))

    assert house.knowledge(STRANGER) == (1.0, 0.0)
    assert house.proxy.counters["outcomes_unmatched"] == 0


@pytest.mark.parametrize(("ahead", "learned"), [(FUTURE, 1.0), (FUTURE + 1, 0.0)])
def test_an_outcome_from_the_future_is_refused(house: House, ahead: float, learned: float) -> None:
    given = house.given(STRANGER)

    house.outcomes.hear(outcome(given, ended=WALL + ahead, messages=1))

    assert house.knowledge(STRANGER)[0] == learned
    assert house.proxy.pools.open_in("") == 0  # its session has ended all the same
    assert house.proxy.counters["outcomes_from_the_future"] == 1 - learned
    assert bool(house.log.about("outcome_refused")) is not bool(learned)


def test_an_outcome_of_nobody_we_know_is_counted_and_teaches_nothing(house: House) -> None:
    house.outcomes.hear(outcome(client=STRANGER, messages=1))

    assert house.knowledge(STRANGER) == (0.0, 0.0)
    assert house.proxy.counters["outcomes_unmatched"] == 1


@foreign
def test_an_outcome_of_nobody_we_know_teaches_if_the_operator_wants_it(house: House) -> None:
    house.outcomes.hear(outcome(client=STRANGER, messages=1))

    assert house.knowledge(STRANGER) == (1.0, 0.0)
    assert house.proxy.counters["outcomes_unmatched"] == 1


@foreign
def test_a_foreign_session_that_two_feeds_tell_of_counts_once(house: House) -> None:
    for ended in (WALL - 2, WALL, WALL - 100):
        house.outcomes.hear(outcome(client=STRANGER, ended=ended, messages=1))

    assert house.proxy.counters["outcomes_repeated"] == 1
    good, _bad = house.knowledge(STRANGER)
    assert good == pytest.approx(2, rel=0.05)


@foreign
def test_of_a_foreign_session_too_all_that_is_known_counts_once(house: House) -> None:
    line = outcome(client=STRANGER, messages=1)
    for told in (line, replace(line, messages=0, content_refused=1), replace(line, ended=WALL - 3)):
        house.outcomes.hear(told)

    assert house.knowledge(STRANGER) == pytest.approx((0.0, 2.0))
    assert house.proxy.counters["outcomes_repeated"] == 2


@foreign
def test_a_foreign_outcome_of_what_is_no_address_is_a_bad_line(house: House) -> None:
    house.outcomes.hear(outcome(client="mail.example", messages=1))

    assert house.proxy.counters["outcome_lines_bad"] == 1


@foreign
def test_a_foreign_outcome_of_our_own_probe_teaches_nothing(house: House) -> None:
    house.outcomes.hear(outcome(client=MONITOR, messages=1))

    assert house.knowledge(MONITOR) == (0.0, 0.0)


def test_a_probe_is_never_learned(house: House) -> None:
    given = house.given(MONITOR)

    house.outcomes.hear(outcome(given, messages=1))

    assert house.knowledge(MONITOR) == (0.0, 0.0)
    assert house.proxy.pools.open_in("") == 0


@pytest.mark.parametrize(("address", "bad"), [(FORWARDER, 0.2), (FRIEND, 2.0)])
def test_refused_content_counts_a_tenth_from_a_forwarder(house: House, address: str, bad: float) -> None:
    given = house.given(address)

    house.outcomes.hear(
        OutcomeLine(
            client=address, port=given.session.port, ended=WALL, end="quit", session=given.session.id, content_refused=1
        )
    )

    assert house.knowledge(address) == pytest.approx((0.0, bad))


def test_early_talk_counts_although_the_line_does_not_say_so(house: House) -> None:
    given = house.given(STRANGER)
    given.session.early = True

    house.outcomes.hear(outcome(given))

    assert house.knowledge(STRANGER) == (0.0, 1.0)


def test_what_nobody_said_anything_in_teaches_nothing(house: House) -> None:
    house.outcomes.hear(outcome(house.given(STRANGER)))

    assert house.knowledge(STRANGER) == (0.0, 0.0)
    assert house.proxy.counters["outcomes"] == 1


def test_the_sessions_of_a_server_that_died_are_lost_and_leave_their_places(house: House) -> None:
    given = house.given(STRANGER)
    waiting = house.given("198.51.100.1")
    house.smtpds["hostile"].take()

    assert house.outcomes.server_died(given.backend.path, 0) == 1
    assert given.over_at >= given.given_at

    assert house.proxy.pools.open_in("hostile") == 1
    assert waiting.has_ended is False
    assert house.proxy.counters["lost"] == 1
    (line,) = house.log.about("lost")
    assert f"session={given.session.id} " in line


def test_an_outcome_of_a_lost_session_comes_too_late(house: House) -> None:
    given = house.given(STRANGER)
    house.smtpds["hostile"].take()
    house.outcomes.server_died(given.backend.path, 0)

    house.outcomes.hear(outcome(given, messages=1))

    assert house.knowledge(STRANGER) == (0.0, 0.0)
    assert house.proxy.counters["outcomes_repeated"] == 1


def test_a_bug_in_learning_costs_neither_the_place_nor_the_proxy(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    given = house.given(STRANGER)
    monkeypatch.setattr(house.proxy.memory, "remember", bug)

    house.outcomes.hear(outcome(given, messages=1))

    assert house.proxy.pools.open_in("") == 0
    assert house.proxy.counters["bugs"] == 1
    assert " traceback=" in house.log.about("bug")[0]


def test_a_server_that_dies_again_and_again_gets_nothing_until_it_is_started(house: House) -> None:
    given = house.given(STRANGER)
    [backend] = house.proxy.pools["hostile"].backends

    house.outcomes.server_died(given.backend.path, 0.4)
    assert backend.may_be_asked(time.monotonic())

    house.outcomes.server_died(given.backend.path, 30)
    assert backend.failed_for == "its process dies again and again"
    assert not backend.may_be_asked(time.monotonic())
    assert backend.may_be_asked(time.monotonic() + 30)


def test_the_log_says_why_an_outcome_counted(house: House) -> None:
    house.outcomes.hear(outcome(house.given(STRANGER), messages=1))

    [line] = house.log.about("outcome")
    assert ' good=1 bad=0 because="1 message accepted" ' in line


def test_a_session_teaches_the_provider_its_name_tells(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four addresses of a sender, each in a network of its own; then a fifth, of which only the name is known."""
    soon = time.monotonic() + 60
    answer = NameAnswer("confirmed", "mx.example.com", "example.com", is_access=False, at=0, until=soon)
    heard = {pack(f"10.0.{number}.1"): Hearsay(name=answer) for number in range(5)}
    monkeypatch.setattr(house.proxy.desk, "hearsay", lambda packed, _now: heard.get(packed, NOTHING_HEARD))
    for number in range(4):
        house.outcomes.hear(outcome(house.given(f"10.0.{number}.1"), messages=9))

    reasons = {reason.name: reason for reason in house.proxy.judge(pack("10.0.4.1"), "10.0.4.1").reasons}
    assert reasons["provider"].points == pytest.approx(4)
    assert reasons["provider"].text.startswith("other clients of example.com still ")

    heard.clear()
    assert house.proxy.judge(pack("10.0.4.1"), "10.0.4.1").reasons == ()
    known = [reason.name for reason in house.proxy.judge(pack("10.0.0.1"), "10.0.0.1").reasons]
    assert known == ["history", "provider"]  # by the name remembered


BRAKED = """
[pool.hostile]
sessions = 1000
per_client = 1000
[pool.nice]
sessions = 1000
per_client = 1000
fallback = "hostile"
[[list]]
name = "customers"
kind = "points"
networks = ["198.51.0.0/16"]
points = 20
"""


@pytest.mark.parametrize("house", [BRAKED], indirect=True)
def test_a_server_that_refuses_all_its_friends_teaches_nothing_bad_about_them(house: House) -> None:
    """A recipient table got lost: for a while every recipient is unknown."""
    friends = [f"198.51.{number}.100" for number in range(1, 31)]

    def session(friend: str, *, messages: int = 0, refused: int = 0) -> None:
        line = outcome(house.given(friend), messages=messages)
        house.smtpds["nice"].take()
        house.outcomes.hear(replace(line, refused=refused))

    for friend in friends:
        session(friend, messages=1)
    for friend in [*friends, *friends]:
        session(friend, refused=3)

    (line,) = house.log.about("brake")
    assert " state=on " in line
    assert "sessions of friends were bad" in line
    assert house.proxy.counters["outcomes_braked"] > 40
    blamed = [friend for friend in friends if house.knowledge(friend)[1] > 0]
    assert len(blamed) < 10
    assert all(house.knowledge(friend)[1] < 3 for friend in friends)

    for friend in friends:
        session(friend, messages=1)
    assert " state=off " in house.log.about("brake")[1]
    session(friends[-1], refused=3)
    assert house.knowledge(friends[-1])[1] > 0


def refuse(house: House, friend: str, **facts: Any) -> Given:
    """A session in which the server has refused something."""
    given = house.given(friend)
    house.smtpds["nice"].take()
    house.outcomes.hear(replace(outcome(given), **facts))
    return given


@pytest.mark.parametrize("house", [BRAKED], indirect=True)
@pytest.mark.parametrize(
    "facts",
    [
        {"refused": 1, "null_sender": True},
        {"content_refused": 1},
        {"trap": 1},
        {"http": True},
        {"bad_commands": 9},
        {"early": True},
    ],
)
def test_what_no_broken_server_does_pulls_no_brake_and_is_always_learned(house: House, facts: dict[str, Any]) -> None:
    for number in range(60):
        refuse(house, f"198.51.100.{number % 30 + 1}", **facts)
    assert not house.log.about("brake")

    for number in range(31, 71):
        refuse(house, f"198.51.{number}.100", refused=1)
    refuse(house, "198.51.99.100", **{**facts, "refused": 3})

    assert house.proxy.counters["outcomes_braked"] > 20
    unbraked = OutcomeLine(**{"client": FRIEND, "port": 1, "ended": WALL, "end": "quit", **facts, "refused": 0})
    assert house.knowledge("198.51.99.100")[1] == weigh(unbraked).bad


@pytest.mark.parametrize("house", [BRAKED], indirect=True)
def test_one_unknown_recipient_each_is_how_a_lost_table_looks(house: House) -> None:
    for number in range(40):
        refuse(house, f"198.51.{number + 1}.100", refused=1)

    assert " state=on " in house.log.about("brake")[0]


@pytest.mark.parametrize("house", [BRAKED], indirect=True)
def test_what_was_refused_under_the_brake_is_not_learned_from_another_feed_after_it(house: House) -> None:
    for number in range(40):
        given = refuse(house, f"198.51.{number + 1}.100", refused=3)
    given.backend.brake = Brake()

    house.outcomes.hear(replace(outcome(given), refused=4))

    assert house.knowledge(given.session.address) == (0.0, 0.0)


@pytest.mark.parametrize("house", [BRAKED], indirect=True)
def test_the_brake_is_let_go_by_a_strangers_session_when_no_friend_was_refused_for_long(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(40):
        given = refuse(house, f"198.51.{number + 1}.100", refused=3)
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + STALE + 1)
    stranger = house.given(STRANGER)
    stranger.backend = given.backend

    house.outcomes.hear(replace(outcome(stranger), refused=3))

    assert " state=off " in house.log.about("brake")[1]
    assert house.knowledge(STRANGER)[1] > 0


@pytest.mark.parametrize("house", [BRAKED], indirect=True)
def test_the_clients_of_an_ipv6_network_are_one_friend_to_the_brake(house: House) -> None:
    for number in range(60):
        given = house.given(f"2001:db8:1:{number:x}::1")
        house.smtpds["hostile"].take()
        given.session.verdict = given.session.verdict._replace(standing="friend")
        house.outcomes.hear(replace(outcome(given), refused=3))

    assert not house.log.about("brake")


class HeardJournal(Journal):
    """A journal that keeps what it is told in memory."""

    def __init__(self) -> None:
        super().__init__(None, log=lambda *_words, **_values: None, clock=lambda: WALL)
        self.heard: list[tuple[object, ...]] = []

    def learned(self, lesson: Lesson) -> None:
        """Keep it."""
        self.heard.append(("learned", lesson.t, lesson.good, lesson.bad))

    def ended(self, session: Session, pool: str, line: OutcomeLine, weight: Weight, wall: float) -> None:
        """Keep it."""
        self.heard.append(("ended", session.id, pool, line.messages, weight.good, wall))


def test_the_journal_hears_what_was_learned_and_how_the_session_ended(house: House) -> None:
    house.proxy.journal = journal = HeardJournal()
    taught, mute = house.given(STRANGER), house.given("198.51.100.1")

    house.outcomes.hear(outcome(taught, ended=WALL - 500, messages=1))  # its feed's clock is late
    house.outcomes.hear(outcome(mute))

    assert journal.heard == [
        ("learned", WALL, 1.0, 0.0),
        ("ended", taught.session.id, "hostile", 1, 1.0, WALL),
        ("ended", mute.session.id, "hostile", 0, 0.0, WALL),
    ]


def test_what_is_heard_as_it_happens_is_not_learned_again_from_a_log(house: House) -> None:
    assert not was_live(house, WALL)

    house.outcomes.hear(outcome(house.given(STRANGER)))  # which counts nothing, and would count nothing in a log

    assert was_live(house, WALL)
    assert not was_live(house, WALL - 300)


@pytest.mark.parametrize(("late", "noted"), [(310, True), (3600, True), (3601, False), (-120, False)])
def test_nor_if_it_is_told_late(house: House, late: float, noted: bool) -> None:
    house.outcomes.hear(outcome(house.given(STRANGER), messages=1, ended=WALL - late))

    assert house.proxy.memory.is_told(minute_key(WALL - late)) == noted
    assert house.proxy.memory.is_told(minute_key(WALL))


@foreign
def test_nor_is_a_foreign_outcome(house: House) -> None:
    house.outcomes.hear(outcome(client=STRANGER, ended=WALL - 300, messages=1))

    assert was_live(house, WALL - 300)
    assert not was_live(house, WALL)


def test_a_session_remembers_what_it_earned(house: House) -> None:
    good, bad = house.given(STRANGER), house.given(STRANGER)

    house.outcomes.hear(outcome(good, messages=2))
    house.outcomes.hear(replace(outcome(bad), refused=9))

    assert (good.earned, bad.earned) == (1.25, 0.0)
    assert house.proxy.pools.register.latest_that_earned(CLIENT) is good


def test_a_name_that_is_told_with_a_session_counts_before_that_of_the_dns(house: House) -> None:
    told = KnownName("mx.example.org", "example.org", WALL)

    teach(house.proxy, CLIENT, WALL, Weight(1.0, 0.0, ""), heard=told)

    record = house.proxy.memory.recall(Keys(CLIENT, CLIENT[:3], 0)).client
    assert record
    assert record.name == told


def test_what_counts_nothing_is_not_even_remembered(house: House) -> None:
    assert teach(house.proxy, CLIENT, WALL, Weight(0.0, 0.0, "")) is None

    assert house.proxy.memory.recall(Keys(CLIENT, CLIENT[:3], 0)).client is None
