"""The $ expressions of main.cf; tests/real/test_migrate.py compares the same table with Postfix itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontproxy.migrate.expansion import ExpansionError, expand
from tests.migrate.expressions import BROKEN, EXPRESSIONS, VALUES


@pytest.mark.parametrize(("expression", "text"), EXPRESSIONS.items())
def test_expressions_come_to_what_postfix_makes_of_them(expression: str, text: str) -> None:
    assert expand(expression, VALUES.get).text == text


@pytest.mark.parametrize("expression", BROKEN)
def test_what_postfix_refuses_is_an_error(expression: str) -> None:
    with pytest.raises(ExpansionError):
        expand(expression, VALUES.get)


def test_names_that_were_needed_and_not_known_are_told() -> None:
    assert expand("$nope ${nope?{$b}:{$c}} ${yes?$d}", {"yes": "1"}.get).unknown == {"nope", "c", "d"}


def test_a_value_that_doubles_with_each_line_is_refused_before_it_is_built() -> None:
    doubling = {f"a{number}": f"$a{number + 1}$a{number + 1}" for number in range(19)} | {"a19": "x" * 100}

    with pytest.raises(ExpansionError, match="characters"):
        expand("$a0", doubling.get)


def test_empty_values_cost_something_too() -> None:
    doubling = {f"a{number}": f"$a{number + 1}$a{number + 1}" for number in range(19)} | {"a19": ""}

    with pytest.raises(ExpansionError, match="characters"):
        expand("$a0", doubling.get)


@given(st.text(alphabet="ab$${}():?=<> 1", max_size=40))
def test_no_expression_raises_anything_but_its_own_error(expression: str) -> None:
    values = {"a": expression, "b": "1"}
    try:
        expanded = expand(expression, values.get)
    except ExpansionError:
        return
    assert all(name in expression for name in expanded.unknown)


@given(st.text(max_size=40).filter(lambda text: "$" not in text))
def test_text_without_expressions_stays(text: str) -> None:
    assert expand(text, VALUES.get).text == text
