"""Whole files: each *.cf here with the page that is made of it, which config.toml takes back."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frontproxy.core.mistakes import Mistaken
from tests.migrate.pages import FILES, NAMED, config_of, page_of, remarks_of


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_file_becomes_the_page_beside_it(path: Path) -> None:
    assert page_of(path.read_text()).text == path.with_suffix(".toml").read_text()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_page_has_no_mistakes_and_no_long_lines(path: Path) -> None:
    text = path.with_suffix(".toml").read_text()

    config_of(text)
    assert all(len(line) <= 120 for line in text.splitlines())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_secret_is_in_a_remark(path: Path) -> None:
    remarks = "\n".join(map(str, page_of(path.read_text()).remarks))

    assert "4dkq7x" not in remarks
    assert "hunter2" not in remarks + page_of(path.read_text()).text


@pytest.mark.parametrize(
    ("value", "pause"),
    [("${stress?{2}:{6}}s", 6), ("11", 11), ("1m", 60), ("10m", 240), ("0", 0), ("99999999w", 240)],
)
def test_the_wait_is_the_pause(value: str, pause: float) -> None:
    assert config_of(page_of(f"postscreen_greet_wait = {value}").text).listen.pause == pause


@pytest.mark.parametrize("value", ["soon", "6.5s", "-1s", "6 s", "${nope}s"])
def test_a_wait_that_is_none_is_told(value: str) -> None:
    assert "this is not a time" in remarks_of(f"postscreen_greet_wait = {value}")[0]


@pytest.mark.parametrize(
    ("setting", "teaser"),
    [
        ("", "mx.example.org ESMTP Postfix"),
        ("smtpd_banner = $myhostname ESMTP", "mx.example.org ESMTP"),
        ("postscreen_greet_banner = wait", "wait"),
        ("postscreen_greet_banner =", ""),
    ],
)
def test_the_banner_is_the_teaser(setting: str, teaser: str) -> None:
    assert config_of(page_of(f"{NAMED}{setting}").text).listen.teaser == teaser


@pytest.mark.parametrize("banner", ["x" * 201, "Grüezi", "220-mx", "a\x1b[31m"])
def test_a_banner_that_cannot_be_said_is_told(banner: str) -> None:
    assert "postscreen_greet_banner: it is longer" in remarks_of(f"postscreen_greet_banner = {banner}")[0]


@pytest.mark.parametrize(("action", "points"), [("ignore", 0), ("enforce", -30), ("drop", -30), ("DROP", -30)])
def test_talking_early_counts_if_postscreen_acted_on_it(action: str, points: float) -> None:
    assert config_of(page_of(f"postscreen_greet_action = {action}").text).points.pregreet == points


def test_the_route_that_the_page_proposes_works() -> None:
    text = (page_of(NAMED + "postscreen_greet_action = drop").text).replace("#[[route]]", "[[route]]")
    text = text.replace("#when", "when").replace("#reply", "reply") + '[[route]]\nto = "hostile"\n'

    assert [route.reply for route in config_of(text).routes] == ["421 4.7.1 Service unavailable", ""]


def test_a_file_without_postscreen_is_remarked_on() -> None:
    assert remarks_of("") == [
        "main.cf: postscreen: main.cf sets nothing of it; are its settings in master.cf, after -o?"
    ]


_NAMES = st.sampled_from(
    [
        *("mynetworks", "myhostname", "postscreen_access_list", "postscreen_dnsbl_sites", "postscreen_dnsbl_threshold"),
        *("postscreen_greet_wait", "postscreen_greet_banner", "postscreen_dnsbl_action"),
        "postscreen_bare_newline_enable",
    ]
)
_VALUES = st.text(alphabet="ab1.0/ ,=*[]{}$:;?!-~é\x1b\x7f", max_size=30) | st.sampled_from(["drop", "enforce", "yes"])


@settings(max_examples=60)
@given(st.lists(st.tuples(_NAMES, _VALUES), max_size=6))
def test_no_file_raises_anything_but_mistaken_and_each_page_is_taken(lines: list[tuple[str, str]]) -> None:
    try:
        page = page_of("\n".join(f"{name} = {value}" for name, value in lines))
    except Mistaken:
        return
    config_of(page.text)
    assert all(character.isprintable() for character in page.text.replace("\n", ""))
    assert all(str(remark).isprintable() for remark in page.remarks)
