"""The asking program alone: questions go in, answers come out, whatever the DNS does."""

import json
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Any

import pytest

from frontproxy.lookup.messages import PACKET_LIMIT
from frontproxy.programs import command, environment
from tests.real.dns_trouble import (
    ANOTHER_QUESTION,
    DEAD_DOMAIN,
    GARBAGE,
    GOOD,
    LISTS_THE_WORLD,
    NEVER_WHOLE,
    NO_HEADER,
    REFUSED,
    SERVFAIL,
    SILENT,
    TRUNCATED,
    TURNS_US_AWAY,
    WRONG_ID,
    Conduct,
    Trouble,
)
from tests.real.dns_world import (
    ACCESS,
    ALLOW,
    ALLOWED,
    BLOCK,
    CONFIRMED,
    LISTED,
    LISTED_IPV6,
    LISTED_MILDLY,
    NAMES,
    UNCONFIRMED,
    UNKNOWN,
    ZONES,
    World,
    world,
)
from tests.real.house import DEADLINE
from tests.real.unbound import Unbound, forward, reverse

Answer = dict[str, Any]


class Asker:
    """One asking program, and the end of the link that the desk has otherwise."""

    def __init__(self, *servers: int) -> None:
        self.link, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.link.settimeout(DEADLINE)
        self._numbers = 0
        with theirs:
            self.process = subprocess.Popen(
                command("frontproxy.lookup.program", "--socket-fd", str(theirs.fileno())),
                env=environment(),
                stdin=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        orders = {"servers": [["127.0.0.1", port] for port in servers], "generic": []}
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(orders).encode() + b"\n")
        self.process.stdin.flush()

    def ask(self, address: str, zones: tuple[str, ...] = (BLOCK,), *, name: bool = False) -> int:
        """Send a question; its id."""
        self._numbers += 1
        question = {"id": self._numbers, "address": address, "zones": list(zones), "name": name}
        self.link.send(json.dumps(question).encode())
        return self._numbers

    def answers(self, count: int) -> list[Answer]:
        """The next answers, so many of them at least."""
        found: list[Answer] = []
        while len(found) < count:
            packet = self.link.recv(PACKET_LIMIT + 1)
            assert packet.endswith(b"\n"), "it has ended"
            found += [json.loads(line) for line in packet.splitlines()]
        return found

    def say(self, address: str, zone: str = BLOCK) -> Answer:
        """Ask one list, and wait for what it says."""
        number = self.ask(address, (zone,))
        (answer,) = self.answers(1)
        assert answer.pop("id") == number
        assert answer.pop("zone") == zone
        return answer

    def name(self, address: str) -> Answer:
        """Ask for the name."""
        number = self.ask(address, (), name=True)
        (answer,) = self.answers(1)
        assert answer.pop("id") == number
        return answer

    def close(self) -> None:
        """End it by its lifeline; if that does not end it, by force."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(DEADLINE)
        finally:
            self.process.kill()
            self.process.wait()
            self.link.close()


@contextmanager
def asker(*servers: int) -> Iterator[Asker]:
    """A running one."""
    running = Asker(*servers)
    try:
        yield running
    finally:
        running.close()


@pytest.fixture(scope="module")
def dns() -> Iterator[World]:
    """One DNS for all tests of this file; each leaves it as it was."""
    with world() as made:
        yield made


@pytest.fixture
def program(dns: World) -> Iterator[Asker]:
    """A program that asks it."""
    with asker(dns.trouble.port) as running:
        yield running


@pytest.fixture
def conduct(dns: World) -> Iterator[Callable[[Conduct], None]]:
    """Sets the conduct of one list's server, for the time of a test."""
    yield lambda wanted: dns.trouble.conduct(BLOCK, wanted)
    dns.trouble.conduct(BLOCK, GOOD)


