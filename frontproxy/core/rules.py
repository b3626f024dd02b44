"""The `when` of a route: an expression over what is known of a client, such as `stress and score <= -10`.

It is a small corner of Python's language, so Python's own parser reads it, once, after a check of its length and
characters; what the tree may hold and what it means is said in `rule_terms`.
"""

import ast
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from frontproxy.core.rule_terms import LANGUAGE, Refusal, condition

_LONGEST: Final = 1000


class RuleError(ValueError):
    """A rule that cannot be used: the column (from 1), what is wrong there, what to do about it."""

    def __init__(self, column: int, what: str, remedy: str) -> None:
        self.column = column
        self.what = what
        self.remedy = remedy
        super().__init__(f"column {column}: {what}; {remedy}")


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that was checked and compiled. Two rules are equal if their texts are."""

    text: str
    names: frozenset[str] = field(compare=False)
    """The names it asks for."""
    members: frozenset[tuple[str, str]] = field(compare=False)
    """What it asks for by `in`: ("lists", "partners") for `"partners" in lists`."""
    _test: Callable[[Mapping[str, object]], object] = field(compare=False, repr=False)

    def holds(self, facts: Mapping[str, object]) -> bool:
        """Whether it is true of these facts, which must have every name of `names`; others are ignored."""
        return bool(self._test(facts))


def compile_rule(text: str) -> Rule:
    """Check and compile a rule; raises RuleError, whatever the text."""
    tree = _parse(text)
    try:
        test = condition(tree)
    except Refusal as refusal:
        # Python counts columns in octets of UTF-8.
        before = text.encode()[: refusal.node.col_offset].decode()
        raise RuleError(len(before) + 1, refusal.what, refusal.remedy) from None
    nodes = list(ast.walk(tree))
    names = frozenset(node.id for node in nodes if isinstance(node, ast.Name))
    members = frozenset(pair for node in nodes if isinstance(node, ast.Compare) for pair in _members(node))
    return Rule(text, names, members, test)


def _parse(text: str) -> ast.expr:
    if len(text) > _LONGEST:
        raise RuleError(_LONGEST + 1, f"the rule has {len(text):,} characters", f"use at most {_LONGEST:,}")
    for column, character in enumerate(text, start=1):
        if not character.isprintable():
            raise RuleError(column, f"{character!a} has no place in a rule", "write one line of plain text")
    if not text or text.startswith(" "):
        raise RuleError(1, "there is no rule here", "start with a condition, such as score >= 5")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # `"\d"`, `1or foe`: Python reads these for now, but warns
            return ast.parse(text, mode="eval").body
    except SyntaxError as error:
        column = min(error.offset or len(text) + 1, len(text) + 1)  # no offset: the text ended too early
        where = repr(text[column - 1 :][:20]) if column <= len(text) else "its end"
        raise RuleError(column, f"the rule cannot be read at {where}", LANGUAGE) from None
    except (RecursionError, MemoryError):
        raise RuleError(1, "the rule is nested too deeply", "write it with fewer parentheses") from None


def _members(node: ast.Compare) -> list[tuple[str, str]]:
    asked = []
    for left, operation, right in zip([node.left, *node.comparators], node.ops, node.comparators, strict=False):
        match left, operation, right:
            case ast.Constant(value=str() as member), ast.In() | ast.NotIn(), ast.Name(id=name):
                asked.append((name, member))
    return asked
