"""Reading main.cf and the tables that it names."""

import sys
from pathlib import Path
from typing import Final

from frontproxy.core.mistakes import Mistake, Mistaken
from frontproxy.migrate.page import Page
from frontproxy.migrate.postscreen import translate

_LARGEST: Final = 8_000_000
"""Octets of a file; a table with a quarter of a million networks."""


def from_postscreen(name: str) -> Page:
    """The page for the main.cf at a path; "-" is standard input. Raises Mistaken if it cannot be read."""
    try:
        text = _decoded(sys.stdin.buffer.read(_LARGEST + 1)) if name == "-" else read_text(Path(name))
    except OSError as error:
        remedy = 'name the main.cf of your Postfix, or "-" for standard input'
        raise Mistaken([Mistake(name, 0, "", f"cannot be read: {error.strerror}", remedy)]) from None
    folder = Path("/etc/postfix") if name == "-" else Path(name).absolute().parent
    return translate(text, file="main.cf" if name == "-" else name, folder=folder, read_table=read_text)


def read_text(path: Path) -> str:
    """The text of a file; raises OSError, also for one that is too large to be meant."""
    with path.open("rb") as file:
        return _decoded(file.read(_LARGEST + 1))


def _decoded(content: bytes) -> str:
    if len(content) > _LARGEST:
        raise OSError(0, f"it is larger than {_LARGEST} octets")
    return content.decode(errors="replace")
