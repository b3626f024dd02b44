"""systemd's side of the house: sockets that it passed, notices that it gets, and an environment left clean."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from frontproxy import systemd
from frontproxy.core.mistakes import Mistaken
from frontproxy.systemd import Notifier, inherited_sockets, watchdog_interval
from tests.fakes import open_descriptors

FIRST = 300
"""Where these tests put the descriptors that systemd would put at 3."""


@pytest.fixture
def undo(monkeypatch: pytest.MonkeyPatch) -> Iterator[ExitStack]:
    """Closes what a test has opened."""
    monkeypatch.setattr(systemd, "_FIRST", FIRST)
    with ExitStack() as stack:
        yield stack


def passed(undo: ExitStack, *sockets: socket.socket, names: str = "") -> dict[str, str]:
    """The environment that comes with these sockets."""
    for number, sock in enumerate(sockets, FIRST):
        os.dup2(sock.fileno(), number)
        undo.callback(close_if_open, number)
        sock.close()
    return {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(sockets)), "LISTEN_FDNAMES": names, "HOME": "/"}


def close_if_open(number: int) -> None:
    try:
        os.close(number)
    except OSError:
        return


def complaints(environment: dict[str, str]) -> list[str]:
    before = open_descriptors()
    with pytest.raises(Mistaken) as caught:
        inherited_sockets(environment)
    assert open_descriptors() <= before
    return str(caught.value).splitlines()


def test_passed_sockets_are_ours_and_never_wait(undo: ExitStack) -> None:
    doors = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    addresses = [door.getsockname() for door in doors]
    environment = passed(undo, *doors, names="smtp:smtp6")

    sockets = [undo.enter_context(sock) for sock in inherited_sockets(environment)]

    assert [sock.getsockname() for sock in sockets] == addresses
    for sock in sockets:
        assert not sock.get_inheritable(), "no child of ours has them"
        assert not os.get_blocking(sock.fileno())


def test_an_ipv6_socket_is_known_as_one(undo: ExitStack) -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    environment = passed(undo, socket.create_server(("::1", 0), family=socket.AF_INET6))

    [sock] = inherited_sockets(environment)

    with sock:
        assert sock.family == socket.AF_INET6


def test_a_socket_where_other_programs_pass_clients_is_a_door_too(undo: ExitStack, tmp_path: Path) -> None:
    door = socket.socket(socket.AF_UNIX)
    door.bind(str(tmp_path / "door"))
    door.listen()

    [sock] = inherited_sockets(passed(undo, door))

    with sock:
        assert sock.getsockname() == str(tmp_path / "door")


def test_without_systemd_there_are_none() -> None:
    assert inherited_sockets({}) == []


def test_sockets_for_another_process_are_left_alone(undo: ExitStack) -> None:
    """A wrapper that forgot to take the variables out of the environment."""
    environment = passed(undo, socket.create_server(("127.0.0.1", 0))) | {"LISTEN_PID": "1"}

    assert inherited_sockets(environment) == []
    os.fstat(FIRST)  # still open


def test_the_variables_are_gone_afterwards(undo: ExitStack) -> None:
    environment = passed(undo)

    assert inherited_sockets(environment) == []
    assert environment == {"HOME": "/"}


@pytest.mark.parametrize(
    ("family", "kind", "what"),
    [
        (socket.AF_INET, socket.SOCK_DGRAM, "not a stream socket"),
        (socket.AF_UNIX, socket.SOCK_DGRAM, "not a stream socket"),
        (socket.AF_INET, socket.SOCK_STREAM, "it does not listen"),
    ],
)
def test_what_is_no_door_is_told(undo: ExitStack, family: int, kind: int, what: str) -> None:
    remedy = "let the socket unit have nothing but ListenStream="

    [line] = complaints(passed(undo, socket.socket(family, kind), names="smtp"))

    assert line == f"systemd: listen.addresses: descriptor 300 ('smtp'): {what}; {remedy}"


def test_every_wrong_descriptor_is_told_and_the_right_ones_are_closed(undo: ExitStack, tmp_path: Path) -> None:
    environment = passed(undo, socket.create_server(("127.0.0.1", 0)))
    with (tmp_path / "file").open("w") as file:
        os.dup2(file.fileno(), FIRST + 1)
    undo.callback(close_if_open, FIRST + 1)

    lines = complaints(environment | {"LISTEN_FDS": "3", "LISTEN_FDNAMES": "one name for three"})

    assert [line.split(";")[0] for line in lines] == [
        "systemd: listen.addresses: descriptor 301 (''): Socket operation on non-socket",
        "systemd: listen.addresses: descriptor 302 (''): Bad file descriptor",
    ]
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(FIRST)


@pytest.mark.parametrize("count", ["", "-1", "two", "1025", "\u0663", "1" * 5000])
def test_a_strange_number_of_sockets_is_a_mistake(count: str) -> None:
    [line] = complaints({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": count})

    assert line.endswith("leave this variable to systemd")
    assert len(line) < 200


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "9" * 5000}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_fed_twice_as_often_as_it_asks(environment: dict[str, str], seconds: float | None) -> None:
    assert watchdog_interval(environment) == seconds
    assert environment == {}


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    """systemd's end of notices, and NOTIFY_SOCKET."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@{tmp_path}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(name.replace("@", "\0", 1))
        sock.setblocking(False)
        yield name, sock


