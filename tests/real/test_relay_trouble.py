"""Relayed sessions in trouble: servers that are silent, slow, gone or rude, clients that reset or vanish."""

import contextlib
import os
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from tests.fakes import reset
from tests.real.elsewhere import Elsewhere, run
from tests.real.house import CONFIG, House, wait_for
from tests.real.need import need
from tests.real.ports import Port
from tests.real.postfix import PROGRAMS, Postfix, smtpd
from tests.real.receivers import (
    FRIEND,
    OTHER_FRIEND,
    STRANGER,
    TO_DATA,
    Receiver,
    begin_message,
    hang_up,
    read_slowly,
    relayed_to,
    reset_in_the_message,
    say_nothing,
    take_mail,
)

SHORT_LIMITS = (
    "from frontproxy.handover import relay_session as limits; limits.GREETING_LIMIT = limits.LINGER_LIMIT = 1"
)
STEPS = [*TO_DATA, b"Subject: cut off\r\n\r\nHello", b"\r\n.\r\n"]
FALLBACK = '[pool.other]\nbackends = ["{}"]\nhandover_wait = "20s"\n'


def wait_until_free(house: House) -> None:
    """No place of any pool is taken any more."""
    wait_for(lambda: not any(pool["taken"] for pool in house.ask("status")["pools"]), "all places free")


@pytest.mark.parametrize("behave", [say_nothing, hang_up])
def test_where_one_server_never_greets_another_one_does(
    build: Callable[..., House], behave: Callable[[socket.socket], None]
) -> None:
    with Receiver(behave) as bad, Receiver(take_mail) as good:
        house = build(relayed_to(bad.backend, good.backend), first=SHORT_LIMITS).start()

        house.deliver(FRIEND)

        assert bad.sessions, "the first one was tried first"
        (line,) = wait_for(lambda: house.events("handover_failed", backend=bad.backend), "its line in the log")
        assert ("closed before its greeting" if behave is hang_up else "no greeting in 1 s") in line
        wait_until_free(house)


@pytest.mark.parametrize("behave", [say_nothing, hang_up])
def test_where_no_server_greets_the_client_gets_a_421(
    build: Callable[..., House], behave: Callable[[socket.socket], None]
) -> None:
    with Receiver(behave) as bad:
        house = build(relayed_to(bad.backend), first=SHORT_LIMITS).start()

        for friend in (FRIEND, OTHER_FRIEND):
            with house.connect(friend) as client:
                assert client.recv(4096).startswith(b"421 4.3.2 ")
                assert client.recv(4096) == b""

        assert house.events("backend", state="down"), "two clients were not greeted"
        wait_until_free(house)


def test_a_server_that_is_not_there_leaves_it_to_the_fallback(build: Callable[..., House]) -> None:
    with Port() as nobody, Receiver(take_mail) as other:
        config = relayed_to(f"tcp:{nobody}?proxy=none").replace("[pool.all]", '[pool.all]\nfallback = "other"')
        house = build(config + FALLBACK.format(other.backend)).start()

        house.deliver(FRIEND)

        wait_for(lambda: house.events("handover", client=FRIEND, pool="other"), "the handover to the fallback")
        assert house.pool("all")["backends"][0]["down"] == f"{nobody}: Connection refused"
        wait_for(lambda: any("is down" in alarm for alarm in house.ask("status")["alarms"]), "the alarm")


def test_a_server_that_resets_in_the_message_ends_the_session_and_frees_the_place(build: Callable[..., House]) -> None:
    with Receiver(reset_in_the_message) as receiver:
        house = build(relayed_to(receiver.backend)).start()
        with house.connect(FRIEND) as client:
            begin_message(client)
            client.sendall(b"Subject: hello\r\n\r\n")
            with contextlib.suppress(ConnectionResetError):
                assert client.recv(4096) == b""

        assert wait_for(lambda: house.events("relayed", end="server_reset"), "its line in the log")
        wait_until_free(house)


def test_servers_that_read_an_octet_a_second_cost_no_memory_and_no_other_session(build: Callable[..., House]) -> None:
    enough = Event()
    with (
        Receiver(partial(read_slowly, until=enough)) as slow,
        Receiver(take_mail) as other,
        contextlib.ExitStack() as clients,
    ):
        clients.callback(enough.set)
        config = relayed_to(slow.backend).replace("sessions = 20", 'sessions = 10\nfallback = "other"')
        house = build(config + FALLBACK.format(other.backend)).start()
        before = resident(house)
        sent = 0
        for _ in range(10):
            client = clients.enter_context(house.connect(FRIEND))
            begin_message(client)
            sent += send_until_blocked(client)

        assert sent > 10_000_000, "mostly into the kernel's buffers"
        assert resident(house) - before < 3_000_000
        assert house.pool("all")["taken"] == 10
        for _ in range(5):
            house.deliver(FRIEND)
        wait_for(lambda: len(house.events("handover", pool="other")) == 5, "all five in the other pool")
        assert house.pool("all")["taken"] == 10


def send_until_blocked(client: socket.socket) -> int:
    """Send until nobody has taken an octet for a moment; how many went."""
    client.settimeout(0.2)
    sent = 0
    with contextlib.suppress(TimeoutError):
        while True:
            sent += client.send(b"x" * 65536)
    return sent


