"""Ends and new beginnings: relayed sessions in a drain, sockets from systemd, and what it is told meanwhile."""

import signal
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from tests.real.house import DEADLINE, House, wait_for
from tests.real.receivers import FRIEND, STRANGER, Receiver, begin_message, relayed_to, say_nothing, take_mail


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A server that takes all mail."""
    with Receiver(take_mail) as receiver:
        yield receiver


@pytest.fixture
def door() -> Iterator[socket.socket]:
    """A listening socket that outlives every frontproxy."""
    with socket.create_server(("127.0.0.1", 0), backlog=1000) as door:
        yield door


def from_systemd(receiver: Receiver) -> str:
    """The configuration of a house that relays to it, with its socket from systemd."""
    return relayed_to(receiver.backend).replace('"127.0.0.1:0", "[::1]:0"', '"systemd"')


class Systemd:
    """What a service manager hears on its notification socket."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "notify"
        self.heard: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(str(self.path))

    def hear(self, word: str) -> str:
        """Wait for the next notice that has this word; those before it are forgotten."""
        return str(wait_for(lambda: self._next(word), f"{word}, after {self.heard}"))

    def close(self) -> None:
        """Listen no more."""
        self._socket.close()

    def _next(self, word: str) -> str:
        try:
            notice = self._socket.recv(4096).decode()
        except BlockingIOError:
            return ""
        self.heard.append(notice)
        return notice if word in notice.split("\n") else ""


@pytest.fixture
def systemd(folder: Path) -> Iterator[Systemd]:
    systemd = Systemd(folder)
    yield systemd
    systemd.close()


def test_a_relayed_message_under_way_may_take_the_drain_time(build: Callable[..., House], receiver: Receiver) -> None:
    house = build(relayed_to(receiver.backend)).start()
    with house.connect(FRIEND) as client:
        begin_message(client)
        client.sendall(b"Subject: slow\r\n\r\n")
        house.kill(signal.SIGTERM)
        wait_for(lambda: house.events("drain", state="began"), "the drain")
        with pytest.raises(ConnectionRefusedError):
            house.connect(STRANGER)

        client.sendall(b"but sure\r\n.\r\n")
        assert client.recv(4096).startswith(b"250 ")
        client.sendall(b"QUIT\r\n")
        assert client.recv(4096).startswith(b"221 ")
        assert client.recv(4096) == b""

    assert house.wait() == 0
    assert "state=done cut_off=0 " in house.log()


def test_a_relayed_session_that_outlasts_the_drain_time_is_cut_off(
    build: Callable[..., House], receiver: Receiver
) -> None:
    config = relayed_to(receiver.backend).replace("[listen]", '[listen]\ndrain_time = "500ms"')
    house = build(config).start()
    with house.connect(FRIEND) as client:
        begin_message(client)
        client.sendall(b"Subject: too slow\r\n\r\n")
        house.kill(signal.SIGTERM)

        assert client.recv(4096) == b""

    assert house.wait() == 0
    assert "state=done cut_off=1 " in house.log()


def test_who_waits_for_a_silent_server_in_a_drain_gets_a_421(build: Callable[..., House]) -> None:
    with Receiver(say_nothing) as silent:
        first = "from frontproxy.handover import relay_session as limits; limits.GREETING_LIMIT = 1"
        house = build(relayed_to(silent.backend).replace('"1s"', '"60s"'), first=first).start()
        with house.connect(FRIEND) as client:
            wait_for(lambda: silent.sessions, "the connection to the server")
            house.kill(signal.SIGTERM)

            assert client.recv(4096).startswith(b"421 4.3.2 ")

        assert house.wait() == 0


def test_a_second_sigterm_waits_for_no_session(build: Callable[..., House], receiver: Receiver) -> None:
    house = build(relayed_to(receiver.backend)).start()
    with house.connect(FRIEND) as client:
        begin_message(client)
        house.kill(signal.SIGTERM)
        wait_for(lambda: house.events("drain", state="began"), "the drain")
        house.kill(signal.SIGTERM)

        assert house.wait() == 0
        assert client.recv(4096) == b""

    assert house.events("drain", state="cut_short")


def test_systemd_hears_of_the_start_and_the_end(
    build: Callable[..., House], receiver: Receiver, systemd: Systemd
) -> None:
    house = build(relayed_to(receiver.backend), environment={"NOTIFY_SOCKET": str(systemd.path)}).start()
    ready = systemd.hear("READY=1")
    house.stop()

    assert f"STATUS=serving 127.0.0.1:{house.port}, [::1]:{house.port_of_ipv6}" in ready.split("\n")
    systemd.hear("STOPPING=1")


