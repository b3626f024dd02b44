"""The page: comments wrapped, remarks on it and beside it."""

from pathlib import Path

import pytest

from frontproxy.core.toml_text import quoted
from frontproxy.migrate.main_cf import Setting
from frontproxy.migrate.page import Page, is_accepted
from frontproxy.migrate.parameters import Parameters
from tests.migrate.pages import config_of


def page(**settings: str) -> Page:
    numbered = {name: Setting(value, line) for line, (name, value) in enumerate(settings.items(), start=1)}
    return Page(Parameters("main.cf", numbered, Path("/etc/postfix")))


def test_a_remark_stands_on_the_page_and_beside_it() -> None:
    made = page(postscreen_cache_map="btree:x")
    made.remark("postscreen_cache_map", "it is gone", "learn anew")
    made.remark("postscreen_greet_wait", "it is a default", "none")

    assert [str(remark) for remark in made.remarks] == [
        "main.cf:1: postscreen_cache_map: it is gone; learn anew",
        "main.cf: postscreen_greet_wait: it is a default; none",
    ]
    assert made.text.splitlines() == [
        "# not translated: postscreen_cache_map (line 1): it is gone; learn anew",
        "# not translated: postscreen_greet_wait: it is a default; none",
    ]


def test_long_comments_are_wrapped() -> None:
    made = page()
    made.say("word " * 100)

    assert all(line.startswith("# word") and len(line) <= 120 for line in made.text.splitlines())
    assert len(made.text.splitlines()) > 1


def test_a_source_is_a_line_or_a_default() -> None:
    made = page(postscreen_greet_wait="5s")
    made.source("postscreen_greet_wait", "a note")
    made.source("postscreen_greet_action")

    assert made.text.splitlines() == [
        "# From postscreen_greet_wait (line 1): a note.",
        "# From postscreen_greet_action (Postfix's default).",
    ]


@pytest.mark.parametrize(("text", "action"), [("ignore", "ignore"), ("DROP", "drop"), ("tarpit", "ignore")])
def test_an_action_that_postscreen_does_not_know_is_ignore(text: str, action: str) -> None:
    made = page(postscreen_greet_action=text)

    assert made.action("postscreen_greet_action") == action
    assert len(made.remarks) == (text == "tarpit")


def test_text_is_quoted_for_toml() -> None:
    text = 'a "quoted" \\ name'

    assert config_of(f"[listen]\nteaser = {quoted(text)}").listen.teaser == text


def test_a_piece_is_accepted_if_config_toml_takes_it() -> None:
    assert is_accepted('[listen]\npause = "5s"')
    assert not is_accepted('[listen]\npause = "5 minutes"')
