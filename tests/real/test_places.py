"""Places of sessions that Postfix has: held as long as a process of its has the client, and not a moment longer."""

import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from tests.real.elsewhere import Elsewhere, run
from tests.real.house import House, wait_for
from tests.real.need import need
from tests.real.ports import Port
from tests.real.postfix import Postfix, passed
from tests.real.street import (
    FRIEND,
    MESSAGE,
    OTHER_FRIEND,
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

WITHOUT_NOTICES = """
from frontproxy.handover import kernel_notices
def open_none():
    raise kernel_notices.NoNotices("this kernel is silent")
kernel_notices.KernelNotices.open = open_none
"""


@pytest.fixture(autouse=True)
def _needs() -> None:
    need_street()


@pytest.fixture
def postfix() -> Iterator[Postfix]:
    with Postfix(passed("nice"), passed("hostile")) as postfix:
        yield postfix


def counted(house: House) -> str:
    """How places are counted, as `status` tells it."""
    return str(house.ask("status")["places"]["counted"])


def let_a_handover_be_noticed(house: House, client: str = OTHER_FRIEND) -> None:
    """A whole session from its handover to its end: whatever was passed before it has been seen to be taken."""
    before = pool(house)["taken"]
    with dialog(house, client):
        wait_for_taken(house, before + 1)
    wait_for_taken(house, before)


def test_a_session_keeps_its_place_until_its_client_has_left(postfix: Postfix, build: Callable[..., House]) -> None:
    house = move_in(build, config(postfix))
    with dialog(house) as session:
        for _ in range(3):
            let_a_handover_be_noticed(house)
        assert pool(house)["taken"] == 1
        assert counted(house) == "exactly"
        assert house.ask("status")["places"]["watched"] == 1
        session.quit()
        wait_for_taken(house, 0)


def test_a_client_that_resets_leaves_its_place(postfix: Postfix, build: Callable[..., House]) -> None:
    house = move_in(build, config(postfix, "sessions = 1"))
    for _ in range(3):
        with dialog(house):
            wait_for_taken(house, 1)
        wait_for_taken(house, 0)
    assert house.ask("status")["places"]["watched"] == 0


def test_the_end_of_an_smtpd_frees_its_place(postfix: Postfix, build: Callable[..., House]) -> None:
    house = move_in(build, config(postfix))
    with dialog(house):
        wait_for_taken(house, 1)
        (pid,) = postfix.smtpd_pids("nice")
        run("kill", "-KILL", str(pid))
        wait_for_taken(house, 0)


def test_after_a_kill_sessions_that_live_on_have_their_places_and_friends_go_elsewhere(
    build: Callable[..., House],
) -> None:
    with Postfix(passed("nice", 3), passed("hostile")) as postfix, Port() as port:
        house = move_in(build, config(postfix, 'sessions = 3\nfallback = "hostile"', address=str(port)))
        with crowd(house, ["127.1.1.1", "127.1.1.2"]) as crowded, dialog(house) as session:
            assert all(client.recv(4096).startswith(b"220 ") for client in crowded)
            house.kill()
            house.wait()
            house.start()

            assert pool(house)["taken"] == 3
            wait_for(lambda: house.events("survivors", sessions="3", pools="nice:3"), "a word about them")
            send(house, OTHER_FRIEND)
            wait_for(
                lambda: house.events("handover", pool="hostile", client=OTHER_FRIEND), "a handover to the fallback"
            )
            assert session.data(MESSAGE)[0] == 250
            session.quit()
            wait_for_taken(house, 2)
            send(house, OTHER_FRIEND)
            wait_for(lambda: house.events("handover", pool="nice", client=OTHER_FRIEND), "a handover to the free place")
        wait_for_taken(house, 0)
        assert_well(house)


def test_after_a_restart_a_friend_waits_in_line_while_one_that_lives_on_has_the_place(
    build: Callable[..., House],
) -> None:
    with Postfix(passed("nice", 1), passed("hostile")) as postfix, Port() as port:
        house = move_in(build, config(postfix, 'sessions = 1\npatience = "30s"', address=str(port)))
        with dialog(house) as session:
            house.stop()
            house.start()
            with house.connect(OTHER_FRIEND) as friend:
                wait_for(lambda: pool(house)["waiting"] == 1, "a friend in line")
                assert session.data(MESSAGE)[0] == 250
                session.quit()
                assert farewell(friend).startswith(b"220 ")
        wait_for_taken(house, 0)
        assert_well(house)


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    """A network of our own, where packets can be lost."""
    need("ip", "nft", root=True)
    with closing(Elsewhere()) as elsewhere:
        elsewhere.do(lambda: run("ip", "link", "set", "lo", "up"))
        yield elsewhere


def lose_all(port: int) -> None:
    """No packet reaches this port or comes from it any more."""
    run("nft", "add table inet gone; add chain inet gone in { type filter hook input priority 0; }")
    run("nft", f"add rule inet gone in tcp dport {port} drop; add rule inet gone in tcp sport {port} drop")


def state_of_the_server_side(port: int) -> str:
    """Of the connection whose client has this port, and the process that holds it."""
    command = ["ss", "-Htanp", f"dport = :{port}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_a_client_that_vanished_leaves_its_place_when_postfix_gives_up(
    elsewhere: Elsewhere, build: Callable[..., House]
) -> None:
    def vanish() -> None:
        with Postfix(passed("nice", smtpd_timeout="3s"), passed("hostile")) as postfix:
            house = move_in(build, config(postfix, "sessions = 1"))
            with dialog(house) as session:
                assert session.sock is not None
                port = session.sock.getsockname()[1]
                wait_for_taken(house, 1)
                lose_all(port)

                wait_for(lambda: "timeout after RCPT from unknown" in postfix.log(), "Postfix' patience to end")
                wait_for_taken(house, 0)
                (left,) = state_of_the_server_side(port).splitlines()
                assert left.startswith("FIN-WAIT-1"), "the kernel still keeps the socket"
                assert "users:" not in left
                send(house, OTHER_FRIEND)

    elsewhere.do(vanish)


def test_without_notices_of_the_kernel_mail_goes_on_and_status_says_why(
    postfix: Postfix, build: Callable[..., House]
) -> None:
    house = move_in(build, config(postfix, "sessions = 1"), first=WITHOUT_NOTICES)

    assert counted(house) == "until taken"
    assert house.ask("status")["places"]["why"] == "this kernel is silent"
    text = "places are counted only until a server takes the session: this kernel is silent"
    assert text in house.log()
    with dialog(house) as session:
        wait_for_taken(house, 0)
        send(house, OTHER_FRIEND)
        assert session.data(MESSAGE)[0] == 250
    wait_for(lambda: len(re.findall("status=sent", postfix.log())) == 2, "both messages delivered")
    assert len(house.events("handover", pool="nice", client=FRIEND)) == 1
    assert_well(house)