@pytest.mark.parametrize(
    ("client", "zone", "codes"),
    [
        (LISTED, BLOCK, ["127.0.0.4"]),
        (LISTED_IPV6, BLOCK, ["127.0.0.2"]),
        (LISTED_MILDLY, BLOCK, ["127.0.0.10", "127.0.0.11"]),
        (ALLOWED, ALLOW, ["127.0.9.3"]),
        (UNKNOWN, BLOCK, []),
        ("2001:db8:2::1", BLOCK, []),
        ("127.0.0.2", BLOCK, ["127.0.0.2"]),
        ("127.0.0.1", BLOCK, []),
    ],
)
def test_a_list_is_asked(program: Asker, client: str, zone: str, codes: list[str]) -> None:
    answer = program.say(client, zone)

    assert answer["codes"] == codes
    assert 0 < answer["ttl"] <= (300 if codes else 120)


def test_every_list_and_the_name_have_one_answer_each(program: Asker) -> None:
    number = program.ask(LISTED, ZONES, name=True)

    answers = program.answers(len(ZONES) + 1)

    assert sorted(answer.get("zone", "") for answer in answers) == ["", *sorted(ZONES)]
    assert {answer["id"] for answer in answers} == {number}


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (SERVFAIL, "SERVFAIL"),
        (REFUSED, "REFUSED"),
        (DEAD_DOMAIN, "not a list (192.0.2.9)"),
        (TURNS_US_AWAY, "refused (127.255.255.254)"),
        (SILENT, "timeout"),
        (GARBAGE, "malformed"),
        (NEVER_WHOLE, "malformed"),
        (WRONG_ID, "timeout"),
        (ANOTHER_QUESTION, "timeout"),
        (NO_HEADER, "timeout"),
    ],
    ids=[
        "SERVFAIL",
        "REFUSED",
        "dead domain",
        "turned away",
        "silence",
        "garbage",
        "never whole",
        "wrong id",
        "another question",
        "no header",
    ],
)
def test_no_answer_says_why_and_the_next_question_is_answered(
    program: Asker, conduct: Callable[[Conduct], None], bad: Conduct, error: str
) -> None:
    conduct(bad)
    answer = program.say(LISTED)
    conduct(GOOD)

    assert answer == {"error": error}
    assert program.say(LISTED)["codes"] == ["127.0.0.4"]


def test_a_list_that_lists_the_world_is_told_as_it_is(program: Asker, conduct: Callable[[Conduct], None]) -> None:
    conduct(LISTS_THE_WORLD)

    assert program.say(UNKNOWN)["codes"] == ["127.0.0.2"]


def test_a_truncated_answer_is_fetched_by_tcp(program: Asker, conduct: Callable[[Conduct], None]) -> None:
    conduct(TRUNCATED)

    assert program.say(LISTED_MILDLY)["codes"] == ["127.0.0.10", "127.0.0.11"]


def test_a_lost_question_is_asked_again(dns: World, program: Asker, conduct: Callable[[Conduct], None]) -> None:
    conduct(Conduct(loss=0.5))  # by a chance that is always the same: the first is lost, the second is not
    asked = dns.trouble.queries(BLOCK)

    assert program.say(LISTED)["codes"] == ["127.0.0.4"]

    assert dns.trouble.queries(BLOCK) == asked + 2


def test_one_silent_list_delays_no_other(program: Asker, conduct: Callable[[Conduct], None]) -> None:
    conduct(SILENT)

    program.ask(LISTED, ZONES)
    answers = program.answers(len(ZONES))

    assert answers[-1]["zone"] == BLOCK
    assert answers[-1]["error"] == "timeout"
    assert all("codes" in answer for answer in answers[:-1])


def test_a_silent_server_is_passed_over_for_the_next(dns: World) -> None:
    with Trouble(dns.unbound.port) as silent:
        silent.conduct("", SILENT)
        with asker(silent.port, dns.trouble.port) as program:
            assert program.say(LISTED)["codes"] == ["127.0.0.4"]
            asked = silent.queries()
            assert program.say(LISTED_MILDLY)["codes"] == ["127.0.0.10", "127.0.0.11"]
            assert silent.queries() == asked  # the one that answers is the first from then on


