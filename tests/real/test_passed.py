"""Clients passed to a real Postfix by a frontproxy that has no rights: who gets there, as whom, and in what order."""

import re
import smtplib
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.real.house import DEADLINE, House, wait_for
from tests.real.postfix import Postfix, passed
from tests.real.street import (
    FRIEND,
    MESSAGE,
    OTHER_FRIEND,
    STRANGER,
    USER,
    alarms,
    assert_well,
    config,
    crowd,
    dialog,
    farewell,
    move_in,
    need_street,
    pool,
    send,
    wait_for_taken,
)

BACKLOG = 5
FEW = {"default_process_limit": str(BACKLOG)}
"""Postfix' sockets have as much room as it may have processes of a kind."""


@pytest.fixture(autouse=True)
def _needs() -> None:
    need_street()


@pytest.fixture
def postfix() -> Iterator[Postfix]:
    with Postfix(passed("nice"), passed("hostile"), main=FEW) as postfix:
        yield postfix


def seen_by(postfix: Postfix, service: str, client: str) -> None:
    """Wait until a service has logged this client."""
    line = rf"postfix/{service}/smtpd\S+ connect from unknown\[{re.escape(client)}\]\n"
    wait_for(lambda: re.search(line, postfix.log()), f"{client} in the log of {service}")


def test_a_user_without_rights_passes_each_client_to_its_service(postfix: Postfix, build: Callable[..., House]) -> None:
    house = move_in(build, config(postfix))

    assert "CapEff:\t0000000000000000\n" in Path(f"/proc/{house.process.pid}/status").read_text()
    send(house, FRIEND)
    send(house, STRANGER)

    seen_by(postfix, "nice", FRIEND)
    seen_by(postfix, "hostile", STRANGER)
    wait_for(lambda: postfix.log().count("status=sent") == 2, "both messages delivered")
    assert "warning" not in postfix.log()


def test_without_the_group_it_says_why_and_goes_on_once_it_may(postfix: Postfix, build: Callable[..., House]) -> None:
    house = move_in(build, config(postfix, 'patience = "1s"\nfallback = "hostile"'), groups=())
    with crowd(house, [FRIEND, STRANGER]) as turned_away:
        for path in (postfix.pass_path("nice"), postfix.pass_path("hostile")):
            text = f"pass:{path} is down: {path}: Permission denied; our user needs the group"
            wait_for(lambda text=text: text in alarms(house), "the alarm")
        assert all(client.recv(4096).startswith(b"421 4.3.2 ") for client in turned_away)
    (line,) = house.events("backend", state="down", pool="nice")
    assert "Permission denied; our user needs the group that may enter" in line

    with house.connect(FRIEND) as waiting:
        postfix.pass_path("nice").parent.chmod(0o711)
        assert waiting.recv(4096).startswith(b"220 ")
    wait_for(lambda: "nice is down" not in alarms(house), "the end of the alarm")
    assert house.events("backend", state="up", pool="nice")
    assert_well(house)


def test_friends_fall_back_to_the_service_that_can_be_reached(build: Callable[..., House]) -> None:
    with Postfix(passed("nice", private=True), passed("hostile")) as postfix:
        house = move_in(build, config(postfix, 'fallback = "hostile"'))

        send(house, FRIEND)

        seen_by(postfix, "hostile", FRIEND)
        wait_for(lambda: "Permission denied" in alarms(house), "the alarm")


def test_postfix_logs_the_address_of_a_client_that_came_by_ipv6(postfix: Postfix, build: Callable[..., House]) -> None:
    house = move_in(build, config(postfix, address="[::1]:0"))

    with smtplib.SMTP("::1", house.port_of_ipv6, "client.example.org", DEADLINE) as session:
        session.sendmail("me@example.org", USER, MESSAGE)

    seen_by(postfix, "nice", "::1")


def test_what_an_early_talker_has_said_is_answered_by_postfix(postfix: Postfix, build: Callable[..., House]) -> None:
    house = move_in(build, config(postfix, pause="20s"))
    with house.connect(STRANGER) as client:
        client.sendall(b"EHLO early.example.org\r\nNOOP\r\nQUIT\r\n")
        said = b"".join(iter(lambda: client.recv(4096), b""))

    codes = [line[:4] for line in said.splitlines()]
    assert codes[0] == b"220 "
    assert codes[-3:] == [b"250 ", b"250 ", b"221 "]
    seen_by(postfix, "hostile", STRANGER)
    (line,) = wait_for(lambda: house.events("handover", client=STRANGER), "its line in the log")
    assert "pregreet:-30.0" in line


def test_more_friends_than_places_wait_in_line_and_are_all_served(build: Callable[..., House]) -> None:
    with Postfix(passed("nice", 2), passed("hostile")) as postfix:
        house = move_in(build, config(postfix, "sessions = 2"))
        late = [f"127.1.1.{last}" for last in range(1, 9)]
        with dialog(house, FRIEND) as first, dialog(house, OTHER_FRIEND) as second, crowd(house, late) as waiting:
            wait_for(lambda: pool(house)["waiting"] == 8, "eight in line")
            assert pool(house)["taken"] == 2
            wait_for(lambda: pool(house)["stress"], "stress")
            for session in (first, second):
                assert session.data(MESSAGE)[0] == 250
                session.quit()

            assert all(farewell(client).startswith(b"220 ") for client in waiting)
        wait_for_taken(house, 0)
        assert pool(house)["waiting"] == 0
        wait_for(lambda: postfix.log().count("status=sent") == 2, "both messages delivered")
        assert_well(house)


def test_a_full_pass_socket_is_stress_and_a_line_and_no_failure(build: Callable[..., House]) -> None:
    with Postfix(passed("nice", 1), passed("hostile"), main=FEW) as postfix:
        house = move_in(build, config(postfix, 'sessions = 300\npatience = "60s"'))
        with dialog(house) as holder, crowd(house, [f"127.1.1.{last}" for last in range(1, 21)]) as waiting:
            wait_for(lambda: pool(house)["taken"] + pool(house)["waiting"] == 21, "all of them given or in line")
            wait_for(lambda: pool(house)["stress"], "stress")
            # The kernel lets one more in than the backlog says.
            assert pool(house)["taken"] == 1 + BACKLOG + 1
            assert alarms(house) == ""
            assert holder.data(MESSAGE)[0] == 250
            holder.quit()

            assert all(farewell(client).startswith(b"220 ") for client in waiting)
        wait_for_taken(house, 0)
        assert not house.events("backend", state="down")
        assert len(house.events("handover", pool="nice")) == 21
        assert not house.events("refused")
        assert_well(house)


def test_a_client_that_is_gone_when_postfix_takes_it_costs_nothing(build: Callable[..., House]) -> None:
    with Postfix(passed("nice", 1), passed("hostile"), main=FEW) as postfix:
        house = move_in(build, config(postfix))
        with dialog(house), house.connect(OTHER_FRIEND) as impatient:
            wait_for_taken(house, 2)
            impatient.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        wait_for_taken(house, 0)
        send(house)
        assert_well(house)
