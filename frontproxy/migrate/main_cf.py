"""Postfix's main.cf, line by line: which parameter is set to what, and where (postconf(5))."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from frontproxy.core.mistakes import Mistake, Mistaken

BLANKS: Final = " \t\n\r\v\f"
"""What C's isspace() takes for a blank."""


class Setting(NamedTuple):
    """A parameter as the file sets it."""

    value: str
    """Not yet expanded."""
    line: int
    """Where it starts, counted from 1."""


def parse_main_cf(text: str, file: str) -> dict[str, Setting]:
    """The settings of a main.cf by name; of several for one name the last counts.

    Raises Mistaken with every line that Postfix could not read either. What such a line holds is not told: it may be
    a password.
    """
    settings: dict[str, Setting] = {}
    mistakes: list[Mistake] = []
    for number, line in logical_lines(text):
        name, equals, value = line.partition("=")
        name = name.strip(BLANKS)
        if "\0" in line:
            mistakes.append(Mistake(file, number, "", "there is a NUL in this line", "is this a text file?"))
        elif not equals or not name or any(blank in name for blank in BLANKS):
            mistakes.append(Mistake(file, number, "", "this is not NAME = VALUE", "Postfix refuses such a line too"))
        else:
            settings[name] = Setting(value.strip(BLANKS), number)
    if mistakes:
        raise Mistaken(mistakes)
    return settings


def logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with their continuations, and the numbers they start at: in main.cf and in Postfix's tables alike.

    A line that starts with a blank continues the one before it, also over comments and empty lines in between.
    """
    start, parts = 0, [""]
    for number, line in enumerate(text.split("\n"), start=1):
        bare = line.strip(BLANKS)
        if not bare or bare.startswith("#"):
            continue
        if start and line[0] in BLANKS:
            parts.append(line)
            continue
        if start:
            yield start, "".join(parts)
        start, parts = number, [line]
    if start:
        yield start, "".join(parts)


def words_of(value: str) -> list[str]:
    """The words of a list, parted by commas and blanks; what stands in braces is one word."""
    words, depth = [""], 0
    for character in value:
        if not depth and (character in BLANKS or character == ","):
            words.append("")
            continue
        depth = max(0, depth + {"{": 1, "}": -1}.get(character, 0))
        words[-1] += character
    return [word for word in words if word]
