"""The language of rules: which parts an expression may have, of what kind each is, and the closure that evaluates it.

A walk over Python's tree admits the few kinds of node that the language has, finds out the kind of every term, and
refuses what can never be meant (`score == "high"`). What is admitted becomes closures over plain operators, so a rule
can call nothing, reach no attribute and name nothing but the facts below. Without loops and arithmetic its cost is
bounded by its length.
"""

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from operator import itemgetter
from typing import Any, Final, Literal

Facts = Mapping[str, object]
Kind = Literal["true or false", "a number", "text", "a tuple of texts", "a tuple of numbers"]
_Test = Callable[[Facts], Any]

NAMES: Final[Mapping[str, Kind]] = {
    "score": "a number",
    "settled": "true or false",
    "friend": "true or false",
    "foe": "true or false",
    "known": "true or false",
    "early": "true or false",
    "stress": "a tuple of texts",
    "lists": "a tuple of texts",
    "listed": "a tuple of texts",
    "asn": "a number",
    "country": "text",
    "name": "text",
    "domain": "text",
    "client": "text",
    "pool_open": "a number",
    "open_sessions": "a number",
    "rate": "a number",
}
"""Every name a rule may ask for, and the kind of its value."""

LANGUAGE: Final = "a rule has and, or, not, comparisons, in, numbers, text in quotes, tuples and parentheses"
_DEEPEST: Final = 50
_TUPLE_OF: Final[Mapping[Kind, Kind]] = {"text": "a tuple of texts", "a number": "a tuple of numbers"}
_OPERATORS: Final[Mapping[type[ast.cmpop], Callable[[Any, Any], bool]]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda member, members: member in members,
    ast.NotIn: lambda member, members: member not in members,
}


class Refusal(Exception):
    """A part of the tree that has no place in a rule."""

    def __init__(self, node: ast.expr, what: str, remedy: str) -> None:
        super().__init__(what)
        self.node = node
        self.what = what
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class _Term:
    """A part of a rule: the kind of its value, and how to get that from the facts."""

    kind: Kind
    value: _Test
    literal: Any = None
    """The value itself, where it is not a fact."""


def condition(node: ast.expr, depth: int = 0) -> _Test:
    """The test that a tree describes; raises Refusal.

    A condition is a comparison, a yes or no, or a tuple among the facts, which counts as true unless it is empty.
    """
    term = _term(node, depth)
    if term.kind == "true or false" or (term.kind == "a tuple of texts" and term.literal is None):
        return term.value
    raise Refusal(node, f"this is {term.kind}, not a condition", "compare it with something")


def _term(node: ast.expr, depth: int) -> _Term:
    if depth > _DEEPEST:
        raise Refusal(node, "the rule is nested too deeply", "write it with fewer parentheses")
    match node:
        case ast.Name():
            return _name(node)
        case ast.BoolOp(op=junction, values=parts):
            join = _both if isinstance(junction, ast.And) else _either
            return _Term("true or false", _joined([condition(part, depth + 1) for part in parts], join))
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            test = condition(operand, depth + 1)
            return _Term("true or false", lambda facts: not test(facts))
        case ast.Compare():
            return _comparison(node, depth)
        case ast.Tuple():
            return _tuple(node)
    return _constant(node)


def _name(node: ast.Name) -> _Term:
    kind = NAMES.get(node.id)
    if kind is None:
        near = get_close_matches(node.id, NAMES, n=1)
        remedy = f"did you mean {near[0]}?" if near else "the names are " + ", ".join(sorted(NAMES))
        raise Refusal(node, f"there is no name {node.id[:60]!r}", remedy)
    return _Term(kind, itemgetter(node.id))


def _constant(node: ast.expr) -> _Term:
    match node:
        case ast.Constant(value=str() as text):
            return _Term("text", lambda _facts: text, text)
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return _Term("a number", lambda _facts: number, number)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)) if number is not True:
            return _Term("a number", lambda _facts: -number, -number)
    raise Refusal(node, "this is not part of the language", LANGUAGE)


def _tuple(node: ast.Tuple) -> _Term:
    members = [_constant(element) for element in node.elts]
    kinds = {member.kind for member in members}
    if len(kinds) != 1:
        raise Refusal(node, "this tuple has not one kind of member", 'write numbers, or texts: ("DE", "FR") or ("DE",)')
    values = tuple(member.literal for member in members)
    return _Term(_TUPLE_OF[kinds.pop()], lambda _facts: values, values)


def _comparison(node: ast.Compare, depth: int) -> _Term:
    """`a < b < c` is `a < b and b < c`: with no calls in the language it does not matter that b is looked at twice."""
    operands = [node.left, *node.comparators]
    terms = [_term(operand, depth + 1) for operand in operands]
    links = []
    for index, operation in enumerate(node.ops):
        left, right = terms[index], terms[index + 1]
        complaint = _never_meant(left.kind, operation, right.kind)
        if complaint:
            raise Refusal(operands[index], *complaint)
        links.append(_link(left, _OPERATORS[type(operation)], right))
    return _Term("true or false", _joined(links, _both))


def _never_meant(left: Kind, operation: ast.cmpop, right: Kind) -> tuple[str, str] | None:
    """What is wrong with a comparison whose answer would always be the same, or an error; and the remedy."""
    if isinstance(operation, ast.In | ast.NotIn):
        remedy = 'ask for a member of a tuple: country in ("DE", "FR"), "nice" in stress'
        return None if right == _TUPLE_OF.get(left) else (f"{left} is never in {right}", remedy)
    if isinstance(operation, ast.Is | ast.IsNot):
        return "is does not compare values", "write == or !="
    if left != right:
        return f"{left} is compared with {right}", "compare values of one kind"
    if left in _TUPLE_OF.values():
        return "two tuples are compared", 'ask for a member: "nice" in stress'
    if left == "true or false" and not isinstance(operation, ast.Eq | ast.NotEq):
        return "true and false have no order", "combine conditions with and, or, not"
    return None


def _link(left: _Term, compare: Callable[[Any, Any], bool], right: _Term) -> _Test:
    first, second, literal = left.value, right.value, right.literal
    if literal is None:
        return lambda facts: compare(first(facts), second(facts))
    return lambda facts: compare(first(facts), literal)  # by far the most common, and a third faster


def _both(first: _Test, second: _Test) -> _Test:
    return lambda facts: first(facts) and second(facts)


def _either(first: _Test, second: _Test) -> _Test:
    return lambda facts: first(facts) or second(facts)


def _joined(tests: Sequence[_Test], join: Callable[[_Test, _Test], _Test]) -> _Test:
    """All tests as one, nested as flat as can be: a rule of 300 terms must not exhaust the stack."""
    if len(tests) == 1:
        return tests[0]
    half = len(tests) // 2
    return join(_joined(tests[:half], join), _joined(tests[half:], join))
