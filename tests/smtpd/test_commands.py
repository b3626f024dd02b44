"""The arguments of MAIL and RCPT."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.smtpd.commands import Address, parse_mail, parse_rcpt, valid_domain
from backends.smtpd.replies import ProtocolError


@pytest.mark.parametrize(
    ("argument", "address"),
    [
        ("TO:<ned@example.com>", Address("ned", "example.com", "ned@example.com")),
        ("to: <Ned@EXAMPLE.com>", Address("Ned", "example.com", "Ned@EXAMPLE.com")),
        ('TO:<"a \\"b"@example.com>', Address('a "b', "example.com", '"a \\"b"@example.com')),
        ("TO:<@a.example,@b.example:ned@example.com>", Address("ned", "example.com", "ned@example.com")),
        ("TO:<postmaster>", Address("postmaster", "", "postmaster")),
        ("TO:<ned@[192.0.2.1]>", Address("ned", "[192.0.2.1]", "ned@[192.0.2.1]")),
        ("TO:<ned@[IPv6:2001:db8::1]>", Address("ned", "[ipv6:2001:db8::1]", "ned@[IPv6:2001:db8::1]")),
    ],
)
def test_a_recipient_is_read(argument: str, address: Address) -> None:
    assert parse_rcpt(argument, utf8=False) == address


def test_a_sender_with_its_parameters() -> None:
    sender = parse_mail("FROM:<a@b.example> SIZE=123 BODY=8BITMIME SMTPUTF8")
    assert sender.size == 123
    assert sender.utf8
    assert parse_mail("FROM:<>").address is None


@pytest.mark.parametrize(
    ("domain", "valid"),
    [
        ("example.com", True),
        ("a_b.example", True),
        ("bücher.example", True),
        ("-a.example", False),
        ("a..b", False),
        ("", False),
        ("a.", False),
        ("x" * 64, False),
        (".".join(["x" * 60] * 5), False),
    ],
)
def test_what_a_domain_is(domain: str, valid: bool) -> None:
    assert valid_domain(domain) is valid


_WORDS = st.text(alphabet='FROMTO:<>@[]"\\.,; =aé1\t', max_size=30)


@given(_WORDS | st.text(max_size=30), st.booleans())
def test_only_the_protocols_own_error_is_raised(text: str, utf8: bool) -> None:
    for argument in (text, "FROM:" + text, "TO:" + text, f"FROM:<{text}>", f"TO:<{text}@example.com>"):
        for parse in (lambda it: parse_rcpt(it, utf8=utf8), parse_mail):
            with suppress(ProtocolError):
                parse(argument)


_LOCAL_PARTS = st.text(alphabet="az09.+_-", min_size=1, max_size=40)
_DOMAINS = st.lists(st.text(alphabet="az09", min_size=1, max_size=9), min_size=1, max_size=4).map(".".join)


@given(_LOCAL_PARTS, _DOMAINS)
def test_an_ordinary_address_comes_through_unchanged(local: str, domain: str) -> None:
    assert parse_rcpt(f"TO:<{local}@{domain}>", utf8=False) == Address(local, domain, f"{local}@{domain}")