def test_systemd_hears_of_every_reload(build: Callable[..., House], receiver: Receiver, systemd: Systemd) -> None:
    config = relayed_to(receiver.backend)
    house = build(config, environment={"NOTIFY_SOCKET": str(systemd.path)}).start()
    systemd.hear("READY=1")
    for text, state in ((config, "done"), ("nonsense = 1\n", "refused"), (config, "done")):
        house.write_config(text)
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        house.kill(signal.SIGHUP)

        begun = systemd.hear("RELOADING=1")
        assert before < int(begun.split("MONOTONIC_USEC=")[1]) < before + DEADLINE * 1e6
        systemd.hear("READY=1")
        wait_for(lambda state=state: house.events("reload", state=state), state)


def test_systemds_watchdog_is_fed(build: Callable[..., House], receiver: Receiver, systemd: Systemd) -> None:
    environment = {"NOTIFY_SOCKET": str(systemd.path), "WATCHDOG_USEC": "2000000"}
    build(relayed_to(receiver.backend), environment=environment).start()

    for _ in range(4):
        systemd.hear("WATCHDOG=1")


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_no_client_is_refused_while_one_frontproxy_follows_another(
    build: Callable[..., House], receiver: Receiver, door: socket.socket, end: signal.Signals
) -> None:
    house = build(from_systemd(receiver), door=door).start()
    assert house.port == door.getsockname()[1]
    house.deliver(FRIEND)
    house.kill(end)
    house.wait()
    waiting = [house.connect(client) for client in [FRIEND] * 10 + [STRANGER]]
    for client in waiting[:3]:
        client.sendall(b"EHLO early.example.org\r\n")

    house.start()

    for client in waiting:
        with client:
            assert client.recv(4096).startswith(b"220 ")


def test_a_restart_under_load_fails_no_session(
    build: Callable[..., House], receiver: Receiver, door: socket.socket
) -> None:
    house = build(from_systemd(receiver), door=door).start()

    def send_on(_number: int) -> int:
        sent = 0
        while not enough.is_set():
            house.deliver(FRIEND)
            sent += 1
        return sent

    enough = Event()
    with ThreadPoolExecutor(4) as senders:
        counts = senders.map(send_on, range(4))
        try:
            for life in range(3):
                if life:
                    house.stop()
                    house.start()
                so_far = len(house.events("relayed"))
                wait_for(lambda goal=so_far + 20: len(house.events("relayed")) >= goal, "20 sessions more")
        finally:
            enough.set()
    assert sum(counts) >= 60


def test_a_reload_leaves_and_takes_up_the_socket_from_systemd(
    build: Callable[..., House], receiver: Receiver, door: socket.socket
) -> None:
    house = build(from_systemd(receiver), door=door).start()
    house.write_config(relayed_to(receiver.backend))
    assert house.ask("reload")["ok"]
    with house.connect(FRIEND) as waiting:
        house.write_config(from_systemd(receiver))

        assert house.ask("reload")["ok"]

        assert waiting.recv(4096).startswith(b"220 "), "it waited in the backlog meanwhile"
    house.deliver(FRIEND)


def test_without_the_sockets_it_was_promised_it_does_not_start(build: Callable[..., House], receiver: Receiver) -> None:
    done = build(from_systemd(receiver)).start_in_vain()

    assert done.returncode == 78
    assert done.stderr.strip().endswith("systemd passed no listening socket; start frontproxy by frontproxy.socket")


def test_a_socket_that_does_not_listen_is_refused(build: Callable[..., House], receiver: Receiver) -> None:
    with socket.socket() as nothing:
        done = build(from_systemd(receiver), door=nothing).start_in_vain()

    assert done.returncode == 78
    assert "descriptor 3 (''): it does not listen; " in done.stderr


def test_a_socket_that_no_address_asks_for_is_warned_of(
    build: Callable[..., House], receiver: Receiver, door: socket.socket
) -> None:
    house = build(relayed_to(receiver.backend), door=door).start()

    assert house.port != door.getsockname()[1]
    text = "systemd passed listening sockets that nobody serves"
    wait_for(lambda: any(text in line for line in house.events("configuration", state="warning")), "the warning")
