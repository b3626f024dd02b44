"""The passive milter beside a real Postfix: what it learns of clients, and that mail never waits for it.

`test_postfix_asks_the_last_milter_last` holds what `frontproxy/learn/milter_session.py` says of refused messages.
"""

import json
import os
import signal
import smtplib
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.real.house import DEADLINE, House, wait_for
from tests.real.need import need
from tests.real.ports import Port
from tests.real.postfix import PROGRAMS, Postfix, passed, smtpd

CLIENT = "127.0.0.5"
MESSAGE = "Subject: hello\r\n\r\nHello.\r\n"
CONFIG = """
[listen]
addresses = ["127.0.0.1:0"]
pause = "200ms"
[learn]
milter = "{door}"
[pool.nice]
backends = ["pass:{nice}"]
reserved = true
per_client = 50
fallback = "hostile"
handover_wait = "20s"
[pool.hostile]
backends = ["pass:{hostile}"]
per_client = 50
handover_wait = "20s"
"""


@pytest.fixture(autouse=True)
def _needs() -> None:
    need(*PROGRAMS, root=True)


def milters(*doors: object) -> dict[str, str]:
    """main.cf with milters that never hold up mail for long."""
    limits = "connect_timeout=1s, command_timeout=1s, content_timeout=1s, default_action=accept"
    return {"smtpd_milters": " ".join(f"{{ {door}, {limits} }}" for door in doors)}


class Street:
    """A frontproxy, a Postfix behind it, and the milter beside that."""

    def __init__(self, house: House, postfix: Postfix) -> None:
        self.house = house
        self.postfix = postfix

    def milter(self) -> dict[str, Any]:
        """The milter program in `status`, when it runs."""
        return dict(wait_for(lambda: next((f for f in self._feeds() if f["pid"]), None), "a milter that runs"))

    def _feeds(self) -> list[dict[str, Any]]:
        programs: list[dict[str, Any]] = self.house.ask("status")["feeds"]["programs"]
        return programs

    def alarms(self) -> list[str]:
        """What `status` warns of."""
        return list(self.house.ask("status")["alarms"])

    def deliver(self, count: int = 1) -> None:
        """Good messages, one a session, and their outcomes."""
        before = len(self.house.events("outcome", client=CLIENT))
        for _ in range(count):
            self.send()
        self.house.wait_for_outcomes(CLIENT, before + count)

    def send(self) -> None:
        """One good message, which must be accepted."""
        self.house.deliver(CLIENT, "user@example.test")


@pytest.fixture
def build_street(build: Callable[..., House], folder: Path) -> Iterator[Callable[..., Street]]:
    """Makes a street whose milter listens at a port, or at a path if one is asked for."""
    with Port() as port, Postfix(passed("nice"), passed("hostile")) as postfix:

        def build_one(path: str = "") -> Street:
            doors = {name: postfix.pass_path(name) for name in ("nice", "hostile")}
            if path:
                folder.chmod(0o711)
            house = build(CONFIG.format(door=f"unix:{path}" if path else port, **doors)).start()
            postfix.write_main(milters(f"unix:{folder / path}" if path else f"inet:{port}"))
            postfix.reload()
            return Street(house, postfix)

        yield build_one


@pytest.fixture
def street(build_street: Callable[..., Street]) -> Street:
    return build_street()


def test_a_good_sender_becomes_a_friend(street: Street) -> None:
    street.deliver(10)

    assert street.house.score(CLIENT) > 5
    street.deliver()
    assert street.house.events("handover", client=CLIENT, pool="nice", settled="yes")
    assert "warning: milter" not in street.postfix.log()


def test_a_milter_at_a_path_learns_as_well(build_street: Callable[..., Street]) -> None:
    street = build_street("milter.sock")

    street.deliver(2)

    assert street.house.score(CLIENT) > 0


def test_refused_recipients_count_with_their_kinds(street: Street) -> None:
    with street.house.smtp(CLIENT) as session:
        session.ehlo()
        session.mail("me@example.org")
        for recipient in (
            "no@example.test",
            "nobody@example.test",
            "you@elsewhere.test",
            "Relay access denied@example.test",
        ):
            assert session.rcpt(f'"{recipient.partition("@")[0]}"@{recipient.partition("@")[2]}')[0] in {550, 554}
        for command in ("foo", "bar", "baz"):
            assert session.docmd(command)[0] == 500
    (line,) = street.house.wait_for_outcomes(CLIENT, 1)

    assert "refused=4 bad_commands=3" in line
    assert 'because="3 unknown recipients, 1 relay attempt, 3 bad commands"' in line


