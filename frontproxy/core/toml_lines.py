"""Which line of a TOML text each key stands on: tomllib reads the values and forgets where they were.

The text must be one that tomllib accepts, so the scan has to find only where statements end: at a newline that lies
neither in brackets nor in a long string. The head of a statement (`[pool.nice]`, `[[route]]`, or what is left of `=`)
is then given to tomllib itself, which knows all about quoted and dotted keys. A key inside a value (`{ a = 1 }`, an
array over several lines) is not found; it has the line on which the value starts.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any, Final

KeyPath = tuple[str | int, ...]
"""The way to a value: ("pool", "nice", "sessions"), ("route", 0, "when")."""

_TOKEN: Final = re.compile(
    r"""
      "{3} (?: [^\\] | \\. )*? "{3,5}  |  '{3} .*? '{3,5}   # long strings, which may end in two quotes of their own
    | " (?: [^"\\] | \\. )* "  |  ' [^']* '
    | \# [^\n]*
    | [\[\]{}=\n]
    """,
    re.VERBOSE | re.DOTALL,
)
_NESTING: Final = {"[": 1, "{": 1, "]": -1, "}": -1}


def key_lines(text: str) -> dict[KeyPath, int]:
    """The lines, counted from 1, of the headers and keys of a TOML text."""
    lines: dict[KeyPath, int] = {}
    tables: dict[KeyPath, int] = {}  # how many tables each array of tables has so far
    table: KeyPath = ()
    for line, head in _statements(text.replace("\r\n", "\n")):
        keys, innermost = _descend(tomllib.loads(head))
        if not keys:
            continue  # a comment, or nothing
        around = table if innermost == 0 else ()
        path = (*_indexed(around, keys[:-1], tables), keys[-1])
        if innermost == [{}]:
            tables[path] = tables.get(path, 0) + 1
        if innermost != 0:
            path = table = _indexed((), keys, tables)
        for length in range(1, len(path) + 1):
            lines.setdefault(path[:length], line)
    return lines


def line_of(path: KeyPath, lines: Mapping[KeyPath, int]) -> int:
    """The line of a key, or of the nearest table around it; 0 if there is none."""
    return next((lines[path[:length]] for length in range(len(path), 0, -1) if path[:length] in lines), 0)


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """The line and the head of each statement; the head of `key = value` is made `key =0`."""
    line, start, depth, equals = 1, 0, 0, -1
    for token in _TOKEN.finditer(text + "\n"):
        depth += _NESTING.get(token[0], 0)
        if token[0] == "=" and equals < 0:
            equals = token.end()
        elif token[0] == "\n" and depth == 0:
            yield line, text[start : token.start()] if equals < 0 else text[start:equals] + "0"
            line += text.count("\n", start, token.end())
            start, equals = token.end(), -1


def _descend(node: Any) -> tuple[list[str], Any]:
    """The keys of a head, and the value they lead to: {} after `[a]`, [{}] after `[[a]]`, 0 after a key."""
    keys = []
    while isinstance(node, dict) and node:
        key, node = next(iter(node.items()))
        keys.append(key)
    return keys, node


def _indexed(start: KeyPath, keys: list[str], tables: Mapping[KeyPath, int]) -> KeyPath:
    """The path of keys below `start`; where one names an array of tables, its latest table is meant."""
    path = start
    for key in keys:
        path = (*path, key)
        if path in tables:
            path = (*path, tables[path] - 1)
    return path
