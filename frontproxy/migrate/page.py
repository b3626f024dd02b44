"""The page that is printed: pieces of config.toml under comments, and a remark for all that has no counterpart."""

from dataclasses import dataclass, field
from pathlib import Path
from textwrap import wrap
from typing import Final

from frontproxy.core import config
from frontproxy.core.mistakes import Mistake
from frontproxy.migrate.parameters import Parameters

_WIDTH: Final = 120
ACTIONS: Final = ("ignore", "enforce", "drop")


@dataclass(slots=True)
class Page:
    """Grows from top to bottom."""

    parameters: Parameters
    """Of the main.cf that it is about."""
    lines: list[str] = field(default_factory=list)
    remarks: list[Mistake] = field(default_factory=list)
    """What was not translated, or means something else here."""

    @property
    def text(self) -> str:
        """The TOML."""
        return "\n".join(self.lines).strip("\n") + "\n"

    def gap(self) -> None:
        """Begin a new block."""
        self.lines.append("")

    def add(self, *lines: str) -> None:
        """Lines of TOML."""
        self.lines.extend(lines)

    def say(self, text: str) -> None:
        """A comment."""
        self.lines.extend(wrap(text, _WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False))

    def source(self, name: str, note: str = "") -> None:
        """A comment that says from which parameter the next lines come."""
        line = self.parameters.line(name)
        where = f"line {line}" if line else "Postfix's default"
        self.say(f"From {name} ({where}){f': {note}' if note else ''}.")

    def remark(self, name: str, what: str, remedy: str) -> None:
        """Say what is not translated of a parameter, on the page and beside it."""
        line = self.parameters.line(name)
        self.remarks.append(Mistake(self.parameters.file, line, name, what, remedy))
        self.say(f"not translated: {name}{f' (line {line})' if line else ''}: {what}; {remedy}")

    def action(self, name: str) -> str:
        """What postscreen does with whom a test catches: ignore, enforce or drop."""
        text = self.parameters.value(name).text.lower()
        if text in ACTIONS:
            return text
        self.remark(name, f"it is none of {', '.join(ACTIONS)}", "ignore is taken for it")
        return "ignore"


def is_accepted(piece: str) -> bool:
    """A piece of TOML has no mistake in it, as config.toml goes."""
    return not config.parse(piece, file_name="", folder=Path("/")).mistakes
