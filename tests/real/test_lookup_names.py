"""The names of strangers, as a real resolver tells them: confirmed, unconfirmed, missing, like an access line's."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.real.dns_trouble import SERVFAIL, SILENT
from tests.real.dns_world import ACCESS, CONFIRMED, UNCONFIRMED, UNKNOWN, World, move_in, reasons, visit, world
from tests.real.house import House, wait_for

Build = Callable[..., House]


@pytest.fixture
def dns() -> Iterator[World]:
    """A DNS of its own for each test."""
    with world() as made:
        yield made


def name_of(house: House, client: str) -> dict[str, Any]:
    """What `score` tells about a client's name, once it tells anything."""
    told: dict[str, Any] = wait_for(lambda: house.ask(f"score {client}")["name"], f"the name of {client}")
    return told


@pytest.mark.parametrize(
    ("client", "reason", "expected"),
    [
        (CONFIRMED, "name:confirmed:0.5", ("confirmed", "mail.example.org", "example.org", 0.5)),
        (UNCONFIRMED, "name:unconfirmed:-1.0", ("unconfirmed", "mail.example.net", None, -1.0)),
        (UNKNOWN, "name:missing:-3.0", ("missing", None, None, -3.0)),
    ],
    ids=["confirmed", "unconfirmed", "missing"],
)
def test_a_strangers_name_is_looked_up_and_counts(
    build: Build, dns: World, client: str, reason: str, expected: tuple[object, ...]
) -> None:
    house = move_in(build, dns.config(lists=""))

    assert reason in visit(house, client).line

    told = name_of(house, client)
    assert (told["said"], told["name"], told["domain"], told["points"]) == expected


def test_the_name_of_an_access_line_counts_against_it(build: Build, dns: World) -> None:
    house = move_in(build, dns.config(lists=""))

    assert "name:access:-4.0" in visit(house, ACCESS).line

    assert name_of(house, ACCESS)["access"] is True
    assert "name:confirmed" not in reasons(house, ACCESS)


@pytest.mark.parametrize("conduct", [SERVFAIL, SILENT], ids=["SERVFAIL", "silence"])
def test_no_answer_about_a_name_is_no_evidence(build: Build, dns: World, conduct: Any) -> None:
    dns.trouble.conduct("", conduct)
    house = move_in(build, dns.config(lists=""))

    line = visit(house, UNKNOWN).line

    assert "name:" not in line
    assert not [name for name in reasons(house, UNKNOWN) if name.startswith("name:")]


def test_rules_know_the_confirmed_name(build: Build, dns: World) -> None:
    when = "domain == 'example.org' and name == 'mail.example.org'"
    rules = f'[[route]]\nwhen = "{when}"\nreply = "421 4.7.1 Known"\n[[route]]\nto = "hostile"\n'
    house = move_in(build, dns.config(lists="") + rules)

    visit(house, UNCONFIRMED)
    with pytest.raises(AssertionError, match=r"421 4\.7\.1 Known"):
        visit(house, CONFIRMED)
