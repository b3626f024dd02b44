"""The servers that other tests stand on: each does what it is configured for, and leaves nothing behind."""

import smtplib
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from frontproxy.wire import pass_protocol
from tests.real.house import DEADLINE, is_running, wait_for
from tests.real.need import need
from tests.real.postfix import PROGRAMS, Postfix, passed, postscreen, smtp_source, smtpd
from tests.real.servers import HAPROXY, NGINX, HaProxy, Nginx, NginxReceiver


@pytest.fixture(autouse=True)
def _needs() -> None:
    need(*PROGRAMS, root=True)


@contextmanager
def dialog(port: int) -> Iterator[smtplib.SMTP]:
    """A session that has got as far as MAIL."""
    with smtplib.SMTP("127.0.0.1", port, "client.example.org", DEADLINE) as session:
        session.ehlo()
        session.mail("me@example.org")
        yield session


def test_mail_for_known_users_is_accepted_and_leaves_the_queue() -> None:
    with Postfix(smtpd("plain")) as postfix:
        smtp_source(postfix.port("plain"), "-s", "5", "-m", "20")

        wait_for(lambda: postfix.log().count(": removed") == 20, "20 messages gone")
        assert [path for path in (postfix.folder / "q/active").rglob("*") if path.is_file()] == []


def test_an_unknown_user_is_5_1_1_and_another_domain_is_refused() -> None:
    with Postfix(smtpd("plain")) as postfix, dialog(postfix.port("plain")) as session:
        assert session.rcpt("you@example.test")[0] == 250
        assert session.rcpt("nobody@example.test")[1].startswith(b"5.1.1 ")
        assert session.rcpt("user@example.org")[1].startswith(b"5.7.1 ")


def test_an_smtpd_takes_a_passed_descriptor_and_the_client_it_is_told() -> None:
    with Postfix(passed("nice", 1)) as postfix:
        ours, theirs = socket.socketpair()
        client, server = ("192.0.2.7", "4711"), ("192.0.2.1", "25")
        names = zip(pass_protocol.MANDATORY, (*client, *server), strict=True)
        with ours, theirs, socket.socket(socket.AF_UNIX) as door:
            ours.settimeout(DEADLINE)
            door.connect(str(postfix.pass_path("nice")))
            socket.send_fds(door, [pass_protocol.encode(dict(names))], [theirs.fileno()])
            assert ours.recv(100).startswith(b"220 mx.example.test ")
            assert len(postfix.smtpd_pids("nice")) == 1

        wait_for(lambda: "postfix/nice/smtpd" in postfix.log(), "the log of nice")
        assert "connect from unknown[192.0.2.7]" in postfix.log()


def test_any_user_in_the_group_reaches_a_public_service_and_nobody_a_private_one() -> None:
    with Postfix(passed("nice"), passed("hidden", private=True)) as postfix:
        public, private = postfix.pass_path("nice"), postfix.pass_path("hidden")

        assert (public.parent.group(), public.parent.stat().st_mode & 0o777) == ("postdrop", 0o710)
        assert (private.parent.owner(), private.parent.stat().st_mode & 0o777) == ("postfix", 0o700)
        assert public.is_socket()
        assert private.is_socket()


def test_postscreen_gives_its_clients_to_the_service_behind_it() -> None:
    with Postfix(passed("behind", private=True), postscreen("screen", "behind", postscreen_greet_wait="1s")) as postfix:
        smtp_source(postfix.port("screen"), "-m", "1")

        wait_for(lambda: "postfix/behind/smtpd" in postfix.log(), "the log of the service behind")
        assert "PASS NEW [127.0.0.1]" in postfix.log()


def test_two_instances_do_not_disturb_each_other() -> None:
    with Postfix(smtpd("plain")) as one, Postfix(smtpd("plain")) as other:
        one.stop()
        smtp_source(other.port("plain"), "-m", "1")

        wait_for(lambda: ": removed" in other.log(), "the message gone")
        assert "connect from" not in one.log()


