"""Clients that others bring: HAProxy with its PROXY headers, postscreen with its descriptors."""

import re
import smtplib
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.real.house import CONFIG, DEADLINE, House, wait_for
from tests.real.need import need
from tests.real.postfix import DOMAIN, PROGRAMS, Postfix, passed, postscreen, smtp_source
from tests.real.servers import HAPROXY, HaProxy

BEHIND_PROXY = CONFIG.replace("[listen]\n", '[listen]\ntrusted_proxies = ["127.0.0.1/32"]\n')
CLIENT = "127.0.5.77"
"""In another network than HAProxy, which has 127.0.0.1."""
STRANGER = "127.0.6.78"
BEHIND_POSTSCREEN = """
[listen]
addresses = ["127.0.0.1:0", "pass:var/pass.sock"]
pause = "200ms"
[pool.nice]
backends = ["pass:{nice}"]
sessions = 50
per_client = 50
handover_wait = "20s"
fallback = "hostile"
[pool.hostile]
backends = ["pass:{hostile}"]
sessions = 50
per_client = 50
handover_wait = "20s"
[[list]]
name = "friends"
kind = "points"
networks = ["127.0.5.77/32"]
points = 20
"""


@contextmanager
def smtp(port: int, client: str = CLIENT) -> Iterator[smtplib.SMTP]:
    """An SMTP session from an address of our choice."""
    with smtplib.SMTP("127.0.0.1", port, "client.example.org", DEADLINE, source_address=(client, 0)) as session:
        yield session


def deliver(port: int, client: str = CLIENT, recipient: str = "user@example.com") -> None:
    with smtp(port, client) as session:
        session.sendmail("me@example.org", recipient, "Subject: hello\r\n\r\nHello.\r\n")


@pytest.fixture
def behind_proxy(build: Callable[..., House]) -> House:
    """A house that trusts 127.0.0.1, where HAProxy connects from."""
    need(*HAPROXY)
    return build(BEHIND_PROXY).start()


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_who_comes_through_haproxy_is_known_by_its_own_address(behind_proxy: House, version: str) -> None:
    with HaProxy(behind_proxy.port, send_proxy=version) as haproxy:
        for _ in range(10):
            deliver(haproxy.port)

    behind_proxy.wait_for_outcomes(CLIENT, 10)
    assert behind_proxy.score(CLIENT) >= 5
    assert behind_proxy.score("127.0.0.1") == 0
    assert len(behind_proxy.mail()) == 10
    assert not behind_proxy.events("handover", client="127.0.0.1")


def test_a_friend_of_haproxys_does_not_wait(behind_proxy: House) -> None:
    with HaProxy(behind_proxy.port) as haproxy:
        for _ in range(10):
            deliver(haproxy.port)
        behind_proxy.wait_for_outcomes(CLIENT, 10)
        deliver(haproxy.port)

    last = behind_proxy.events("handover", client=CLIENT)[-1]
    assert " pool=nice " in last
    assert " settled=yes " in last


def test_who_talks_early_through_haproxy_is_heard(behind_proxy: House) -> None:
    with (
        HaProxy(behind_proxy.port) as haproxy,
        socket.create_connection(("127.0.0.1", haproxy.port), DEADLINE, (CLIENT, 0)) as client,
    ):
        client.sendall(b"EHLO early.example.org\r\nQUIT\r\n")
        said = b"".join(iter(lambda: client.recv(4096), b""))

    assert said.startswith(b"220 ")
    assert b"\r\n250" in said
    (line,) = wait_for(lambda: behind_proxy.events("handover", client=CLIENT), "its line in the log")
    assert "pregreet:-30.0" in line


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_haproxys_health_checks_are_served_and_teach_nothing(behind_proxy: House, version: str) -> None:
    with HaProxy(behind_proxy.port, send_proxy=version, smtp_check=True) as haproxy:
        wait_for(lambda: behind_proxy.ask("status")["counters"].get("health_checks", 0) >= 5, "five health checks")
        deliver(haproxy.port)
        assert " is DOWN" not in haproxy.log()

    behind_proxy.wait_for_outcomes(CLIENT, 1)
    checks = behind_proxy.events("handover", client="127.0.0.1")
    assert len(checks) >= 5
    assert all(" pool=nice " in line and " settled=yes " in line for line in checks)
    assert behind_proxy.score("127.0.0.1") == 0
    assert [client["client"] for client in behind_proxy.ask("clients")["busiest"]] == [CLIENT]


