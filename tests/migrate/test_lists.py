"""The [[list]] tables of the page."""

import re

from frontproxy.observe.cidr import parse_network
from tests.migrate.pages import NAMED, config_of, page_of, remarks_of

TABLE = "postscreen_access_list = permit_mynetworks cidr:{{ {{203.0.113.0/24 permit}} {} }}\n"


def many(count: int) -> str:
    rules = " ".join(f"{{198.51.100.{last} reject}}" for last in range(0, 2 * count, 2))
    return NAMED + TABLE.format(rules) + "postscreen_denylist_action = drop\n"


def test_each_action_is_a_list_of_its_kind() -> None:
    lists = config_of(page_of(many(1)).text).lists

    assert [(entry.name, entry.kind, entry.points, entry.networks) for entry in lists] == [
        ("postscreen-own", "own", 0, ("127.0.0.0/8",)),
        ("postscreen-permit", "points", 30, ("203.0.113.0/24",)),
        ("postscreen-deny", "deny", 0, ("198.51.100.0/32",)),
    ]


def test_twenty_networks_stand_in_the_file_and_more_beside_it() -> None:
    assert len(config_of(page_of(many(20)).text).lists[2].networks) == 20
    assert [entry.name for entry in config_of(page_of(many(21)).text).lists] == ["postscreen-own", "postscreen-permit"]


def test_the_command_on_the_page_makes_a_list_file_of_what_follows_it() -> None:
    text = page_of(many(21)).text
    pattern = re.search(r"sed -n 's/(\^#postscreen-deny# )//p'", text)
    assert pattern

    networks = [line[len("#postscreen-deny# ") :] for line in text.splitlines() if re.match(pattern[1], line)]
    assert len([parse_network(network) for network in networks]) == 21
    assert '#file = "postscreen-deny.cidr"' in text


def test_whom_postscreen_only_warned_of_is_not_refused() -> None:
    ignoring = many(1).replace("drop", "ignore")

    assert [entry.kind for entry in config_of(page_of(ignoring).text).lists] == ["own", "points"]
    assert '#kind = "deny"' in page_of(ignoring).text
    assert any("postscreen_denylist_action: it is ignore" in remark for remark in remarks_of(ignoring))


def test_without_the_command_the_house_is_not_on_a_list() -> None:
    assert config_of(page_of(f"{NAMED}postscreen_access_list =\n").text).lists == ()
