"""Log lines as `key=value` words, made to be searched: one event is one line, whatever a client put into it."""

import re

_is_plain = re.compile(r"[!#-\[\]-~]*").fullmatch  # printable ASCII without space, quote and backslash
_NEXT_WORD = re.compile(r" (?=[^ =]+=)")  # a space in a quoted value before what would pass for the next key
_VALUE_LIMIT = 1000


def format_line(event: str, values: dict[str, object]) -> str:
    """`event=EVENT key=value ...` without a line end; None is left out, odd values are quoted and escaped."""
    line = f"event={event}"
    for name, value in values.items():
        if value is not None:
            line += f" {name}={_formatted(value)}"
    return line


def _formatted(value: object) -> str:
    if isinstance(value, str):
        return value if len(value) <= _VALUE_LIMIT and _is_plain(value) else _quoted(value)
    if value is True:
        return "yes"
    if value is False:
        return "no"
    if isinstance(value, float):
        # z: never "-0"; times since 1970 keep their milliseconds.
        return f"{value:.6g}" if abs(value) >= 1e12 else f"{value:z.3f}".rstrip("0").rstrip(".")
    if isinstance(value, int):
        return str(value)
    return _quoted(str(value))


def _quoted(text: str) -> str:
    """A text as it is if it is harmless, or else in quotes."""
    if len(text) > _VALUE_LIMIT:
        text = text[:_VALUE_LIMIT] + "..."
    if _is_plain(text):
        return text
    return '"' + _NEXT_WORD.sub(r"\\x20", "".join(map(_escaped, text))) + '"'


def _escaped(character: str) -> str:
    if character in {'"', "\\"}:
        return "\\" + character
    if character.isascii() and character.isprintable():
        return character
    return character.encode("unicode_escape").decode()
