"""postscreen_access_list followed to its end, what is noted where it cannot be, and the tables it becomes."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontproxy.migrate.access_list import AccessList, read_access_list
from frontproxy.migrate.main_cf import Setting
from frontproxy.migrate.parameters import Parameters
from frontproxy.observe.cidr import parse_network
from tests.migrate.pages import NAMED, config_of, page_of, remarks_of

TABLE = "postscreen_access_list = permit_mynetworks cidr:{{ {{203.0.113.0/24 permit}} {} }}\n"


def follow(access_list: str, mynetworks: str = "127.0.0.0/8", **tables: str) -> AccessList:
    settings = {"postscreen_access_list": Setting(access_list, 1), "mynetworks": Setting(mynetworks, 2)}

    def read_table(path: Path) -> str:
        if path.name not in tables:
            raise FileNotFoundError(2, "No such file or directory")
        return tables[path.name]

    return read_access_list(Parameters("main.cf", settings, Path("/etc/postfix")), read_table)


def networks(found: AccessList) -> dict[str, list[str]]:
    return {action: [str(network) for network in members] for action, members in found.networks.items() if members}


def test_the_machines_of_the_house_are_its_own() -> None:
    found = follow("permit_mynetworks", "127.0.0.0/8, [::ffff:127.0.0.0]/104 [::1]/128 [2001:db8::]/32 192.0.2.1")

    assert networks(found) == {"own": ["127.0.0.0/8", "::1/128", "2001:db8::/32", "192.0.2.1/32"]}
    assert found.remarks == []


def test_an_exception_before_a_network_is_cut_out_of_it() -> None:
    assert networks(follow("permit_mynetworks", "!192.0.2.0/31 192.0.2.0/30")) == {"own": ["192.0.2.2/31"]}


def test_a_table_is_followed_in_the_case_and_spelling_of_postfix() -> None:
    found = follow("cidr:/t", t="# comment\n[2001:db8::]/32 Permit\n\n192.0.2.0/24\n   REJECT, dunno\n")

    assert networks(found) == {"permit": ["2001:db8::/32"], "reject": ["192.0.2.0/24"]}
    assert found.remarks == []


def test_a_table_may_stand_in_main_cf_itself() -> None:
    found = follow("cidr:{ {192.0.2.0/24 permit}, { 198.51.100.0/24 reject } }")

    assert networks(found) == {"permit": ["192.0.2.0/24"], "reject": ["198.51.100.0/24"]}


def test_dunno_ends_its_table_only() -> None:
    found = follow("cidr:/one cidr:/two", one="192.0.2.1 dunno\n192.0.2.0/24 permit", two="192.0.2.0/24 reject")

    assert "192.0.2.1/32" in networks(found)["reject"]
    assert "192.0.2.1/32" not in networks(found)["permit"]


def test_what_an_earlier_table_decides_is_not_asked_of_a_later_one() -> None:
    found = follow("permit_mynetworks cidr:/t", "192.0.2.0/25", t="192.0.2.0/24 reject")

    assert networks(found) == {"own": ["192.0.2.0/25"], "reject": ["192.0.2.128/25"]}


@pytest.mark.parametrize("command", ["dunno", "permit", "reject"])
def test_a_plain_command_ends_the_search(command: str) -> None:
    found = follow(f"permit_mynetworks {command} cidr:/t", t="192.0.2.0/24 reject")

    assert networks(found) == {"own": ["127.0.0.0/8"]}
    assert len(found.remarks) == (command != "dunno")


@pytest.mark.parametrize("rule", ["!192.0.2.0/24 reject", "if 192.0.2.0/24", "IF 192.0.2.0/24", "endif"])
def test_exceptions_in_a_table_are_not_followed_nor_what_comes_after(rule: str) -> None:
    found = follow("cidr:/t", t=f"198.51.100.1 permit\n{rule}\n198.51.100.2 permit")

    assert networks(found) == {"permit": ["198.51.100.1/32"]}
    assert "line 2: exceptions" in found.remarks[0][1]


def test_odd_rules_are_noted_once_and_keep_their_network_from_later_ones() -> None:
    odd = "\n".join(["192.0.2.1 OK", "host.example permit", "192.0.2.7/24 permit", "192.0.2.2", *["x"] * 20])
    found = follow("cidr:/t", t=f"{odd}\n192.0.2.0/30 reject")

    assert networks(found) == {"reject": ["192.0.2.0/32", "192.0.2.3/32"]}
    assert len(found.remarks) == 1
    assert found.remarks[0][1].endswith("(line 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 ...)")


@pytest.mark.parametrize(
    ("access_list", "mynetworks", "what"),
    [
        ("hash:/etc/postfix/clients", "", "type 'hash' are not read"),
        ("mysql:{password=hunter2}", "", "type 'mysql' are not read"),
        ("cidr:/gone", "", "'/gone' cannot be read: No such file"),
        ("cidr:gone", "", "not the full path"),
        ("permit_everybody", "", "does not know"),
        ("permit_mynetworks", "/etc/postfix/networks", "a file or a table"),
        ("permit_mynetworks", "hash:/etc/postfix/networks", "a file or a table"),
        ("permit_mynetworks", "10.0.0.1/8", "'10.0.0.1/8' is not a network"),
        ("permit_mynetworks", "$nope", "it needs nope"),
        ("cidr:$nope/t", "", "it needs nope"),
    ],
)
def test_what_cannot_be_followed_is_noted_without_secrets(access_list: str, mynetworks: str, what: str) -> None:
    found = follow(access_list, mynetworks)

    assert networks(found) == {}
    assert [what in text for _, text, _ in found.remarks] == [True]
    assert "hunter2" not in str(found.remarks)


@given(
    st.text(alphabet="12.0/:[]!{}f \n", max_size=60), st.text(alphabet="cidr:{} !permit_mynetworks/,1.", max_size=40)
)
def test_nothing_that_is_written_there_raises(table: str, access_list: str) -> None:
    follow(f"cidr:/t {access_list}", table.replace("\n", " "), t=table)


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
