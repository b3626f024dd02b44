"""config.toml, read whole: its text goes in; a complete Config, every mistake and every warning come out."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from frontproxy.core.config_checks import check_whole
from frontproxy.core.config_effective import effective
from frontproxy.core.config_sheet import Sheet
from frontproxy.core.config_tables import read_config
from frontproxy.core.config_values import (
    Admin,
    Backend,
    Config,
    Dns,
    DnsListSettings,
    Geo,
    History,
    Learn,
    Listen,
    ListSettings,
    NetworkEvidence,
    Points,
    Pool,
    ReplyPoints,
    RouteSettings,
)
from frontproxy.core.mistakes import Mistake
from frontproxy.core.toml_lines import key_lines

__all__ = [
    "Admin",
    "Backend",
    "Checked",
    "Config",
    "Dns",
    "DnsListSettings",
    "Geo",
    "History",
    "Learn",
    "ListSettings",
    "Listen",
    "NetworkEvidence",
    "Points",
    "Pool",
    "ReplyPoints",
    "RouteSettings",
    "effective",
    "parse",
]


_PLACE: Final = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


@dataclass(frozen=True, slots=True)
class Checked:
    """What became of a text: a complete configuration, not to be used if there is any mistake."""

    config: Config
    mistakes: list[Mistake]
    warnings: list[Mistake]


def parse(text: str, *, file_name: str, folder: Path) -> Checked:
    """Check a whole configuration; never raises. Relative paths start at `folder`, which must be absolute.

    Mistakes and warnings are sorted by line. A text that is not TOML is one mistake, and the defaults stand in for it.
    """
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError itself: a number of more than 4,300 digits
        defaults = read_config(Sheet(file_name, {}), {}, folder)
        return Checked(defaults, [_not_toml(text, file_name, error)], [])
    sheet = Sheet(file_name, key_lines(text))
    config = read_config(sheet, data, folder)
    check_whole(sheet, config)
    return Checked(config, sorted(sheet.mistakes), sorted(sheet.warnings))


def _not_toml(text: str, file_name: str, error: ValueError | RecursionError) -> Mistake:
    """tomllib says the place in its text only: "... (at line 3, column 5)"."""
    if isinstance(error, RecursionError):
        return Mistake(file_name, 0, "", "this is nested too deeply to be a configuration", "remove some brackets")
    what = str(error)
    place = _PLACE.search(what)
    if not place:
        return Mistake(file_name, 0, "", f"this is not TOML: {what}", "put it right")
    what = f"this is not TOML: {what[: place.start()]}"
    if place[1]:
        return Mistake(file_name, int(place[1]), "", what, f"put right what stands at column {place[2]}")
    return Mistake(file_name, text.count("\n") + 1, "", what, "complete the last line")