def test_a_port_at_which_nobody_is_is_passed_over_at_once(dns: World) -> None:
    with Trouble(dns.unbound.port) as gone:
        pass

    with asker(gone.port, dns.trouble.port) as program:
        assert program.say(LISTED)["codes"] == ["127.0.0.4"]


def test_a_silent_list_behind_a_resolver_is_no_answer(dns: World) -> None:
    with (
        Trouble(dns.rbldnsd.port) as silent,
        Unbound({BLOCK: silent.port, ALLOW: dns.rbldnsd.port}) as unbound,
        asker(unbound.port) as program,
    ):
        silent.conduct(BLOCK, SILENT)

        assert set(program.say(LISTED)) == {"error"}

        assert silent.queries(BLOCK) > 0
        assert program.say(ALLOWED, ALLOW)["codes"] == ["127.0.9.3"]


def test_many_questions_at_once_are_all_answered(program: Asker) -> None:
    addresses = [str(ip_address("203.0.113.0") + number) for number in range(40)]
    numbers = {program.ask(address, ZONES) for address in addresses}

    answers = program.answers(len(addresses) * len(ZONES))

    assert len(answers) == len(addresses) * len(ZONES)
    assert {answer["id"] for answer in answers} == numbers
    assert all("codes" in answer for answer in answers)


@pytest.mark.parametrize(
    ("client", "state", "name", "domain", "access"),
    [
        (CONFIRMED, "confirmed", "mail.example.org", "example.org", False),
        (ACCESS, "confirmed", "198-51-100-3.dyn.example.com", "", True),
        (UNCONFIRMED, "unconfirmed", "mail.example.net", "", False),
        (UNKNOWN, "missing", "", "", False),
    ],
    ids=["confirmed", "access line", "unconfirmed", "missing"],
)
def test_a_name_is_looked_up_there_and_back(
    program: Asker, client: str, state: str, name: str, domain: str, access: bool
) -> None:
    answer = program.name(client)

    assert 0 < answer.pop("ttl") <= 10_800
    assert answer == {"name": name, "state": state, "domain": domain, "access": access}


EVIL = {
    "198.51.100.11": ("a name of letters that no host has", r"ev\\010il.example.org"),
    "198.51.100.12": ("an address as its name", "198.51.100.12"),
    "198.51.100.13": ("the root as its name", ""),
    "198.51.100.14": ("a very long name", f"{'n' * 60}.{'n' * 60}.{'n' * 60}.{'n' * 60}.org"),
}


def test_names_that_strangers_made_up_are_harmless(dns: World, program: Asker) -> None:
    records = [reverse(address, name) for address, (_about, name) in EVIL.items()]
    many = [reverse("198.51.100.15", f"host{number}.example.org") for number in range(60)]
    dns.unbound.write([*NAMES, *records, *many, forward("host59.example.org", "198.51.100.15")])

    answers = {address: program.name(address) for address in [*EVIL, "198.51.100.15"]}
    dns.unbound.write(NAMES)

    assert {answer["state"] for address, answer in answers.items() if address in EVIL} == {"unconfirmed"}
    assert all(set(answer["name"]) <= set("abcdefghijklmnopqrstuvwxyz0123456789.-_") for answer in answers.values())
    assert answers["198.51.100.15"]["state"] in {"confirmed", "unconfirmed"}
    assert program.name(CONFIRMED)["state"] == "confirmed"


@pytest.mark.parametrize(
    "packet", [b"{}", b"\xff\xfe", b'{"id": 1, "address": "nowhere", "zones": [], "name": true}', b"[" * 10_000]
)
def test_a_packet_that_is_no_question_is_survived(program: Asker, packet: bytes) -> None:
    program.link.send(packet)

    assert program.say(LISTED)["codes"] == ["127.0.0.4"]
