"""The policy service beside a real Postfix that stands alone: frontproxy serves nobody, learns and answers.

Postfix asks as deploy/postfix/policy.cf says.
"""

import signal
import smtplib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.real.house import DEADLINE, House, wait_for
from tests.real.need import need
from tests.real.ports import Port
from tests.real.postfix import PROGRAMS, Postfix, smtpd

CF = Path(__file__).parents[2] / "deploy/postfix/policy.cf"
CLIENT = "127.0.0.5"
STRANGER = "127.0.0.6"
TRAP = "me@trap.example"
"""A sender that only the class of strangers refuses."""
MESSAGE = "Subject: hello\r\n\r\nHello.\r\n"
CONFIG = """
[listen]
addresses = []
[learn]
foreign = true
[learn.policy]
address = "{door}"
classes = {{ nice = "friends", hostile = "strangers", reply = "reply" }}
[[list]]
name = "enemies"
kind = "deny"
networks = ["127.0.0.9"]
"""


@pytest.fixture(autouse=True)
def _needs() -> None:
    need(*PROGRAMS, root=True)


def asking(door: Port) -> dict[str, str]:
    """main.cf as deploy/postfix/policy.cf has it, but for the port, and with classes whose work can be seen."""
    lines = [line for line in CF.read_text().splitlines() if line and not line.startswith("#")]
    shipped = dict(line.split(" = ", 1) for line in lines)
    assert "127.0.0.1:10031" in shipped["frontproxy_policy"]
    return {
        **shipped,
        "frontproxy_policy": shipped["frontproxy_policy"].replace("127.0.0.1:10031", str(door)),
        "friends": "check_client_access static:{INFO greets a friend}, permit",
        "strangers": f"check_sender_access inline:{{{{{TRAP}=554 5.7.1 no strangers}}}}",
    }


class Alone:
    """A Postfix that clients come to by themselves, and a frontproxy that it asks."""

    def __init__(self, house: House, postfix: Postfix) -> None:
        self.house = house
        self.postfix = postfix

    def send(self, client: str, *recipients: str, sender: str = "me@example.org") -> list[int]:
        """The codes of the recipients, and of the message if one of them was accepted."""
        port = self.postfix.port("plain")
        with smtplib.SMTP("127.0.0.1", port, "client.example.org", DEADLINE, (client, 0)) as session:
            session.ehlo()
            session.mail(sender)
            codes = [session.rcpt(recipient)[0] for recipient in recipients or ("user@example.test",)]
            return [*codes, session.data(MESSAGE)[0]] if 250 in codes else codes

    def pools(self, client: str) -> object:
        """Where the client would go."""
        return self.house.ask(f"route {client}")["pool"]

    def is_asked(self) -> bool:
        """The policy service runs."""
        return any(feed["pid"] for feed in self.house.ask("status")["feeds"]["programs"])


@pytest.fixture
def alone(build: Callable[..., House]) -> Iterator[Alone]:
    with Port() as door, Postfix(smtpd("plain"), main=asking(door)) as postfix:
        house = build(CONFIG.format(door=door)).start()
        street = Alone(house, postfix)
        wait_for(street.is_asked, "a policy service that runs")
        yield street


def test_who_behaves_becomes_a_friend_and_gets_the_class_of_friends(alone: Alone) -> None:
    assert alone.send(CLIENT, sender=TRAP) == [554]
    for _ in range(12):
        assert alone.send(CLIENT) == [250, 250]

    # Each session tells of the one before it, and routes are kept for a moment.
    wait_for(lambda: alone.send(CLIENT) == [250, 250] and "greets a friend" in alone.postfix.log(), "a friend")
    assert alone.send(CLIENT, sender=TRAP) == [250, 250]
    assert alone.send(STRANGER, sender=TRAP) == [554]


def test_a_client_whose_route_is_a_reply_gets_it(alone: Alone) -> None:
    assert alone.send("127.0.0.9") == [554]
    assert "Access denied" in alone.postfix.log()


def test_guessed_recipients_count_against_a_client(alone: Alone) -> None:
    assert alone.send(CLIENT) == [250, 250]
    for _ in range(3):
        assert alone.send(STRANGER, *(f"no{number}@example.test" for number in range(9))) == [550] * 9
        alone.send(CLIENT)

    wait_for(lambda: alone.house.score(STRANGER) < 0 < alone.house.score(CLIENT), "evidence")


def test_mail_flows_when_frontproxy_is_killed(alone: Alone) -> None:
    assert alone.send(CLIENT) == [250, 250]
    alone.house.kill()
    alone.house.wait()
    began = time.monotonic()
    for _ in range(3):
        assert alone.send(CLIENT) == [250, 250]

    assert time.monotonic() - began < 10


def test_mail_flows_when_frontproxy_does_not_answer(alone: Alone) -> None:
    assert alone.send(CLIENT) == [250, 250]
    alone.house.kill(signal.SIGSTOP)
    began = time.monotonic()
    try:
        for client in (STRANGER, "127.0.0.7", "127.0.0.8"):
            assert alone.send(client, sender=TRAP) == [250, 250]
    finally:
        alone.house.kill(signal.SIGCONT)

    assert time.monotonic() - began < 10
