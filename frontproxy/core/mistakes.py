"""An operator's mistake: where it stands, what is wrong, what to do about it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One line for the operator; mistakes sort by file, then line."""

    file: str
    line: int
    """Counted from 1; 0 where it is not known."""
    key: str
    """The key as the operator would search for it: `pool.nice.sessions`; empty for a line of a list file."""
    what: str
    remedy: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return ": ".join(part for part in (where, self.key, f"{self.what}; {self.remedy}") if part)


class Mistaken(Exception):
    """What the operator gave us cannot be used; carries every mistake, sorted."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        self.mistakes = sorted(mistakes)
        super().__init__("\n".join(map(str, self.mistakes)))
