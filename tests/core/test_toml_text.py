"""Tables as text: whatever is in them can be read again."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontproxy.core.toml_text import dumps, quoted

TEXTS = st.text(st.characters(codec="utf-8"))


@pytest.mark.parametrize("text", ["\\x", "C:\\xfiles", "a\\x1b", "\x7f", "\x00\n\t", '"', "'", "\U0001f600"])
def test_a_text_is_read_as_it_was_written(text: str) -> None:
    assert tomllib.loads(f"a = {quoted(text)}") == {"a": text}


@given(st.dictionaries(st.sampled_from("abc"), st.one_of(TEXTS, st.lists(TEXTS), st.dictionaries(st.just("d"), TEXTS))))
def test_tables_are_read_as_they_were_written(tables: dict[str, object]) -> None:
    assert tomllib.loads(dumps(tables)) == tables


def test_a_key_may_have_dots_and_quotes() -> None:
    assert tomllib.loads(dumps({"a": {"b.c\"d'": "\\x"}})) == {"a": {"b.c\"d'": "\\x"}}