def test_haproxy_sees_that_we_are_gone(behind_proxy: House) -> None:
    with HaProxy(behind_proxy.port, smtp_check=True) as haproxy:
        wait_for(lambda: behind_proxy.ask("status")["counters"].get("health_checks", 0) >= 1, "a health check")
        behind_proxy.stop()
        wait_for(lambda: " is DOWN" in haproxy.log(), "HAProxy's notice")


def test_many_at_once_come_through_haproxy(behind_proxy: House) -> None:
    need(*PROGRAMS)
    with HaProxy(behind_proxy.port) as haproxy:
        smtp_source(haproxy.port, "-s", "20", "-m", "200", "-t", "user@example.com", "-f", "me@example.org")

    behind_proxy.wait_for_outcomes("127.0.0.1", 200)
    counters = behind_proxy.ask("status")["counters"]
    assert counters["accepted"] == 200
    assert "refused_proxy_header" not in counters


def test_who_is_trusted_and_sends_no_header_is_closed_without_a_word(behind_proxy: House) -> None:
    with behind_proxy.connect("127.0.0.1") as client:
        client.sendall(b"EHLO client.example.org\r\n")
        with pytest.raises(ConnectionResetError):
            client.recv(100)

    (line,) = wait_for(lambda: behind_proxy.events("proxy_header", client="127.0.0.1"), "its line in the log")
    assert " why=broken state=refused " in line


def test_who_is_trusted_and_silent_is_closed_after_five_seconds(behind_proxy: House) -> None:
    with behind_proxy.connect("127.0.0.1") as client:
        assert client.recv(100) == b""

    (line,) = wait_for(lambda: behind_proxy.events("proxy_header", client="127.0.0.1"), "its line in the log")
    assert " why=silent state=refused " in line


