"""config.toml, read whole: its text goes in; a complete Config, every mistake and every warning come out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frontproxy.core.config_values import (
    Admin,
    Backend,
    Config,
    Geo,
    History,
    Learn,
    Listen,
    ListSettings,
    NetworkEvidence,
    Points,
    Pool,
    RouteSettings,
)
from frontproxy.core.mistakes import Mistake

__all__ = [
    "Admin",
    "Backend",
    "Checked",
    "Config",
    "Geo",
    "History",
    "Learn",
    "ListSettings",
    "Listen",
    "NetworkEvidence",
    "Points",
    "Pool",
    "RouteSettings",
    "effective",
    "parse",
]


@dataclass(frozen=True, slots=True)
class Checked:
    """What became of a text: a complete configuration, not to be used if there is any mistake."""

    config: Config
    mistakes: list[Mistake]
    warnings: list[Mistake]


def parse(text: str, *, file_name: str, folder: Path) -> Checked:
    """Check a whole configuration; never raises. Paths are resolved against `folder`, which is absolute."""
    raise NotImplementedError


def effective(config: Config) -> dict[str, Any]:
    """Every key with the value in force, as a file would say it."""
    raise NotImplementedError