def resident(house: House) -> int:
    """Octets of memory that it has now."""
    pages = Path(f"/proc/{house.process.pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("leave", [reset, socket.socket.close])
def test_a_client_that_leaves_before_the_greeting_frees_its_place_at_once(
    build: Callable[..., House], leave: Callable[[socket.socket], None]
) -> None:
    with Receiver(say_nothing) as silent:
        house = build(relayed_to(silent.backend)).start()
        client = house.connect(FRIEND)
        wait_for(lambda: silent.sessions, "the connection to the server")
        assert house.pool("all")["taken"] == 1

        leave(client)

        wait_for(lambda: house.pool("all")["taken"] == 0, "a free place", deadline=10)
        wait_for(lambda: house.events("relayed", end="client_gone"), "its line in the log")
        assert house.pool("all")["backends"][0]["down"] is None


def test_relayed_clients_that_reset_at_any_step_leave_nothing_behind(build: Callable[..., House]) -> None:
    with Receiver(take_mail) as receiver:
        house = build(relayed_to(receiver.backend)).start()

        reset_at_every_step(house)

        wait_for(lambda: house.events("relayed", end="client_reset"), "a line in the log")
        wait_for(lambda: all(end.fileno() == -1 for end in receiver.sessions), "the end of all sessions at the server")


def test_passed_clients_that_reset_at_any_step_leave_nothing_behind(build: Callable[..., House]) -> None:
    house = build(CONFIG).start()
    assert house.ask("pin 127.1.0.0/16 nice")["ok"]

    reset_at_every_step(house)


def reset_at_every_step(house: House) -> None:
    """Clients of either kind reset after the greeting or later, or before it; all is as it was then."""
    for name in (FRIEND, STRANGER):
        house.deliver(name)
    wait_until_free(house)
    before = descriptors(house)
    for name in (FRIEND, STRANGER):
        reset(house.connect(name))
        for number in range(len(STEPS) + 1):
            client = house.connect(name)
            assert client.recv(4096).startswith(b"220 ")
            for step in STEPS[:number]:
                client.sendall(step)
                if step in TO_DATA:
                    client.recv(4096)
            reset(client)

    wait_until_free(house)
    wait_for(lambda: descriptors(house) <= before, f"no more than {before} descriptors again")
    assert house.ask("status")["waiting_room"]["waiting"] == 0
    house.deliver(FRIEND)
    assert not house.events("bug")
    assert "Traceback" not in house.log()


def descriptors(house: House) -> int:
    """How many descriptors its processes have open."""
    return sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in [house.process.pid, *house.servers()])


@pytest.fixture
def elsewhere() -> Any:
    need("ip", "nft", *PROGRAMS, root=True)
    with contextlib.closing(Elsewhere()) as elsewhere:
        yield elsewhere


def test_a_client_that_vanishes_behind_the_relay_is_let_go_when_its_server_does(
    elsewhere: Elsewhere, build: Callable[..., House]
) -> None:
    def vanish() -> None:
        run("ip", "link", "set", "lo", "up")
        service = smtpd("mail", smtpd_upstream_proxy_protocol="haproxy", smtpd_timeout="2s")
        with Postfix(service) as postfix:
            house = build(relayed_to(f"tcp:127.0.0.1:{postfix.port('mail')}?proxy=v2"), first=SHORT_LIMITS).start()
            with house.connect(FRIEND) as client:
                assert client.recv(4096).startswith(b"220 ")
                drop_all_of(client)
                assert house.pool("all")["taken"] == 1

                wait_until_free(house)

            wait_for(lambda: house.events("relayed", client=FRIEND), "its line in the log")
            wait_for(lambda: f"timeout after CONNECT from unknown[{FRIEND}]" in postfix.log(), "Postfix' timeout")

    elsewhere.do(vanish)


def drop_all_of(client: socket.socket) -> None:
    """Nothing comes from this client any more, nothing reaches it, and it does not say so."""
    port = client.getsockname()[1]
    run("nft", "add table inet gone; add chain inet gone in { type filter hook input priority 0; }")
    run("nft", f"add rule inet gone in tcp sport {port} drop; add rule inet gone in tcp dport {port} drop")


def talk_and_leave(connection: socket.socket) -> None:
    """Say more than the kernel keeps for a client that does not read, though not more than it keeps for us, and end."""
    connection.sendall(b"220 receiver.example.net\r\n")
    connection.recv(65536)
    connection.sendall(b"250 ok\r\n" * 12_000)


def talk_on(connection: socket.socket) -> None:
    """Answer for ever."""
    connection.sendall(b"220 receiver.example.net\r\n")
    while True:
        connection.sendall(b"250 ok\r\n" * 10_000)


@pytest.mark.parametrize(("behave", "end"), [(talk_and_leave, "undelivered"), (talk_on, "client_stuck")])
def test_a_client_that_does_not_read_frees_its_place(
    behave: Callable[[socket.socket], None], end: str, build: Callable[..., House]
) -> None:
    with Receiver(behave) as receiver:
        limits = f"{SHORT_LIMITS}; limits.STUCK_LIMIT = {1 if end == 'client_stuck' else 60}"
        house = build(relayed_to(receiver.backend), first=limits).start()
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2304)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
            client.bind((FRIEND, 0))
            client.connect(("127.0.0.1", house.port))
            client.sendall(b"NOOP\r\n" * 12_000)

            wait_for(lambda: house.events("relayed", end=end), "its line in the log")
            wait_until_free(house)
        assert house.pool("all")["backends"][0]["down"] is None
