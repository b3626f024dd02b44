"""Relayed sessions with the servers of the world: Postfix, HAProxy and nginx know the client, and lose no octet."""

import re
import socket
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from tests.real.house import House, wait_for
from tests.real.need import need
from tests.real.postfix import DOMAIN, PROGRAMS, Postfix, smtpd
from tests.real.receivers import FRIEND, STRANGER, Receiver, relayed_to, take_mail
from tests.real.servers import HAPROXY, NGINX, HaProxy, NginxReceiver

PROXIED = {"smtpd_upstream_proxy_protocol": "haproxy", "smtpd_client_port_logging": "yes"}
BIG = b"Subject: big\r\n\r\n" + b"".join(b"%070d\r\n" % number for number in range(73_000))
"""5 MB, no two lines alike."""


@pytest.fixture(scope="module")
def postfix() -> Iterator[Postfix]:
    """One that requires a header, over IPv4 and over IPv6, and one that does not."""
    need(*PROGRAMS, root=True)
    services = smtpd("four", 10, **PROXIED), smtpd("six", 10, host="::1", **PROXIED), smtpd("plain")
    with Postfix(*services) as postfix:
        yield postfix


def deliver(house: House, client: str) -> tuple[str, int]:
    """One message to Postfix; the client's address and port."""
    with house.smtp(client) as session:
        assert session.sock is not None
        name = session.sock.getsockname()[:2]
        session.sendmail("me@example.org", f"user@{DOMAIN}", "Subject: hello\r\n\r\nHello.\r\n")
    return str(name[0]), int(name[1])


@pytest.mark.parametrize(
    ("version", "service", "client"),
    [("v1", "four", STRANGER), ("v2", "six", STRANGER), ("v1", "six", "::1"), ("v2", "four", "::1")],
)
def test_postfix_logs_the_client_and_not_us(
    postfix: Postfix, build: Callable[..., House], version: str, service: str, client: str
) -> None:
    host = "[::1]" if service == "six" else "127.0.0.1"
    house = build(relayed_to(f"tcp:{host}:{postfix.port(service)}?proxy={version}")).start()

    address, port = deliver(house, client)

    for what in ("connect from", "disconnect from"):
        wait_for(lambda what=what: f" {what} unknown[{address}]:{port}" in postfix.log(), f"{what} in Postfix's log")
    assert re.search(rf"postfix/{service}/smtpd\S+ \w+: client=unknown\[{address}\]:{port}\n", postfix.log())


def test_without_a_header_postfix_sees_us(postfix: Postfix, build: Callable[..., House]) -> None:
    house = build(relayed_to(f"tcp:127.0.0.1:{postfix.port('plain')}?proxy=none")).start()

    deliver(house, STRANGER)

    line = r"postfix/plain/smtpd\S+ connect from unknown\[127.0.0.1\]\n"
    wait_for(lambda: re.search(line, postfix.log()), "its line in Postfix's log")
    assert any("takes our address" in warning for warning in house.ask("status")["warnings"])


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_haproxy_takes_our_header_and_passes_the_client_on(
    postfix: Postfix, build: Callable[..., House], version: str
) -> None:
    need(*HAPROXY)
    with HaProxy(postfix.port("four"), send_proxy=version, accept_proxy=True) as haproxy:
        house = build(relayed_to(f"tcp:127.0.0.1:{haproxy.port}?proxy={version}")).start()

        address, port = deliver(house, STRANGER)

        wait_for(lambda: f" connect from unknown[{address}]:{port}" in postfix.log(), "the client in Postfix's log")


def test_haproxy_reads_the_sessions_id_in_our_header(postfix: Postfix, build: Callable[..., House]) -> None:
    need(*HAPROXY)
    told = ("log global", 'log-format "client=%ci:%cp id=%[fc_pp_unique_id]"')
    with HaProxy(postfix.port("four"), accept_proxy=True, extra=told) as haproxy:
        house = build(relayed_to(f"tcp:127.0.0.1:{haproxy.port}?proxy=v2")).start()

        address, port = deliver(house, STRANGER)

        (line,) = wait_for(lambda: house.events("relayed"), "its line in the log")
        session = line.split(" session=")[1].split()[0]
        wait_for(lambda: f"client={address}:{port} id={session}\n" in haproxy.log(), "its line in HAProxy's log")


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("client", [STRANGER, "::1"])
def test_nginx_takes_our_header(postfix: Postfix, build: Callable[..., House], version: str, client: str) -> None:
    need(*NGINX)
    with NginxReceiver(postfix.port("plain")) as nginx:
        house = build(relayed_to(f"tcp:127.0.0.1:{nginx.port}?proxy={version}")).start()

        named = deliver(house, client)

        assert wait_for(nginx.clients, "the session in its log") == [named]


@pytest.mark.parametrize("buffer", [0, 16384], ids=["at once", "with back-pressure"])
def test_a_message_of_5_mb_arrives_octet_by_octet(build: Callable[..., House], buffer: int) -> None:
    messages: list[bytes] = []
    with Receiver(partial(take_mail, messages=messages), buffer) as receiver:
        house = build(relayed_to(receiver.backend)).start()
        with house.smtp(FRIEND) as session:
            session.sendmail("me@example.org", "user@example.com", BIG)

    assert messages == [BIG]


def test_postfix_takes_a_message_of_5_mb(postfix: Postfix, build: Callable[..., House]) -> None:
    house = build(relayed_to(f"tcp:127.0.0.1:{postfix.port('four')}?proxy=v2")).start()
    with house.smtp(FRIEND) as session:
        session.sendmail("big@example.org", f"user@{DOMAIN}", BIG)

    sizes = wait_for(lambda: re.findall(r"from=<big@example.org>, size=(\d+)", postfix.log()), "the message's size")
    received = int(sizes[0]) - len(BIG)
    assert 0 < received < 1000, "no more than Postfix' own Received line was added"


def test_the_log_counts_the_octets_of_both_directions(build: Callable[..., House]) -> None:
    dialog = b"EHLO client.example.org\r\nMAIL FROM:<me@example.org>\r\nDATA\r\n" + BIG + b".\r\nQUIT\r\n"
    with Receiver(take_mail) as receiver:
        house = build(relayed_to(receiver.backend)).start()
        with house.connect(FRIEND) as client:
            greeting = client.recv(4096)
            client.sendall(dialog)
            replies = greeting + read_to_end(client)

        (line,) = wait_for(lambda: house.events("relayed", client=FRIEND), "its line in the log")

    assert f" to_server={len(dialog)} to_client={len(replies)} end=done " in line
    assert f" backend={receiver.backend} " in line


def read_to_end(client: socket.socket) -> bytes:
    return b"".join(iter(lambda: client.recv(65536), b""))
