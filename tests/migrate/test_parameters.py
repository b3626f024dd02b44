"""Values in force: main.cf over Postfix's defaults, old spellings and stress."""

from pathlib import Path

import pytest

from frontproxy.core.mistakes import Mistaken
from frontproxy.migrate.main_cf import parse_main_cf
from frontproxy.migrate.parameters import Parameters, Value


def value(text: str, name: str) -> Value:
    return Parameters("main.cf", parse_main_cf(text, "main.cf"), Path("/etc/postfix")).value(name)


def test_what_the_file_does_not_set_is_postfix_default() -> None:
    assert value("", "postscreen_greet_wait") == Value("6s", "2s", (), 0)
    assert value("", "postscreen_dnsbl_threshold") == Value("1", "1", (), 0)


def test_a_value_is_calm_or_under_stress() -> None:
    assert value("postscreen_greet_wait = ${stress?{1}:{9}}", "postscreen_greet_wait") == Value("9", "1", (), 1)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("postscreen_blacklist_action", "postscreen_denylist_action"),
        ("postscreen_whitelist_interfaces", "postscreen_allowlist_interfaces"),
        ("postscreen_dnsbl_whitelist_threshold", "postscreen_dnsbl_allowlist_threshold"),
    ],
)
def test_old_spellings_are_understood_and_new_ones_win(old: str, new: str) -> None:
    assert value(f"\n{old} = old", new) == Value("old", "old", (), 2)
    assert value(f"{old} = old\n{new} = new", new) == Value("new", "new", (), 2)


def test_what_depends_on_the_machine_is_not_known() -> None:
    assert value("", "postscreen_greet_banner") == Value(" ESMTP Postfix", " ESMTP Postfix", ("myhostname",), 0)


def test_the_folder_of_the_file_is_its_config_directory() -> None:
    assert value("a = $config_directory/b", "a").text == "/etc/postfix/b"


def test_an_expression_that_postfix_refuses_is_the_operators_mistake() -> None:
    with pytest.raises(Mistaken, match=r"main.cf:2: a: .*circle"):
        value("\na = $a", "a")