def test_a_killed_milter_holds_up_no_mail_and_learns_again(street: Street) -> None:
    street.deliver()
    os.kill(street.milter()["pid"], signal.SIGKILL)
    for _ in range(5):
        street.send()
    assert any("feed milter: its process ended (-9)" in alarm for alarm in wait_for(street.alarms, "an alarm"))

    street.milter()
    street.deliver()


def test_a_hung_milter_holds_up_no_mail_for_long_and_is_replaced(street: Street) -> None:
    street.deliver()
    before = street.milter()["pid"]
    os.kill(before, signal.SIGSTOP)
    began = time.monotonic()
    street.send()
    assert time.monotonic() - began < 10

    wait_for(lambda: any("it hung and was killed" in alarm for alarm in street.alarms()), "the alarm")
    assert street.milter()["pid"] != before
    street.deliver()


class Alone:
    """A milter program of its own, and what it tells."""

    def __init__(self, folder: Path, port: Port) -> None:
        self._report = socket.socket(socket.AF_UNIX)
        self._report.bind(str(folder / "report"))
        self._report.listen()
        self._report.settimeout(DEADLINE)
        arguments = ["-m", "frontproxy.learn.milter", "--listen", str(port), "--report", str(folder / "report")]
        self._process = subprocess.Popen([sys.executable, *arguments], stderr=subprocess.DEVNULL)
        self._lines = self._report.accept()[0]
        self._lines.settimeout(DEADLINE)

    def hear(self) -> dict[str, Any]:
        """The next outcome."""
        line = b""
        while not line.endswith(b"\n"):
            line += self._lines.recv(1)
        told: dict[str, Any] = json.loads(line)
        return told

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait(DEADLINE)
        self._lines.close()
        self._report.close()


@contextmanager
def alone(folder: Path) -> Iterator[tuple[Alone, Port]]:
    with Port() as port:
        milter = Alone(folder, port)
        try:
            yield milter, port
        finally:
            milter.close()


def talk(port: int, message: str, host: str = "127.0.0.1") -> tuple[int, bytes]:
    """One message; the answer to its end."""
    with smtplib.SMTP(host, port, "client.example.org", DEADLINE) as session:
        session.ehlo()
        session.mail("me@example.org")
        session.rcpt("user@example.test")
        return session.data(message)


def test_postfix_asks_the_last_milter_last(folder: Path) -> None:
    checks = {
        "header_checks": "regexp:{{/^Subject: bad/ REJECT}}",
        "body_checks": "regexp:{{/virus/ REJECT}}",
        "message_size_limit": "3000",
    }
    with (
        alone(folder) as (milter, door),
        Postfix(smtpd("plain"), main={**checks, **milters(f"inet:{door}")}) as postfix,
    ):
        port = postfix.port("plain")
        assert talk(port, "Subject: bad\r\n\r\nx")[0] == 550
        assert talk(port, "Subject: fine\r\n\r\nvirus")[0] == 550
        assert talk(port, "Subject: big\r\n\r\n" + "x\r\n" * 2000)[0] == 552
        assert talk(port, MESSAGE)[0] == 250

        assert [milter.hear().get("messages", 0) for _ in range(4)] == [0, 0, 0, 1]


class Refuser:
    """A milter of somebody else that refuses every message at its end."""

    def __init__(self) -> None:
        self._door = socket.create_server(("127.0.0.1", 0))
        self.door = f"inet:127.0.0.1:{self._door.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        answers = {b"O": b"O" + struct.pack("!LLL", 6, 0, 0), b"E": b"r", **dict.fromkeys([b"D", b"A"], b"")}
        with self._door.accept()[0] as session, session.makefile("rb") as stream:
            while header := stream.read(4):
                letter = stream.read(int.from_bytes(header, "big"))[:1]
                if letter == b"Q":
                    return
                if answer := answers.get(letter, b"c"):
                    session.sendall(struct.pack("!L", len(answer)) + answer)

    def close(self) -> None:
        """End it."""
        self._door.close()
        self._thread.join(DEADLINE)


