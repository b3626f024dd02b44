"""postscreen_dnsbl_sites: zones, weights as points, thresholds, and keys that are nobody's business."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontproxy.core.dnslist import LISTS_LIMIT
from frontproxy.migrate.dnsbl_sites import friends_by, masked, points_of, read_sites, toml_of
from tests.migrate.pages import NAMED, config_of, page_of, remarks_of

SITES = "postscreen_dnsbl_sites = bl.example.com*3 wl.example.com*-1\npostscreen_dnsbl_action = enforce\n"


def worth(sites: str, code: str, threshold: int = 3) -> list[float | None]:
    """What each list of the page makes of a reply."""
    lines = [line for zone in read_sites(sites).zones for line in toml_of(zone, threshold, counts=True)]
    return [settings.worth((code,)) for settings in config_of("\n".join(lines)).dnslists]


def test_entries_of_one_domain_are_one_list() -> None:
    sites = read_sites("a.example=127.0.0.2*3 B.example, A.example.=127.0.0.3")

    assert [zone.name for zone in sites.zones] == ["a.example", "b.example"]
    assert sites.remarks == ()


def test_without_a_filter_any_listing_counts() -> None:
    assert worth("bl.example*2", "127.9.8.7") == [-10.34]


def test_a_reply_that_several_filters_match_gets_their_sum() -> None:
    sites = "bl.example*2 bl.example=127.0.0.4 bl.example=127.0.0.[4..5]*-1"

    assert [worth(sites, f"127.0.0.{last}") for last in (3, 4, 5)] == [[-10.34], [-10.34], [-5.17]]


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ("bl.example=127.0.0.1", "never a listing"),
        ("bl.example=127.255.255.[0..255]", "never a listing"),
        ("bl.example=10.0.0.2", "never a listing"),
        ("bl.example=127.0.0.2*x", "domain=filter*weight"),
        ("bl.example=127.0.0.2*", "domain=filter*weight"),
        ("bl.example=", "domain=filter*weight"),
        ("*3", "domain=filter*weight"),
        ("localhost", "not the name of a DNS list"),
        ('bl.example"', "not the name of a DNS list"),
        ("bl.example*0", "adds up to nothing"),
    ],
)
def test_what_cannot_be_translated_is_told(entry: str, why: str) -> None:
    sites = read_sites(entry)

    assert sites.zones == ()
    assert why in sites.remarks[0][0]


def test_filters_that_are_too_much_for_a_list_are_told() -> None:
    crossing = [
        f"bl.example=127.{number}.[0..255].2 bl.example=127.[0..255].{number}.2*-1" for number in range(1, 60, 2)
    ]
    sites = read_sites(" ".join(crossing))

    assert (sites.zones, sites.remarks[0][1]) == ((), "write fewer filters")


def test_a_filter_is_kept_as_far_as_its_replies_are_listings() -> None:
    assert worth("bl.example=[10;127].0.0.[1;4]", "127.0.0.4") == [-5.17]


@pytest.mark.parametrize("threshold", [1, 2, 3, 7, 8, 14, 38])
def test_weights_that_reach_the_threshold_together_make_a_foe(threshold: int) -> None:
    assert points_of(threshold, threshold) == -15.5
    assert threshold * points_of(1, threshold) <= -15.5
    assert (threshold - 1) * points_of(1, threshold) > -15.5


@given(st.lists(st.integers(-20, 20), min_size=1, max_size=8), st.integers(1, 40))
def test_a_sum_of_weights_at_the_threshold_never_falls_short(weights: list[int], threshold: int) -> None:
    points = [points_of(weight, threshold) for weight in weights]

    if sum(weights) >= threshold and min(points) > LISTS_LIMIT:
        assert round(sum(points), 6) <= -15.5


def test_points_stay_within_what_config_toml_allows() -> None:
    assert worth("bl.example*999999999", "127.0.0.2", 1) == [-100]
    assert worth("wl.example*-999999999", "127.0.0.2", 1) == [100]


def test_many_replies_stand_on_lines_of_their_own() -> None:
    zone = read_sites("bl.example=127.0.0.[2;4;6;8]").zones[0]

    assert "[dnslist.replies]" in toml_of(zone, 1, counts=True)
    assert '"127.0.0.8" = -15.5' in toml_of(zone, 1, counts=True)


def test_a_list_that_does_not_count_has_its_points_as_comments() -> None:
    lines = toml_of(read_sites("bl.example").zones[0], 1, counts=False)

    assert '"127.*.*.*" = 0  # -15.5' in lines
    assert config_of("\n".join(lines)).dnslists[0].worth(("127.0.0.2",)) == 0


def test_lists_that_make_friends_alone_are_named() -> None:
    zones = read_sites("wl.example*-1 weak.example*-1 weak.example=127.0.0.2*2 bl.example*9").zones

    assert friends_by(zones, 3, 5) == ["wl.example", "weak.example"]
    assert friends_by(zones, 4, 5) == []


@pytest.mark.parametrize(
    ("zone", "shown"),
    [
        ("zen.spamhaus.org", "zen.spamhaus.org"),
        ("b.barracudacentral.org", "b.barracudacentral.org"),
        ("hostkarma.junkemailfilter.com", "hostkarma.junkemailfilter.com"),
        ("4dkq7xabcdefgh2ijklmnopqr5.zen.dq.spamhaus.net", "***.zen.dq.spamhaus.net"),
        ("0123456789abcdef0123456789abcdef.combined.mail.abusix.zone", "***.combined.mail.abusix.zone"),
    ],
)
def test_a_key_in_a_zone_is_not_shown(zone: str, shown: str) -> None:
    assert masked(zone) == shown
    assert read_sites(zone).zones[0].entries == [shown]


@given(st.text(alphabet="ab.=*[];127,- {}", max_size=60))
def test_nothing_that_is_written_there_raises(value: str) -> None:
    sites = read_sites(value)

    config_of("\n".join(line for zone in sites.zones for line in toml_of(zone, 2, counts=True)))


def test_lists_count_if_postscreen_acted_on_them() -> None:
    lists = config_of(page_of(f"{NAMED}{SITES}postscreen_dnsbl_threshold = 3").text).dnslists

    assert [settings.worth(("127.0.0.2",)) for settings in lists] == [-15.5, 5.16]


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
    assert config_of(page_of(NAMED + text).text).dnslists[0].worth(("127.0.0.2",)) == -46.5


@pytest.mark.parametrize(
    ("threshold", "allowing", "what"),
    [
        (3, 0, "it is off, but here strangers become friends by the word of wl.example.com alone; write fewer"),
        (3, -1, ": here strangers become friends by the word of wl.example.com alone; several lists together only"),
        (4, -1, "it takes one list of 5 points (listen.settled) to make a friend, and none has them; several lists"),
        (4, -9, "it takes one list of 5 points (listen.settled) to make a friend, and none has them; several lists"),
    ],
)
def test_the_page_says_which_list_makes_friends_alone(threshold: int, allowing: int, what: str) -> None:
    text = f"{SITES}postscreen_dnsbl_threshold = {threshold}\npostscreen_dnsbl_allowlist_threshold = {allowing}\n"

    assert what in " ".join(remarks_of(text))


def test_nothing_is_said_of_an_allow_list_that_makes_no_friends() -> None:
    assert remarks_of(f"{SITES}postscreen_dnsbl_threshold = 4\n") == []


def test_sites_that_need_what_nobody_told_us_are_not_translated() -> None:
    assert "it needs nope" in remarks_of("postscreen_dnsbl_sites = $nope.example.com")[0]
