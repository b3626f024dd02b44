"""What strangers can do at the door: silence, garbage, floods, resets. Friends are served all the while."""

import contextlib
import os
import random
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.real.house import CONFIG, House, wait_for

FRIEND = "127.1.0.1"
PATIENT = CONFIG.replace('pause = "200ms"', 'pause = "1s"')


def stranger_addresses(count: int) -> list[str]:
    """Ever new addresses of 127.64.0.0/10."""
    return [f"127.{64 + number // 65536}.{number // 256 % 256}.{number % 256}" for number in range(count)]


def reset(connection: socket.socket) -> None:
    """Close with a reset instead of an end."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def read_to_end(connection: socket.socket) -> bytes:
    """All the server says; a reset is an end too."""
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(65536):
            data += piece
    return data


def served_friends(house: House, count: int) -> int:
    """How many of so many sessions of a friend were served by the nice pool, without a pause."""
    before = len(house.events("handover", client=FRIEND, pool="nice"))
    for _ in range(count):
        house.deliver(FRIEND)
    done = before + count
    wait_for(lambda: len(house.events("handover", client=FRIEND, pool="nice")) >= done, "all of them in the nice pool")
    return len(house.events("handover", client=FRIEND, pool="nice")) - before


@pytest.mark.parametrize(
    "text",
    [
        b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n",
        bytes.fromhex("16030100c8010000c40303") + bytes(range(200)),
        b"\0" * 1000,
        b"EHLO a\0b\r\nQUIT\r\n",
        random.Random(1).randbytes(100_000),
        b"A" * 1_000_000,
        b"MAIL FROM:<" + b"<" * 500 + b">\r\nQUIT\r\n",
    ],
    ids=["HTTP", "TLS", "NULs", "NUL in EHLO", "random bytes", "1 MB without a line end", "angles"],
)
def test_garbage_is_answered_or_closed_and_nobody_else_notices(house: House, text: bytes) -> None:
    with house.connect("127.64.0.1") as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(text)
            connection.shutdown(socket.SHUT_WR)
        replies = read_to_end(connection)

    assert all(line[:3].isdigit() for line in replies.splitlines())
    house.deliver()
    assert not house.events("bug")
    assert "Traceback" not in house.log()


def test_ten_megabytes_without_a_line_end_are_cut_off(house: House) -> None:
    with house.connect("127.64.0.1") as connection:
        assert connection.recv(4) == b"220 "
        sent = 0
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            while sent < 10_000_000:
                sent += connection.send(b"A" * 65536)
        read_to_end(connection)

    house.wait_for_outcomes("127.64.0.1", 1)
    house.deliver()


def test_half_closed_clients_get_their_replies(house: House) -> None:
    with house.connect("127.64.0.1") as connection:
        assert connection.recv(4096).startswith(b"220 ")
        connection.sendall(b"EHLO client.example.org\r\nQUIT\r\n")
        connection.shutdown(socket.SHUT_WR)

        replies = read_to_end(connection)

    assert b"250" in replies
    assert b"221 " in replies


STEPS = [b"", b"EHLO client.example.org\r\n", b"MAIL FROM:<me@example.org>\r\n", b"RCPT TO:<user@example.com>\r\n"]
STEPS += [b"DATA\r\n", b"Subject: cut off\r\n\r\nHello", b"\r\n.\r\n"]


@pytest.mark.parametrize("greeted", [True, False], ids=["after the greeting", "in the waiting room"])
def test_resets_at_every_step_free_the_place(house: House, greeted: bool) -> None:
    for number in range(1, len(STEPS) + 1):
        connection = house.connect(f"127.64.0.{number}")
        if not greeted:
            connection.sendall(b"".join(STEPS[:number]))
            reset(connection)
            continue
        assert connection.recv(4096).startswith(b"220 ")
        for step in STEPS[:number]:
            connection.sendall(step)
            if step and not step.startswith(b"Subject"):
                connection.recv(4096)
        reset(connection)

    wait_for(lambda: all(pool["taken"] == 0 for pool in house.ask("status")["pools"]), "all places free")
    assert house.ask("status")["waiting_room"]["waiting"] == 0
    house.deliver()
    assert not house.events("bug")


def test_a_waiting_room_full_of_silent_strangers_costs_no_friend_his_place(build: Callable[..., House]) -> None:
    house = build(PATIENT.replace('"1s"', '"60s"\nwaiting_room = 300')).start()
    house.ask("pin 127.1.0.0/16 nice")
    with contextlib.ExitStack() as strangers:
        for address in stranger_addresses(300):
            strangers.enter_context(house.connect(address))
        wait_for(lambda: house.ask("status")["waiting_room"]["waiting"] == 300, "a full waiting room")
        turned_away = house.connect("127.127.0.1")
        assert turned_away.recv(100).startswith(b"421 4.3.2 ")
        turned_away.close()

        for number in range(20):
            house.deliver(f"127.1.0.{number + 1}")

    assert len(house.mail()) == 20
    wait_for(lambda: len(house.events("handover", pool="nice")) == 20, "all of them in the nice pool")


def test_five_thousand_silent_connections_at_once(build: Callable[..., House]) -> None:
    house = build(PATIENT.replace('"1s"', '"60s"')).start()
    house.ask(f"pin {FRIEND} nice")
    with contextlib.ExitStack() as strangers:
        for address in stranger_addresses(5000):
            strangers.enter_context(house.connect(address))
        wait_for(lambda: house.ask("status")["waiting_room"]["waiting"] == 5000, "5,000 waiting")

        assert served_friends(house, 20) == 20

    wait_for(lambda: house.ask("status")["waiting_room"]["waiting"] == 0, "an empty waiting room")
    wait_for(lambda: house.ask("status")["counters"]["gone"] == 5000, "5,000 hang-ups")
    assert len(house.log()) < 500_000  # a flood is summed up, not told line by line


def test_a_flood_of_connect_and_reset_leaves_nothing_behind(house: House) -> None:
    house.ask(f"pin {FRIEND} nice")
    until = time.monotonic() + 3
    flooded = 0
    for address in stranger_addresses(100_000):
        reset(house.connect(address))
        flooded += 1
        if time.monotonic() > until:
            break

    assert served_friends(house, 5) == 5
    wait_for(lambda: house.ask("status")["waiting_room"]["waiting"] == 0, "an empty waiting room")
    assert flooded > 1000
    assert not house.events("bug")


def test_with_256_descriptors_the_house_sheds_strangers_and_recovers(build: Callable[..., House]) -> None:
    house = build(PATIENT.replace('"1s"', '"60s"'), descriptors=256).start()
    house.ask(f"pin {FRIEND} nice")
    assert house.ask("status")["waiting_room"]["places"] < 200
    with contextlib.ExitStack() as strangers:
        for address in stranger_addresses(400):
            strangers.enter_context(house.connect(address))

        assert served_friends(house, 20) == 20

    wait_for(lambda: house.ask("status")["waiting_room"]["waiting"] == 0, "an empty waiting room")
    assert served_friends(house, 5) == 5
    assert len(house.log()) < 300_000


def test_clients_that_pipeline_and_never_read_are_not_read_for_ever(house: House) -> None:
    house.ask(f"pin {FRIEND} nice")
    with contextlib.ExitStack() as strangers:
        for address in stranger_addresses(10):
            connection = strangers.enter_context(house.connect(address))
            connection.settimeout(0.3)
            connection.recv(4)
            with contextlib.suppress(TimeoutError, BrokenPipeError, ConnectionResetError):
                while True:
                    connection.send(b"NOOP\r\n" * 10_000)

        assert served_friends(house, 5) == 5
        hostile = next(server["pid"] for server in house.ask("status")["servers"] if "hostile" in server["name"])
        pages = int(Path(f"/proc/{hostile}/statm").read_text().split()[1])
        megabytes = pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    assert megabytes < 100