@pytest.mark.parametrize(("is_last", "told"), [(True, 0), (False, 1)])
def test_what_another_milter_refuses_is_not_counted_if_ours_is_the_last(folder: Path, is_last: bool, told: int) -> None:
    refuser = Refuser()
    with alone(folder) as (milter, door):
        doors = [refuser.door, f"inet:{door}"] if is_last else [f"inet:{door}", refuser.door]
        with Postfix(smtpd("plain"), main=milters(*doors)) as postfix:
            assert talk(postfix.port("plain"), MESSAGE)[0] == 550

            assert milter.hear().get("messages", 0) == told
    refuser.close()


def test_a_client_with_an_ipv6_address_is_known(folder: Path) -> None:
    with alone(folder) as (milter, door), Postfix(smtpd("six", host="::1"), main=milters(f"inet:{door}")) as postfix:
        assert talk(postfix.port("six"), MESSAGE, "::1")[0] == 250

        told = milter.hear()
        assert (told["client"], told["messages"], told["recipients"]) == ("::1", 1, 1)


def test_a_message_to_very_many_is_one_message(folder: Path) -> None:
    with (
        alone(folder) as (milter, door),
        Postfix(smtpd("plain", smtpd_recipient_limit="3000"), main=milters(f"inet:{door}")) as postfix,
    ):
        with smtplib.SMTP("127.0.0.1", postfix.port("plain"), timeout=DEADLINE) as session:
            session.sendmail(
                "me@example.org",
                [f"user+{number}@example.test" for number in range(1)] + ["user@example.test"] * 2000,
                MESSAGE,
            )

        told = milter.hear()
        assert (told["messages"], told["recipients"]) == (1, 2000)
        assert told["refused"] == 1


def test_what_a_client_writes_in_utf_8_hurts_nobody(folder: Path) -> None:
    with alone(folder) as (milter, door), Postfix(smtpd("plain"), main=milters(f"inet:{door}")) as postfix:
        with smtplib.SMTP("127.0.0.1", postfix.port("plain"), timeout=DEADLINE) as session:
            session.ehlo("xn--zz..example")
            session.mail("me@example.org", ["SMTPUTF8"])
            session.command_encoding = "utf-8"
            assert session.docmd("RCPT TO:<\u00fc@example.test>")[0] == 550
            assert session.rcpt("user@example.test")[0] == 250

        told = milter.hear()
        assert (told["refused"], told["recipients"]) == (1, 1)


def test_quit_loss_and_time_out_are_told_alike(folder: Path) -> None:
    """Otherwise we could tell more than we do."""
    with alone(folder) as (milter, door):
        main = {**milters(f"inet:{door}"), "smtpd_timeout": "1s"}
        with Postfix(smtpd("plain"), main=main) as postfix:
            told = []
            for end in (smtplib.SMTP.quit, smtplib.SMTP.close, smtplib.SMTP.getreply):
                session = smtplib.SMTP("127.0.0.1", postfix.port("plain"), "client.example.org", DEADLINE)
                session.ehlo()
                session.mail("me@example.org")
                session.rcpt("user@example.test")
                end(session)
                session.close()
                told.append({key: value for key, value in milter.hear().items() if key not in {"port", "ended"}})

    assert told == [{"v": 1, "client": "127.0.0.1", "end": "quit", "recipients": 1}] * 3


def test_tls_is_told(folder: Path) -> None:
    need("openssl")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=mx.example.test"]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True, timeout=DEADLINE)
    trust = ssl.create_default_context(cafile=certificate)
    trust.check_hostname = False
    tls = {"smtpd_tls_security_level": "may", "smtpd_tls_key_file": str(key), "smtpd_tls_cert_file": str(certificate)}
    with alone(folder) as (milter, door):
        postfix = Postfix(smtpd("plain"), main={**tls, **milters(f"inet:{door}")})
        with (postfix.folder / "etc/master.cf").open("a") as master:
            master.write("tlsmgr unix - - n 1000? 1 tlsmgr\n")
        with postfix:
            talk(postfix.port("plain"), MESSAGE)
            assert "tls" not in milter.hear()
            with smtplib.SMTP("127.0.0.1", postfix.port("plain"), "client.example.org", DEADLINE) as session:
                session.starttls(context=trust)
                session.sendmail("me@example.org", "user@example.test", MESSAGE)

            told = milter.hear()
            assert (told["tls"], told["messages"]) == (True, 1)
