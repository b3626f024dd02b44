"""The [[dnslist]] tables of the page, and what is said about thresholds."""

import pytest

from tests.migrate.pages import NAMED, config_of, page_of, remarks_of

SITES = "postscreen_dnsbl_sites = bl.example.com*3 wl.example.com*-1\npostscreen_dnsbl_action = enforce\n"


def test_lists_count_if_postscreen_acted_on_them() -> None:
    lists = config_of(page_of(f"{NAMED}{SITES}postscreen_dnsbl_threshold = 3").text).dnslists

    assert [settings.worth(("127.0.0.2",)) for settings in lists] == [-15, 5]


def test_lists_that_postscreen_only_watched_are_worth_nothing() -> None:
    text = f"{NAMED}{SITES}postscreen_dnsbl_action = ignore"

    assert [settings.worth(("127.0.0.2",)) for settings in config_of(page_of(text).text).dnslists] == [0, 0]
    assert any("postscreen_dnsbl_action: it is ignore" in remark for remark in remarks_of(text))


def test_without_sites_nothing_is_said_about_lists() -> None:
    assert "dnslist" not in page_of(f"{NAMED}postscreen_dnsbl_action = drop").text


@pytest.mark.parametrize("threshold", ["0", "-1", "two", "", "9999999999"])
def test_a_threshold_that_is_none_is_one(threshold: str) -> None:
    text = f"{SITES}postscreen_dnsbl_threshold = {threshold}\n"

    assert any("1 is taken for it" in remark for remark in remarks_of(text))
    assert config_of(page_of(NAMED + text).text).dnslists[0].worth(("127.0.0.2",)) == -45


@pytest.mark.parametrize(
    ("threshold", "allowing", "what"),
    [
        (1, 0, "it is off, but here strangers become friends by the word of wl.example.com"),
        (3, -1, "those who reach -1 have 5 points here and are friends"),
        (6, -1, "those who reach -1 have 2.5 points here and are not yet friends"),
        (6, -2, "those who reach -2 have 5 points here and are friends"),
    ],
)
def test_the_page_says_whom_an_allow_list_makes_a_friend(threshold: int, allowing: int, what: str) -> None:
    text = f"{SITES}postscreen_dnsbl_threshold = {threshold}\npostscreen_dnsbl_allowlist_threshold = {allowing}\n"

    assert what in " ".join(remarks_of(text))


def test_nothing_is_said_of_an_allow_list_that_makes_no_friends() -> None:
    assert remarks_of(f"{SITES}postscreen_dnsbl_threshold = 4\n") == []


def test_sites_that_need_what_nobody_told_us_are_not_translated() -> None:
    assert "it needs nope" in remarks_of("postscreen_dnsbl_sites = $nope.example.com")[0]
