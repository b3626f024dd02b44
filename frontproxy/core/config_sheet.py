"""The file under examination: reads its tables by their shapes, and notes every mistake with its line."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from frontproxy.core.config_shapes import Shape, Wrong, meant, shown
from frontproxy.core.mistakes import Mistake
from frontproxy.core.toml_lines import KeyPath, line_of

_PLAIN_KEY: Final = re.compile(r"[A-Za-z0-9_-]{1,60}")


@dataclass(frozen=True, slots=True)
class Sheet:
    """Collects what is wrong with one file."""

    file_name: str
    lines: Mapping[KeyPath, int]
    mistakes: list[Mistake] = field(default_factory=list)
    warnings: list[Mistake] = field(default_factory=list)

    def mistake(self, path: KeyPath, what: str, remedy: str) -> None:
        """Note something that must be put right before the file can be used."""
        self.mistakes.append(self._note(path, what, remedy))

    def warn(self, path: KeyPath, what: str, remedy: str) -> None:
        """Note something that works, but perhaps not as it is meant."""
        self.warnings.append(self._note(path, what, remedy))

    def _note(self, path: KeyPath, what: str, remedy: str) -> Mistake:
        return Mistake(self.file_name, line_of(path, self.lines), _key_text(path), what, remedy)

    def only(self, path: KeyPath, keys: Collection[Any], known: Sequence[str]) -> None:
        """Note every key that is not among the known ones."""
        for key in keys:
            if key not in known:
                self.mistake(
                    (*path, key), "there is no such key", meant(key[:60], known, f"the keys are {', '.join(known)}")
                )

    def read(
        self, path: KeyPath, table: Any, shapes: Mapping[str, Shape], *, needed: Sequence[str] = ()
    ) -> dict[str, Any]:
        """The good values of a table by key; those that are wrong or absent are left out."""
        if not isinstance(table, dict):
            self.mistake(
                path, f"{shown(table)} is not a table", f"write the line [{_key_text(path)}] and keys below it"
            )
            return {}
        self.only(path, table, list(shapes))
        for key in needed:
            if key not in table:
                self.mistake((*path, key), "this key is missing", "add it")
        values = {}
        for key in shapes.keys() & table.keys():
            try:
                values[key] = shapes[key](table[key])
            except Wrong as wrong:
                for what, remedy in wrong.complaints:
                    self.mistake((*path, key), what, remedy)
        return values

    def tables(self, path: KeyPath, value: Any) -> list[tuple[KeyPath, dict[str, Any]]]:
        """The tables of an array of tables, each with its path; none if it is something else."""
        if isinstance(value, list) and all(isinstance(table, dict) for table in value):
            return [((*path, index), table) for index, table in enumerate(value)]
        key = _key_text(path)
        self.mistake(path, f"{shown(value)} is not a list of tables", f"write the line [[{key}]] above each {key}")
        return []


def _key_text(path: KeyPath) -> str:
    """A path as people read it: `pool.nice.sessions`; the tables of an array are counted from 1: `route[2].when`."""
    words: list[str] = []
    for step in path:
        if isinstance(step, int):
            words[-1] += f"[{step + 1}]"
        else:
            words.append(step if _PLAIN_KEY.fullmatch(step) else shown(step))
    return ".".join(words)
