"""main.cf line by line: what continues what, which lines Postfix could not read, and nothing else ever raises."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontproxy.core.mistakes import Mistaken
from frontproxy.migrate.main_cf import logical_lines, parse_main_cf, words_of


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a = b", {"a": "b"}),
        ("a=b\nc = d = e\n", {"a": "b", "c": "d = e"}),
        ("a = b\na = c", {"a": "c"}),
        ("a =", {"a": ""}),
        ("  # comment\n\n \t\na = b # no comment", {"a": "b # no comment"}),
        ("a = b\n  c\n\td ", {"a": "b  c\td"}),
        ("a =\n# comment\n\n  b\nc = d", {"a": "b", "c": "d"}),
        ("  a = first line with a blank\n", {"a": "first line with a blank"}),
        ("a = b\r\nc = d\r\n", {"a": "b", "c": "d"}),
        ("a = \u2028b", {"a": "\u2028b"}),
        ("", {}),
    ],
)
def test_settings_are_read_as_postfix_reads_them(text: str, values: dict[str, str]) -> None:
    assert {name: setting.value for name, setting in parse_main_cf(text, "main.cf").items()} == values


def test_a_setting_knows_the_line_it_starts_on() -> None:
    settings = parse_main_cf("# comment\na = b\n  c\n\nd = e\na = f\n", "main.cf")

    assert {name: setting.line for name, setting in settings.items()} == {"a": 6, "d": 5}


def test_every_line_that_is_no_setting_is_told_and_none_is_shown() -> None:
    with pytest.raises(Mistaken) as raised:
        parse_main_cf("a = b\nhunter2\n= hunter2\nmy password = hunter2\nc = \0\n", "main.cf")

    assert [mistake.line for mistake in raised.value.mistakes] == [2, 3, 4, 5]
    assert "hunter2" not in str(raised.value)


@given(st.text(alphabet="ab=# \t\n\r\0${}", max_size=60) | st.text(max_size=60))
def test_no_text_raises_anything_but_mistaken(text: str) -> None:
    try:
        settings = parse_main_cf(text, "main.cf")
    except Mistaken:
        return
    lines = text.count("\n") + 1
    assert all(name and 1 <= setting.line <= lines for name, setting in settings.items())


@given(st.text(alphabet="a# \t\n", max_size=60))
def test_lines_lose_only_comments_and_blanks(text: str) -> None:
    kept = [line for line in text.split("\n") if line.strip() and not line.strip().startswith("#")]

    assert "".join(line for _, line in logical_lines(text)) == "".join(kept)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("a, b\tc,,d", ["a", "b", "c", "d"]),
        ("cidr:{ {a b}, {c d} } e", ["cidr:{ {a b}, {c d} }", "e"]),
        ("", []),
        ("} a {b c", ["}", "a", "{b c"]),
    ],
)
def test_words_are_parted_by_commas_and_blanks_outside_of_braces(value: str, words: list[str]) -> None:
    assert words_of(value) == words
