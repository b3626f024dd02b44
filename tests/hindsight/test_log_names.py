"""Names in logs: which domain makes a provider of them, and that they hold no longer than the session."""

import pytest

from frontproxy.core.address import pack
from frontproxy.core.history import KnownName
from frontproxy.hindsight.names import LogNames

ADDRESS = pack("192.0.2.77")
ENDED = 1.7e9


@pytest.fixture(scope="module")
def names() -> LogNames:
    return LogNames(["hoster.example"])


@pytest.mark.parametrize(
    ("text", "name", "domain"),
    [
        ("mail.example.co.uk", "mail.example.co.uk", "example.co.uk"),
        ("MAIL.Example.com.", "mail.example.com", "example.com"),
        ("a.hoster.example", "a.hoster.example", ""),
        ("192-0-2-77.dynamic.isp.example", "192-0-2-77.dynamic.isp.example", ""),
    ],
)
def test_a_name_holds_until_the_session_ended(names: LogNames, text: str, name: str, domain: str) -> None:
    assert names.of(text, ADDRESS, ENDED) == KnownName(name, domain, ENDED)


@pytest.mark.parametrize("text", ["", "unknown", "192.0.2.77", 'a".example.com', "a b.example.com", "\x1b.example.com"])
def test_what_is_no_host_name_is_none(names: LogNames, text: str) -> None:
    assert names.of(text, ADDRESS, ENDED) is None
