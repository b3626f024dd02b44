"""What is asked about an address, and what the replies come to: names that lead back, names that do not."""

from collections.abc import Callable

import dns.message
import dns.rdatatype
import pytest

from frontproxy.core.address import pack
from frontproxy.lookup import dns_wire
from frontproxy.lookup.asking import Asking
from frontproxy.lookup.dns_wire import Reply
from frontproxy.lookup.messages import Answer, ListSaid, NameSaid, Question
from frontproxy.lookup.registrable import Domains

DOMAINS = Domains(["Generic.Example."])
ADDRESS = "192.0.2.1"
MISSING = Reply(ttl=60)
TIMEOUT = Reply(error="timeout")


class World:
    """A resolver made of a table; what is not in it does not exist. Replies come when the test lets them."""

    def __init__(self, **replies: Reply) -> None:
        self._replies = {name.replace("__", ".").replace("_", " "): reply for name, reply in replies.items()}
        self._waiting: list[tuple[str, Callable[[Reply], None]]] = []
        self.asked: list[tuple[str, str]] = []
        self.told: list[Answer] = []
        self.asking = Asking(self, DOMAINS, self.told.append)

    def ask(self, asked: bytes, subject: str, heard: Callable[[Reply], None]) -> None:
        """Note what is asked for."""
        question = dns.message.from_wire(dns_wire.query(1, asked)).question[0]
        name = f"{dns.rdatatype.to_text(question.rdtype)} {question.name.to_text(omit_final_dot=True)}"
        self.asked.append((name, subject))
        self._waiting.append((name, heard))

    def answer(self, replies: dict[str, Reply]) -> list[Answer]:
        """Let replies come until nothing is asked for any more."""
        while self._waiting:
            name, heard = self._waiting.pop(0)
            heard(replies.get(name, MISSING))
        return self.told


PTR = "PTR 1.2.0.192.in-addr.arpa"


def name_of(address: str, replies: dict[str, Reply]) -> Answer:
    """The one answer about a name."""
    world = World()
    world.asking.ask(Question(1, address, (), name=True))
    (answer,) = world.answer(replies)
    return answer


def confirmed(name: str, domain: str, ttl: int, *, access: bool = False) -> NameSaid:
    return NameSaid(1, "confirmed", name, domain, access, ttl)


def unconfirmed(name: str, ttl: int) -> NameSaid:
    return NameSaid(1, "unconfirmed", name, "", access=False, ttl=ttl)


def failed(why: str) -> NameSaid:
    return NameSaid(1, None, "", "", access=False, ttl=0, error=why)


HERE = Reply((pack(ADDRESS),), 300)
ELSEWHERE = Reply((pack("192.0.2.9"),), 30)


@pytest.mark.parametrize(
    ("replies", "answer"),
    [
        (
            {PTR: Reply(("Mail.Example.COM",), 3600), "A mail.example.com": HERE},
            confirmed("mail.example.com", "example.com", 300),
        ),
        (
            {PTR: Reply(("mail.example.co.uk",), 30), "A mail.example.co.uk": HERE},
            confirmed("mail.example.co.uk", "example.co.uk", 30),
        ),
        (
            {PTR: Reply(("mail.generic.example",), 30), "A mail.generic.example": HERE},
            confirmed("mail.generic.example", "", 30),
        ),
        ({PTR: Reply(("co.uk",), 30), "A co.uk": HERE}, confirmed("co.uk", "", 30)),
        (
            {PTR: Reply(("pool-192-0-2-1.example.com",), 30), "A pool-192-0-2-1.example.com": HERE},
            confirmed("pool-192-0-2-1.example.com", "", 30, access=True),
        ),
        (
            {PTR: Reply(("a.example.com", "b.example.com"), 90), "A a.example.com": ELSEWHERE, "A b.example.com": HERE},
            confirmed("b.example.com", "example.com", 90),
        ),
        (
            {PTR: Reply(("a.example.com", "b.example.com"), 90), "A a.example.com": TIMEOUT, "A b.example.com": HERE},
            confirmed("b.example.com", "example.com", 90),
        ),
        ({PTR: Reply(("a.example.com",), 90), "A a.example.com": ELSEWHERE}, unconfirmed("a.example.com", 30)),
        ({PTR: Reply(("a.example.com",), 90)}, unconfirmed("a.example.com", 60)),
        ({PTR: Reply(("a\\.b.example.com",), 90)}, unconfirmed("", 90)),
        ({PTR: Reply(("localhost",), 90)}, unconfirmed("", 90)),
        ({PTR: Reply(("192.0.2.1",), 90)}, unconfirmed("", 90)),
        ({PTR: Reply((), 90)}, NameSaid(1, "missing", "", "", access=False, ttl=90)),
        ({PTR: TIMEOUT}, failed("timeout")),
        ({PTR: Reply(("a.example.com",), 90), "A a.example.com": Reply(error="SERVFAIL")}, failed("SERVFAIL")),
        (
            {
                PTR: Reply(("a.example.com", "b.example.com"), 90),
                "A a.example.com": ELSEWHERE,
                "A b.example.com": TIMEOUT,
            },
            failed("timeout"),
        ),
        (
            {PTR: Reply(tuple(f"{n}.example.com" for n in "abcd"), 90), "A d.example.com": HERE},
            unconfirmed("a.example.com", 60),
        ),
        (
            {PTR: Reply(("a.example.com", "A.example.com"), 90), "A a.example.com": HERE},
            confirmed("a.example.com", "example.com", 90),
        ),
    ],
)
def test_a_name_must_lead_back(replies: dict[str, Reply], answer: NameSaid) -> None:
    assert name_of(ADDRESS, replies) == answer


def test_a_name_of_version_6_must_lead_back_too() -> None:
    address = "2001:db8::1"
    reverse = "PTR 1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"
    replies = {reverse: Reply(("mail.example.com",), 90), "AAAA mail.example.com": Reply((pack(address),), 90)}

    assert name_of(address, replies) == confirmed("mail.example.com", "example.com", 90)


def test_lists_and_the_name_are_asked_at_once_each_on_its_own_account() -> None:
    world = World()
    world.asking.ask(Question(7, ADDRESS, ("bl.example", "wl.example"), name=True))

    assert world.asked == [
        ("A 1.2.0.192.bl.example", "bl.example"),
        ("A 1.2.0.192.wl.example", "wl.example"),
        (PTR, "(names)"),
    ]
    assert world.answer({"A 1.2.0.192.bl.example": Reply((b"\x7f\0\0\2",), 300), PTR: TIMEOUT}) == [
        ListSaid(7, "bl.example", ("127.0.0.2",), 300),
        ListSaid(7, "wl.example", (), 60),
        failed("timeout")._replace(id=7),
    ]


def test_a_zone_too_long_for_an_address_is_malformed() -> None:
    world = World()
    world.asking.ask(Question(7, "2001:db8::1", (".".join(["a" * 63] * 3),), name=False))

    assert world.asked == []
    assert [answer.error for answer in world.told] == ["malformed"]
