"""Trouble that is Postfix's: it stops, its sockets vanish, it refuses every recipient. Friends stay friends."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack

import pytest

from tests.real.house import House, is_running, wait_for
from tests.real.ports import Port
from tests.real.postfix import Postfix, passed
from tests.real.street import (
    FRIEND,
    OTHER_FRIEND,
    STRANGER,
    USER,
    Sender,
    alarms,
    assert_well,
    config,
    crowd,
    move_in,
    need_street,
    pool,
    send,
    wait_for_taken,
)


@pytest.fixture(autouse=True)
def _needs() -> None:
    need_street()


@pytest.fixture
def postfix() -> Iterator[Postfix]:
    with Postfix(passed("nice"), passed("hostile")) as postfix:
        yield postfix


def delivered(postfix: Postfix, number: int) -> None:
    """Wait until that many messages were delivered, and none is left."""
    wait_for(lambda: postfix.log().count(" status=sent ") == number, f"{number} messages delivered")
    assert len(list((postfix.folder / "q/deferred").rglob("*"))) == 0


def test_postfix_stopped_and_started_under_load_costs_friends_a_wait(
    postfix: Postfix, build: Callable[..., House]
) -> None:
    house = move_in(build, config(postfix))
    with Sender(house, FRIEND) as one, Sender(house, OTHER_FRIEND) as other:
        one.sends()
        other.sends()
        postfix.stop()
        wait_for(lambda: "nice is down: " in alarms(house), "the alarm")
        wait_for(lambda: pool(house)["waiting"] == 2, "both of them in line")
        with house.connect(STRANGER) as stranger:
            assert stranger.recv(4096).startswith(b"421 4.3.2 ")

        postfix.start()
        one.sends()
        other.sends()
    send(house, STRANGER)  # an alarm of the pool hostile ends when Postfix takes the next client there
    wait_for(lambda: alarms(house) == "", "the end of the alarm")
    # Who was with Postfix, or in its backlog, when it ended, is cut off.
    assert len(one.troubles) <= 1
    assert len(other.troubles) <= 1
    wait_for(lambda: postfix.log().count(" status=sent ") >= one.accepted + other.accepted + 1, "all that was accepted")
    assert_well(house)


def test_what_waited_in_the_backlog_of_a_killed_postfix_comes_again(build: Callable[..., House]) -> None:
    with Postfix(passed("nice", 1), passed("hostile")) as postfix:
        house = move_in(build, config(postfix))
        with crowd(house, [f"127.1.1.{last}" for last in range(1, 11)]) as clients:
            wait_for_taken(house, 10)
            postfix.kill()
            for client in clients:
                while client.recv(4096):
                    pass
        wait_for_taken(house, 0)
        postfix.start()
        send(house)
        assert_well(house)


@pytest.fixture(params=["gone", "forbidden", "forbidden folder"])
def obstacle(request: pytest.FixtureRequest, postfix: Postfix) -> Iterator[ExitStack]:
    """Something between us and the socket of nice; closing it removes it."""
    path = postfix.pass_path("nice")
    away = path.with_name("away")
    with ExitStack() as obstacle:
        match request.param:
            case "gone":
                path.rename(away)
                obstacle.callback(away.rename, path)
            case "forbidden":
                path.chmod(0o600)
                obstacle.callback(path.chmod, 0o666)
            case "forbidden folder":
                path.parent.chmod(0o700)
                obstacle.callback(path.parent.chmod, 0o710)
        yield obstacle


def test_a_pass_socket_out_of_reach_keeps_friends_waiting_until_it_is_back(
    obstacle: ExitStack, postfix: Postfix, build: Callable[..., House]
) -> None:
    house = move_in(build, config(postfix))
    with Sender(house) as friend:
        wait_for(lambda: pool(house)["waiting"] == 1, "the friend in line")
        wait_for(lambda: "nice is down: " in alarms(house), "the alarm")
        obstacle.close()
        friend.sends()
    assert friend.troubles == []
    wait_for(lambda: alarms(house) == "", "the end of the alarm")
    assert_well(house)


FRIENDS = (FRIEND, "127.2.0.1", "127.3.0.1", "127.4.0.1")
"""In different networks: none is known by its neighbours."""


@pytest.fixture
def learning(build: Callable[..., House]) -> Iterator[tuple[House, Postfix, dict[str, str]]]:
    """A frontproxy that learns from the milter beside Postfix, that Postfix, and what its main.cf must have.

    Its friends are known by what they did. It runs as we do: it starts the milter, and we may run more than nobody may.
    """
    with Port() as door, Postfix(passed("nice"), passed("hostile")) as postfix:
        house = build(config(postfix, 'fallback = "hostile"', pause="20ms", more=f'[learn]\nmilter = "{door}"')).start()
        milter = {"smtpd_milters": f"inet:{door}", "milter_default_action": "accept"}
        change(postfix, milter)
        for friend in FRIENDS:
            for _ in range(10):
                send(house, friend)
        for friend in FRIENDS:
            house.wait_for_outcomes(friend, 10)
        yield house, postfix, milter


def change(postfix: Postfix, main: Mapping[str, str]) -> None:
    """Give Postfix another main.cf, and wait until no smtpd works by the old one."""
    before = postfix.smtpd_pids()
    postfix.write_main(main)
    postfix.reload()
    wait_for(lambda: not any(map(is_running, before)), "the end of the smtpds before the reload")


def refused(house: House, client: str) -> int:
    """One message that Postfix does not want; the code it says why with."""
    with house.smtp(client) as session:
        session.ehlo()
        session.mail("me@example.org")
        return session.rcpt(USER)[0]


def all_refused(house: House, code: int, rounds: int) -> None:
    """Every friend is refused so many times, one after the other, until all that has been learned."""
    before = {friend: len(house.events("outcome", client=friend)) for friend in FRIENDS}
    for _ in range(rounds):
        for friend in FRIENDS:
            assert refused(house, friend) == code
    for friend in FRIENDS:
        house.wait_for_outcomes(friend, before[friend] + rounds)


def brake(house: House) -> str | None:
    """Why refusals of nice teach nothing, as `status` tells it."""
    (backend,) = pool(house)["backends"]
    return str(backend["brake"]) if backend["brake"] else None


def test_a_451_for_every_recipient_is_no_evidence(learning: tuple[House, Postfix, dict[str, str]]) -> None:
    house, postfix, milter = learning
    before = [house.score(friend) for friend in FRIENDS]

    change(postfix, {**milter, "smtpd_recipient_restrictions": "check_client_access static:{451 4.3.0 Our trouble}"})
    all_refused(house, 451, 8)

    assert [house.score(friend) for friend in FRIENDS] == pytest.approx(before, abs=0.1)
    assert brake(house) is None


def test_when_all_recipients_are_lost_the_brake_keeps_friends_friends(
    learning: tuple[House, Postfix, dict[str, str]],
) -> None:
    house, postfix, milter = learning

    change(postfix, {**milter, "local_recipient_maps": "inline:{somebody=else}"})
    all_refused(house, 550, 12)

    assert "sessions of friends were bad, usually" in str(brake(house))
    wait_for(lambda: "its refusals teach nothing, because " in alarms(house), "the alarm")
    assert house.ask("status")["counters"]["outcomes_braked"] >= 20
    assert all(house.score(friend) >= 5 for friend in FRIENDS)
    assert house.events("brake", state="on", pool="nice")

    change(postfix, milter)
    for _ in range(5):
        for friend in FRIENDS:
            send(house, friend)
    wait_for(lambda: brake(house) is None, "the brake to be released")
    wait_for(lambda: alarms(house) == "", "the end of the alarm")
    assert all(house.score(friend) >= 5 for friend in FRIENDS)
    assert_well(house)
