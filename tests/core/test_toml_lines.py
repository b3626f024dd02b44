"""Lines of keys: whatever TOML allows, a key is found on the line it stands on."""

import tomllib
from typing import Any

import toml
from hypothesis import given, settings
from hypothesis import strategies as st

from frontproxy.core.toml_lines import KeyPath, key_lines, line_of

EVERYTHING = '''# [not.a.table]
mode = "x" # = [
[listen]
addresses = [ # [
  "]", """
  no = "key"
""", {port = 1},
]
long = """x = 1 \\""" [
"""" # two quotes more
raw = \'\'\'
[no.table]
\'\'\'\'\'
"c.d".'e=f'."g\\u0041" = 5
  [ "p q" . r ]
z = {a = 1, b = [2]}
[[route]]
when = "1"
[route.sub]
y = 1
[[route.part]]
[[route.part]]
z = 1
[[route]]
when = \'2\'
[smtpd.hostile.stress]
limit = 2024-01-01T00:00:00Z'''


def test_every_way_of_writing_toml_has_its_lines() -> None:
    assert {path: line for path, line in key_lines(EVERYTHING).items() if path[-1] not in {"route", 0}} == {
        ("mode",): 2,
        ("listen",): 3,
        ("listen", "addresses"): 4,
        ("listen", "long"): 9,
        ("listen", "raw"): 11,
        ("listen", "c.d"): 14,
        ("listen", "c.d", "e=f"): 14,
        ("listen", "c.d", "e=f", "gA"): 14,
        ("p q",): 15,
        ("p q", "r"): 15,
        ("p q", "r", "z"): 16,
        ("route", 0, "when"): 18,
        ("route", 0, "sub"): 19,
        ("route", 0, "sub", "y"): 20,
        ("route", 0, "part"): 21,
        ("route", 0, "part", 1): 22,
        ("route", 0, "part", 1, "z"): 23,
        ("route", 1): 24,
        ("route", 1, "when"): 25,
        ("smtpd",): 26,
        ("smtpd", "hostile"): 26,
        ("smtpd", "hostile", "stress"): 26,
        ("smtpd", "hostile", "stress", "limit"): 27,
    }


def test_line_ends_of_either_kind_count_once() -> None:
    assert key_lines("a = 1\r\n\r\nb = [\r\n]\r\nc = 2\r\n") == {("a",): 1, ("b",): 3, ("c",): 5}


def test_a_key_without_a_line_has_that_of_the_table_around_it() -> None:
    lines = key_lines("\n[pool.nice]\nqueue = 5\n")

    assert line_of(("pool", "nice", "sessions"), lines) == 2
    assert line_of(("route", 0), lines) == 0


def _paths(value: Any, around: KeyPath = ()) -> set[KeyPath]:
    """The paths to all keys and tables in a value that toml writes with headers of its own."""
    paths = {around} if around else set()
    if isinstance(value, dict):
        return paths.union(*(_paths(inner, (*around, key)) for key, inner in value.items()))
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return paths.union(*(_paths(inner, (*around, index)) for index, inner in enumerate(value)))
    return paths


words = st.text("ab.=[]#\"' -é", min_size=1)
scalars = st.one_of(st.integers(), st.booleans(), words, st.lists(words, max_size=3))
tables = st.recursive(
    st.dictionaries(words, scalars, max_size=3),
    lambda inner: st.dictionaries(
        st.sampled_from("abc"), st.one_of(inner, st.lists(inner, min_size=1, max_size=2)), max_size=3
    ),
    max_leaves=6,
)


@settings(max_examples=20)
@given(tables)
def test_every_key_is_found_on_a_line_of_its_own(table: dict[str, Any]) -> None:
    text = toml.dumps(table)
    lines = key_lines(text)

    assert _paths(tomllib.loads(text)) == lines.keys()
    assert all(1 <= line <= text.count("\n") + 1 for line in lines.values())
