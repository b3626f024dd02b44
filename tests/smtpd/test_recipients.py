"""Which addresses are ours."""

import pytest

from backends.smtpd.commands import parse_rcpt
from backends.smtpd.recipients import BadEntry, Recipients, Standing, read_table

_DOMAINS = frozenset({"example.com", "example.org"})
_TABLE = read_table(["# people", "ned", "Ann@example.org  # only there", "", "a+b"])


@pytest.mark.parametrize(
    ("path", "standing"),
    [
        ("ned@example.com", Standing.KNOWN),
        ("NED@example.org", Standing.KNOWN),
        ("ned+list@example.com", Standing.KNOWN),
        ("a+b@example.com", Standing.KNOWN),
        ("+ned@example.com", Standing.UNKNOWN),
        ("ann@example.org", Standing.KNOWN),
        ("ann@example.com", Standing.UNKNOWN),
        ("ned@example.net", Standing.RELAY),
        ("ned@sub.example.com", Standing.RELAY),
        ("postmaster@example.net", Standing.RELAY),
        ("PostMaster@example.com", Standing.UNVERIFIED),
        ("postmaster", Standing.UNVERIFIED),
        ('"ned@example.net"@example.com', Standing.UNKNOWN),
    ],
)
def test_a_table_decides(path: str, standing: Standing) -> None:
    address = parse_rcpt(f"TO:<{path}>", utf8=False)
    assert Recipients(_DOMAINS, _TABLE).standing_of(address) is standing


def test_without_a_table_every_local_part_is_taken_and_none_is_verified() -> None:
    recipients = Recipients(_DOMAINS)
    assert recipients.standing_of(parse_rcpt("TO:<x@example.com>", utf8=False)) is Standing.UNVERIFIED
    assert recipients.standing_of(parse_rcpt("TO:<x@example.net>", utf8=False)) is Standing.RELAY


def test_an_empty_table_knows_nobody() -> None:
    recipients = Recipients(_DOMAINS, frozenset())
    assert recipients.standing_of(parse_rcpt("TO:<x@example.com>", utf8=False)) is Standing.UNKNOWN


@pytest.mark.parametrize("line", ["two words", "a@b@c", "@example.com", "a@-b", "../x y", "x" * 65, "a\0b"])
def test_a_bad_line_is_named_by_its_number(line: str) -> None:
    with pytest.raises(BadEntry, match=r"^line 3: "):
        read_table(["ned", "", line])


def test_the_fingerprint_differs_when_the_table_does() -> None:
    def of(*names: str) -> str:
        return Recipients(frozenset(), frozenset(names)).fingerprint()

    assert of("ann", "ned") == of("ned", "ann") != of("ann")
    assert Recipients(frozenset()).fingerprint() == "" != of()