def test_stopped_its_socket_files_stay_and_started_it_serves_again() -> None:
    with Postfix(passed("nice"), smtpd("plain")) as postfix:
        smtp_source(postfix.port("plain"), "-m", "1")
        pids = [postfix.pid, *postfix.smtpd_pids()]
        postfix.stop()

        assert len(pids) == 2
        assert not any(map(is_running, pids))
        with socket.socket(socket.AF_UNIX) as door, pytest.raises(ConnectionRefusedError):
            door.connect(str(postfix.pass_path("nice")))
        postfix.start()
        smtp_source(postfix.port("plain"), "-m", "1")


def test_a_reload_reads_main_cf_again() -> None:
    with Postfix(smtpd("plain")) as postfix:
        postfix.write_main({"smtpd_banner": "changed"})
        postfix.reload()

        wait_for(lambda: _banner(postfix.port("plain")) == b"220 changed\r\n", "the new banner")


def test_nothing_of_it_is_left() -> None:
    with Postfix(smtpd("plain")) as postfix:
        smtp_source(postfix.port("plain"), "-m", "1")
        pids = [postfix.pid, *postfix.smtpd_pids(), *postfix.pids("cleanup"), *postfix.pids("qmgr")]

    assert len(pids) == 4
    assert not any(map(is_running, pids))
    assert not postfix.folder.exists()


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_haproxy_tells_postfix_its_clients_port(version: str) -> None:
    need(*HAPROXY)
    service = smtpd("proxied", smtpd_upstream_proxy_protocol="haproxy", smtpd_client_port_logging="yes")
    with Postfix(service) as postfix, HaProxy(postfix.port("proxied"), send_proxy=version) as haproxy:
        assert _client_port_seen(haproxy.port, postfix)


def test_haproxy_asks_an_smtpd_for_its_health() -> None:
    need(*HAPROXY)
    service = smtpd("proxied", smtpd_upstream_proxy_protocol="haproxy")
    with Postfix(service) as postfix, HaProxy(postfix.port("proxied"), smtp_check=True):
        wait_for(lambda: postfix.log().count(" connect from") >= 2, "two checks")


def test_nginx_tells_postfix_its_clients_port() -> None:
    need(*NGINX)
    service = smtpd("proxied", smtpd_upstream_proxy_protocol="haproxy", smtpd_client_port_logging="yes")
    with Postfix(service) as postfix, Nginx(postfix.port("proxied")) as nginx:
        assert _client_port_seen(nginx.port, postfix)


def test_nginx_as_a_receiver_tells_whom_a_header_named() -> None:
    need(*HAPROXY, *NGINX)
    with (
        Postfix(smtpd("plain")) as postfix,
        NginxReceiver(postfix.port("plain")) as nginx,
        HaProxy(nginx.port) as haproxy,
        socket.create_connection(("127.0.0.1", haproxy.port), DEADLINE) as client,
    ):
        client.sendall(b"QUIT\r\n")
        while client.recv(100):
            pass

        assert wait_for(nginx.clients, "the session in its log") == [client.getsockname()]


def test_servers_leave_no_process_and_no_folder() -> None:
    need(*HAPROXY, *NGINX)
    with HaProxy(9) as haproxy, Nginx(9) as nginx:
        pids = [haproxy.pid, nginx.pid, *_children(nginx.pid)]

    assert len(pids) == 3
    wait_for(lambda: not any(map(is_running, pids)), "the end of all")
    assert not haproxy.folder.exists()
    assert not nginx.folder.exists()


def _banner(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), DEADLINE) as client:
        return client.recv(100)


def _client_port_seen(port: int, postfix: Postfix) -> bool:
    """A session through a proxy, and whether Postfix comes to log its real client's port."""
    with socket.create_connection(("127.0.0.1", port), DEADLINE) as client:
        name = f"unknown[127.0.0.1]:{client.getsockname()[1]}"
        return bool(wait_for(lambda: f" connect from {name}" in postfix.log(), f"{name} in the log"))


def _children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