def test_nobody_else_may_say_who_it_is(behind_proxy: House) -> None:
    with behind_proxy.connect(CLIENT) as client:
        client.sendall(b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 25\r\n")
        assert client.recv(100).startswith(b"220 ")

    (line,) = wait_for(lambda: behind_proxy.events("handover", client=CLIENT), "its line in the log")
    assert "pregreet:-30.0" in line


@pytest.fixture
def behind_postscreen(build: Callable[..., House]) -> Iterator[tuple[House, Postfix]]:
    """A house that postscreen knows as its `front` service, the same Postfix' smtpds behind it."""
    need(*PROGRAMS, root=True)
    services = (
        postscreen("screen", "front", postscreen_greet_wait="1s"),
        passed("nice", 20),
        passed("hostile", 20),
    )
    with Postfix(*services) as postfix:
        config = BEHIND_POSTSCREEN.format(nice=postfix.pass_path("nice"), hostile=postfix.pass_path("hostile"))
        house = build(config).start()
        let_in(house.folder / "var")
        (postfix.folder / "q/private/front").symlink_to(house.folder / "var/pass.sock")
        yield house, postfix


def let_in(folder: Path) -> None:
    """Postscreen runs as another user, who has to pass through to our socket."""
    folder.parent.chmod(0o711)
    folder.chmod(0o711)


def test_postscreen_hands_its_clients_to_us(behind_postscreen: tuple[House, Postfix]) -> None:
    house, postfix = behind_postscreen
    deliver(postfix.port("screen"), CLIENT, f"user@{DOMAIN}")
    deliver(postfix.port("screen"), STRANGER, f"user@{DOMAIN}")

    (stranger,) = wait_for(lambda: house.events("handover", client=STRANGER), "its line in the log")
    (friend,) = house.events("handover", client=CLIENT)
    assert " pool=nice " in friend
    assert " pool=hostile " in stranger
    for service, client in (("nice", CLIENT), ("hostile", STRANGER)):
        line = f"postfix/{service}/smtpd: disconnect from unknown[{client}] ehlo=1 mail=1 rcpt=1 data=1 quit=1"
        wait_for(lambda line=line: line in without_pids(postfix.log()), line)


def test_postscreens_teaser_and_the_smtpds_greeting_are_one(behind_postscreen: tuple[House, Postfix]) -> None:
    _house, postfix = behind_postscreen
    with stranger_of(postfix) as client:
        client.sendall(b"QUIT\r\n")
        said = b"".join(iter(lambda: client.recv(4096), b""))

    teaser, greeting, *_more = said.split(b"\r\n")
    assert teaser.startswith(b"220-mx.example.test ")
    assert greeting.startswith(b"220 mx.example.test ")


def test_early_talk_that_postscreen_forgives_is_heard_by_us(behind_postscreen: tuple[House, Postfix]) -> None:
    house, postfix = behind_postscreen
    with stranger_of(postfix) as client:
        client.sendall(b"EHLO early.example.org\r\nQUIT\r\n")
        said = b"".join(iter(lambda: client.recv(4096), b""))

    assert b"\r\n250" in said
    (line,) = wait_for(lambda: house.events("handover", client=STRANGER), "its line in the log")
    assert "pregreet:-30.0" in line


def test_who_stalls_at_our_socket_keeps_nobody_waiting(behind_postscreen: tuple[House, Postfix]) -> None:
    house, postfix = behind_postscreen
    with ExitStack() as stalling:
        for _ in range(20):
            connection = stalling.enter_context(socket.socket(socket.AF_UNIX))
            connection.connect(str(house.folder / "var/pass.sock"))
        deliver(postfix.port("screen"), CLIENT, f"user@{DOMAIN}")
        assert house.ask("status")["counters"].get("refused_passed", 0) == 0

        wait_for(lambda: house.ask("status")["counters"].get("refused_passed", 0) == 20, "the end of their patience")


def test_many_at_once_come_from_postscreen(behind_postscreen: tuple[House, Postfix]) -> None:
    house, postfix = behind_postscreen
    smtp_source(postfix.port("screen"), "-s", "20", "-m", "200")

    counters = house.ask("status")["counters"]
    assert counters["accepted"] == counters["handed_over"] == 200
    assert "refused_passed" not in counters


def test_postscreen_finds_us_again_after_a_crash(behind_postscreen: tuple[House, Postfix]) -> None:
    house, postfix = behind_postscreen
    deliver(postfix.port("screen"), CLIENT, f"user@{DOMAIN}")
    house.kill()
    house.wait()
    with pytest.raises(smtplib.SMTPConnectError, match="All server ports are busy"):
        deliver(postfix.port("screen"), CLIENT, f"user@{DOMAIN}")

    house.start()
    deliver(postfix.port("screen"), CLIENT, f"user@{DOMAIN}")
    house.stop()
    assert not (house.folder / "var/pass.sock").exists()


def test_a_reload_opens_and_closes_the_door_for_postscreen(behind_postscreen: tuple[House, Postfix]) -> None:
    house, postfix = behind_postscreen
    config = (house.folder / "config.toml").read_text()
    house.write_config(config.replace(', "pass:var/pass.sock"', ""))
    assert house.ask("reload")["ok"]
    assert not (house.folder / "var/pass.sock").exists()

    house.write_config(config)
    assert house.ask("reload")["ok"]
    deliver(postfix.port("screen"), CLIENT, f"user@{DOMAIN}")


def stranger_of(postfix: Postfix) -> socket.socket:
    """A stranger's connection to postscreen, before anything was said."""
    return socket.create_connection(("127.0.0.1", postfix.port("screen")), DEADLINE, (STRANGER, 0))


def without_pids(log: str) -> str:
    return re.sub(r"\[\d+\]:", ":", log)
