"""The $ expressions of main.cf (postconf(5)): `$name`, `${name?{yes}:{no}}`, `${{a} == {b} ? {yes} : {no}}`."""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from frontproxy.migrate.main_cf import BLANKS

Lookup = Callable[[str], str | None]
"""The value of a parameter, not yet expanded; None for one that is not known."""

_NAME: Final = re.compile(r"[A-Za-z0-9_]+")
_CLOSING: Final = {"{": "}", "(": ")"}
_OPERATORS: Final[Mapping[str, Callable[[str | int, str | int], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_DIGITS: Final = re.compile(r"[0-9]{1,18}")
_DEEPEST: Final = 20
_LONGEST: Final = 100_000
"""Characters of a value, and of all that it took to build it: `a = $b$b`, `b = $c$c` ... doubles with each line."""
_EXPRESSION_COSTS: Final = 10
"""Characters that an expression counts for, whatever it comes to."""


class ExpansionError(Exception):
    """The expression cannot be understood, as Postfix could not; the text is fit for people."""


@dataclass(frozen=True, slots=True)
class Expanded:
    """A value with all expressions replaced."""

    text: str
    unknown: frozenset[str]
    """Names whose value was needed and is not known; they stand for nothing in the text."""


def expand(value: str, lookup: Lookup) -> Expanded:
    """Replace the expressions in a value, and in what they are replaced by. Raises ExpansionError and nothing else."""
    expansion = _Expansion(lookup)
    return Expanded(expansion.expand(value, 0), frozenset(expansion.unknown))


@dataclass(slots=True)
class _Expansion:
    """One value's expansion; counts what it costs."""

    lookup: Lookup
    unknown: set[str] = field(default_factory=set)
    spent: int = 0

    def expand(self, text: str, depth: int) -> str:
        if depth > _DEEPEST:
            raise ExpansionError("the expressions are nested too deeply, or in a circle")
        parts: list[str] = []
        position = 0
        while (dollar := text.find("$", position)) >= 0:
            parts.append(text[position:dollar])
            replaced, position = self._expression(text, dollar + 1, depth)
            parts.append(replaced)
            self._spend(_EXPRESSION_COSTS)
        result = "".join([*parts, text[position:]])
        self._spend(len(result))
        return result

    def _spend(self, characters: int) -> None:
        self.spent += characters
        if self.spent > _LONGEST:
            raise ExpansionError(f"the value takes more than {_LONGEST} characters to build")

    def _expression(self, text: str, start: int, depth: int) -> tuple[str, int]:
        """What the expression after a $ stands for, and where it ends."""
        if text.startswith("$", start):
            return "$", start + 1
        if text[start : start + 1] in _CLOSING:
            inside, end = _enclosed(text, start)
            return self._in_braces(inside, depth), end
        if name := _NAME.match(text, start):
            return self._value(name[0], depth), name.end()
        raise ExpansionError("a $ without a name after it; a plain $ is written $$")

    def _value(self, name: str, depth: int) -> str:
        value = self.lookup(name)
        if value is None:
            self.unknown.add(name)
            return ""
        return self.expand(value, depth + 1)

    def _in_braces(self, text: str, depth: int) -> str:
        text = text.lstrip(BLANKS)
        if text.startswith("{"):
            holds, rest = self._comparison(text, depth)
            return self._choice(rest, holds=holds, depth=depth) if rest else "true" * holds
        name = _NAME.match(text)
        if not name:
            raise ExpansionError("an expression without a name")
        rest = text[name.end() :].lstrip(BLANKS)
        return (
            self._choice(rest, holds=bool(self.lookup(name[0])), depth=depth) if rest else self._value(name[0], depth)
        )

    def _comparison(self, text: str, depth: int) -> tuple[bool, str]:
        """Whether `{left} == {right}` holds, and what follows it."""
        left, end = _enclosed(text, 0)
        rest = text[end:].lstrip(BLANKS)
        sign = next((sign for sign in _OPERATORS if rest.startswith(sign)), "")
        rest = rest[len(sign) :].lstrip(BLANKS)
        if not sign or not rest.startswith("{"):
            raise ExpansionError("a comparison that is not {left} == {right}")
        right, end = _enclosed(rest, 0)
        sides = [self.expand(side, depth + 1) for side in (left, right)]
        values = [int(side) for side in sides] if all(map(_DIGITS.fullmatch, sides)) else sides
        return _OPERATORS[sign](*values), rest[end:].lstrip(BLANKS)

    def _choice(self, text: str, *, holds: bool, depth: int) -> str:
        """The value of `?{yes}:{no}`, `?yes`, `:{no}` or `:no`."""
        if text.startswith("?"):
            yes, rest = _operand(text[1:])
            no = _last_operand(rest[1:]) if rest.startswith(":") else ""
            if rest and not rest.startswith(":"):
                raise ExpansionError("an expression with something other than : after its first value")
        elif text.startswith(":"):
            yes, no = "", _last_operand(text[1:])
        else:
            raise ExpansionError("an expression that is not $name, ${name}, ${name?yes} or ${name:no}")
        return self.expand(yes if holds else no, depth + 1)


def _operand(text: str) -> tuple[str, str]:
    """A value and what follows it; only a value in braces ends before its expression does."""
    bare = text.lstrip(BLANKS)
    if not bare.startswith("{"):
        return text, ""
    value, end = _enclosed(bare, 0)
    return value, bare[end:].lstrip(BLANKS)


def _last_operand(text: str) -> str:
    value, rest = _operand(text)
    if rest:
        raise ExpansionError("an expression with something after its last value")
    return value


def _enclosed(text: str, start: int) -> tuple[str, int]:
    """What stands in the braces or parentheses that open at `start`, and where they end."""
    opening, closing = text[start], _CLOSING[text[start]]
    depth = 0
    for position in range(start, len(text)):
        depth += (text[position] == opening) - (text[position] == closing)
        if depth == 0:
            return text[start + 1 : position], position + 1
    raise ExpansionError(f"a {opening} that is never closed")
