"""Log lines as `key=value` words, made to be searched: one event is one line, whatever a client put into it."""

import re

_PLAIN = re.compile(r"[!#-\[\]-~]*\Z")  # printable ASCII without space, quote and backslash
_NEXT_WORD = re.compile(r" (?=[^ =]+=)")  # a space in a quoted value before what would pass for the next key
_VALUE_LIMIT = 1000


def format_line(event: str, values: dict[str, object]) -> str:
    """`event=EVENT key=value ...` without a line end; None is left out, odd values are quoted and escaped."""
    words = [f"event={event}"]
    for name, value in values.items():
        if value is not None:
            words.append(f"{name}={_formatted(value)}")
    return " ".join(words)


def _formatted(value: object) -> str:
    if value is True:
        return "yes"
    if value is False:
        return "no"
    if isinstance(value, float):
        # z: never "-0"; times since 1970 keep their milliseconds.
        return f"{value:.6g}" if abs(value) >= 1e12 else f"{value:z.3f}".rstrip("0").rstrip(".")
    text = str(value)
    if len(text) > _VALUE_LIMIT:
        text = text[:_VALUE_LIMIT] + "..."
    if _PLAIN.match(text):
        return text
    return '"' + _NEXT_WORD.sub(r"\\x20", "".join(map(_escaped, text))) + '"'


def _escaped(character: str) -> str:
    if character in {'"', "\\"}:
        return "\\" + character
    if character.isascii() and character.isprintable():
        return character
    return character.encode("unicode_escape").decode()
