"""Alarms begin, last and end; each is told once in the log."""

import time

import pytest

from frontproxy.alarms import PATIENCE, SILENCE, UNHEARD, Alarms
from frontproxy.clock import AnchoredClock
from frontproxy.learn.report import FeedsHeard
from tests.houses import FRIEND, STRANGER, House, house, outcome

__all__ = ["house"]


def test_all_is_well_in_an_empty_house(house: House) -> None:
    alarms = Alarms(house.proxy, FeedsHeard())

    alarms.look()

    assert alarms.current == ()
    assert not house.log.about("alarm")


def test_no_feed_while_sessions_are_given_away_is_an_alarm_until_one_comes(house: House) -> None:
    feeds = FeedsHeard()
    alarms = Alarms(house.proxy, feeds)
    given = house.given(STRANGER)
    given.given_at -= PATIENCE + 1
    house.smtpds["hostile"].take()
    house.proxy.pools.tick(time.monotonic())

    alarms.look()
    alarms.look()
    [alarm] = alarms.current
    assert "no feed is connected" in alarm

    feeds.connected = 1
    alarms.look()
    assert alarms.current == ()
    assert [line.split()[1] for line in house.log.about("alarm")] == ["state=on", "state=off"]

    feeds.connected = 0
    house.outcomes.hear(outcome(given))
    alarms.look()
    assert alarms.current == ()


def test_a_server_that_takes_nothing_is_an_alarm(house: House) -> None:
    alarms = Alarms(house.proxy, FeedsHeard(connected=1))
    house.given(FRIEND).given_at -= PATIENCE + 1

    alarms.look()

    assert alarms.current == ("pool nice: no server takes what is handed over; does it run, with enough processes?",)


def test_a_backend_that_is_down_and_a_history_in_trouble_are_alarms(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(house.proxy.memory, "current_troubles", lambda: ["the disk is full"])
    [backend] = house.proxy.pools["nice"].backends
    backend.failed("Connection refused", 0)
    alarms = Alarms(house.proxy, FeedsHeard())

    alarms.look()

    assert alarms.current == (f"pool nice: {backend.name} is down: Connection refused", "the disk is full")


def test_a_backend_that_holds_its_places_and_tells_nothing_is_an_alarm(house: House) -> None:
    alarms = Alarms(house.proxy, FeedsHeard(connected=1))
    pool = house.proxy.pools["hostile"]
    pool.places.sessions = 4
    givens = [house.given(f"198.51.100.{number}") for number in range(2)]
    for _given in givens:
        house.smtpds["hostile"].take()
    house.proxy.pools.tick(time.monotonic())
    for given in givens:
        given.given_at -= SILENCE + 1
    pool.backends[0].heard_at = time.monotonic() - SILENCE - 1

    alarms.look()
    [alarm] = alarms.current
    assert alarm == f"pool hostile: {pool.backends[0].name} holds places and tells no outcomes; restart it"

    house.outcomes.hear(outcome(givens[0]))
    alarms.look()
    assert not alarms.current


def test_a_socket_that_was_removed_is_an_alarm(house: House) -> None:
    alarms = Alarms(house.proxy, FeedsHeard(), [house.folder / "report.sock"])

    alarms.look()

    assert alarms.current == (f"{house.folder}/report.sock was removed; restart frontproxy",)


def test_a_clock_that_was_set_is_an_alarm(house: House) -> None:
    house.proxy.clock = AnchoredClock(lambda: house.wall, lambda: 0.0)
    house.wall += 61

    alarms = Alarms(house.proxy, FeedsHeard())
    alarms.look()

    assert alarms.current == ("the system's clock was set by more than a minute; ours follows slowly",)


def test_a_burst_after_a_quiet_night_is_no_alarm(house: House) -> None:
    alarms = Alarms(house.proxy, FeedsHeard(connected=1))
    house.given(FRIEND).given_at -= SILENCE + 1  # a long session elsewhere
    house.smtpds["nice"].take()
    pool = house.proxy.pools["hostile"]
    pool.places.sessions = 2
    pool.backends[0].heard_at = time.monotonic() - SILENCE - 1
    house.given(STRANGER)
    house.smtpds["hostile"].take()
    house.proxy.pools.tick(time.monotonic())

    alarms.look()

    assert not [alarm for alarm in alarms.current if "hostile" in alarm]


@pytest.mark.parametrize("house", ['[learn]\nmilter = "127.0.0.1:10032"\n'], indirect=True)
def test_a_milter_that_nobody_speaks_to_is_an_alarm(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody took it out of Postfix's smtpd_milters: sessions end, and nothing is learned."""
    feeds = FeedsHeard(connected=1, lines=5)
    alarms = Alarms(house.proxy, feeds)
    alarms.look()
    house.proxy.counters["ended"] += UNHEARD
    alarms.look()
    assert not house.log.about("alarm")

    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + SILENCE + 1)
    alarms.look()
    assert alarms.current == (
        f"no outcome was heard of the last {UNHEARD} sessions; is our milter the last in smtpd_milters?",
    )

    feeds.lines += 1
    alarms.look()
    assert [line.split()[1] for line in house.log.about("alarm")] == ["state=on", "state=off"]


def test_without_a_milter_nobody_has_to_tell_outcomes(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    alarms = Alarms(house.proxy, FeedsHeard(connected=1))
    alarms.look()
    house.proxy.counters["ended"] += UNHEARD
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + SILENCE + 1)
    alarms.look()

    assert alarms.current == ()


DOORS = '[listen]\naddresses = ["127.0.0.1:0", "pass:postscreen.sock"]\n[learn]\nmilter = "unix:milter.sock"\n'


@pytest.mark.parametrize("house", [DOORS], indirect=True)
def test_a_door_that_was_removed_is_an_alarm(house: House) -> None:
    alarms = Alarms(house.proxy, FeedsHeard(connected=1))
    alarms.look()
    doors = [house.folder / "postscreen.sock", house.folder / "milter.sock"]
    assert alarms.current == tuple(f"{door} was removed; restart frontproxy" for door in doors)

    for door in doors:
        door.touch()
    alarms.look()
    assert len(house.log.about("alarm")) == 4
