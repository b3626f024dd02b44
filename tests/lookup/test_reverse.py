"""What becomes of a confirmed name: whose domain it tells of, or that it is only of somebody's customer."""

from collections.abc import Callable

import pytest

from frontproxy.core.address import pack
from frontproxy.lookup.dns_wire import PTR, Reply, question
from frontproxy.lookup.messages import NameSaid
from frontproxy.lookup.registrable import Domains
from frontproxy.lookup.reverse import Reverse

DOMAINS = Domains()


class World:
    """A DNS in which one address has one name, which leads back to it or does not."""

    def __init__(self, address: bytes, name: str, *, leads_back: bool = True) -> None:
        self.name = Reply((name,), 90)
        self.address = Reply((address,) if leads_back else (), 60)

    def ask(self, asked: bytes, _subject: str, heard: Callable[[Reply], None]) -> None:
        heard(self.name if asked.endswith(question("x.y", PTR)[-4:]) else self.address)


def said(name: str, *, leads_back: bool = True) -> NameSaid:
    """What is told of 198.51.100.7 when that is its name."""
    heard: list[NameSaid] = []
    packed = pack("198.51.100.7")
    Reverse(17, packed, World(packed, name, leads_back=leads_back), DOMAINS, heard.append).begin()
    [answer] = heard
    return answer


@pytest.mark.parametrize(
    ("name", "domain", "access"),
    [
        ("mail.example.com", "example.com", False),
        ("198-51-100-7.mail.example.com", "example.com", False),
        ("static-198-51-100-7.nyc.biz.rr.com", "", False),
        ("static.isp.example", "", False),
        ("relay7.dsl.isp.example", "", False),
        ("h-198-51-100-7.isp.example", "", True),
        ("v220211012345678901.ultrasrv.de", "", False),
    ],
)
def test_only_the_domain_of_a_sender_stands_for_a_provider(name: str, domain: str, access: bool) -> None:
    assert said(name) == NameSaid(17, "confirmed", name, domain, access, ttl=60)


def test_a_name_that_does_not_lead_back_has_no_domain() -> None:
    name = "mail.example.com"

    assert said(name, leads_back=False) == NameSaid(17, "unconfirmed", name, "", access=False, ttl=60)
