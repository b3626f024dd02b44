"""Rules of which the first counts, as networks of which each stands for itself."""

from ipaddress import IPv4Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontproxy.migrate.first_match import Action, Rule, first_matches

_RULES = st.lists(
    st.tuples(
        st.tuples(st.integers(0, 15), st.integers(28, 32)).map(
            lambda pair: ip_network(f"192.0.2.{pair[0]}/{pair[1]}", strict=False)
        ),
        st.sampled_from(["own", "permit", "reject", "dunno"]),
    ),
    max_size=8,
)


def matches(*rules: tuple[str, Action]) -> dict[str, list[str]]:
    found = first_matches([(ip_network(network), action) for network, action in rules])
    return {action: [str(network) for network in networks] for action, networks in found.items() if networks}


def test_networks_apart_stay_as_they_are() -> None:
    rules: list[tuple[str, Action]] = [("192.0.2.0/25", "permit"), ("2001:db8::/32", "reject")]

    assert matches(*rules) == {"permit": ["192.0.2.0/25"], "reject": ["2001:db8::/32"]}


def test_what_was_decided_before_is_cut_out() -> None:
    assert matches(("192.0.2.1/32", "dunno"), ("192.0.2.0/30", "reject")) == {
        "dunno": ["192.0.2.1/32"],
        "reject": ["192.0.2.0/32", "192.0.2.2/31"],
    }


def test_what_was_decided_alike_is_not_cut_out() -> None:
    assert matches(("192.0.2.1/32", "reject"), ("192.0.2.0/24", "reject")) == {
        "reject": ["192.0.2.1/32", "192.0.2.0/24"]
    }


@pytest.mark.parametrize("later", ["192.0.2.0/24", "192.0.2.128/25", "192.0.2.9/32"])
def test_a_rule_that_is_never_reached_does_nothing(later: str) -> None:
    assert matches(("192.0.2.0/24", "permit"), (later, "reject")) == {"permit": ["192.0.2.0/24"]}


def test_the_whole_internet_is_a_network() -> None:
    assert matches(("::/0", "reject"), ("0.0.0.0/0", "permit")) == {"permit": ["0.0.0.0/0"], "reject": ["::/0"]}


@given(_RULES)
def test_every_address_gets_what_its_first_match_says(rules: list[Rule]) -> None:
    found = first_matches(rules)

    for last in range(16):
        address = IPv4Address(f"192.0.2.{last}")
        expected = next((action for network, action in rules if address in network), None)
        assert {action for action, networks in found.items() if any(address in network for network in networks)} == (
            {expected} if expected else set()
        )