@pytest.fixture
def told(manager: tuple[str, socket.socket]) -> Iterator[tuple[Notifier, socket.socket]]:
    """A notifier, and the end that hears it."""
    environment = {"NOTIFY_SOCKET": manager[0]}
    notifier = Notifier(environment)
    assert environment == {}, "not for our children"
    yield notifier, manager[1]
    notifier.close()


def test_systemd_hears_each_word(told: tuple[Notifier, socket.socket]) -> None:
    notifier, manager = told

    sent = [notifier.ready("2 doors"), notifier.alive(), notifier.stopping(), notifier.notify("A=1", "B=2")]

    assert all(sent)
    heard = [manager.recv(4096) for _ in range(4)]
    assert heard == [b"READY=1\nSTATUS=2 doors", b"WATCHDOG=1", b"STOPPING=1", b"A=1\nB=2"]


def test_a_reload_says_when_it_began(told: tuple[Notifier, socket.socket]) -> None:
    notifier, manager = told
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000

    notifier.reloading()

    after = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    first, _, began = manager.recv(4096).decode().partition("\nMONOTONIC_USEC=")
    assert first == "RELOADING=1"
    assert before <= int(began) <= after


def test_one_line_never_becomes_two(told: tuple[Notifier, socket.socket]) -> None:
    notifier, manager = told

    notifier.ready("serving\nMAINPID=1\udcff")

    assert manager.recv(4096) == b"READY=1\nSTATUS=serving MAINPID=1\\udcff"


def test_a_busy_systemd_is_not_waited_for(told: tuple[Notifier, socket.socket]) -> None:
    notifier, manager = told
    while notifier.alive():
        pass

    assert not notifier.ready()
    while True:
        try:
            manager.recv(4096)
        except BlockingIOError:
            break
    assert notifier.ready(), "said again, it gets there"


def test_a_systemd_that_is_gone_harms_nobody(told: tuple[Notifier, socket.socket]) -> None:
    notifier, manager = told
    manager.close()

    assert notifier.alive()


@pytest.mark.parametrize("value", ["", "relative/path", "/nowhere/" + "x" * 200, "vsock:2:1234", "/nowhere/at/all"])
def test_a_socket_that_is_none_harms_nobody(value: str) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": value} if value else {})

    assert notifier.ready("serving")
    notifier.close()
    assert notifier.alive(), "closed or not"


def test_a_process_without_free_descriptors_can_still_say_that_it_lives(
    told: tuple[Notifier, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(*_arguments: object) -> socket.socket:
        raise OSError(24, "Too many open files")

    notifier, manager = told
    monkeypatch.setattr("frontproxy.systemd.socket.socket", none_left)

    assert notifier.alive()
    assert manager.recv(64) == b"WATCHDOG=1"
