"""Keys that this version knows but does not honour: their shape is checked, and a warning says so."""

from collections.abc import Mapping
from typing import Any, Final

from frontproxy.core.config_shapes import Shape, path
from frontproxy.core.config_sheet import Sheet
from frontproxy.core.config_terms import feed_door

LATER_FEEDS: Final[Mapping[str, Shape]] = {"maillog": path, "policy": feed_door}
"""Keys of `[learn]`."""


def note_later(sheet: Sheet, learn: Any) -> None:
    """Say which keys of `[learn]` have no effect."""
    for key in LATER_FEEDS:
        if isinstance(learn, dict) and key in learn:
            sheet.warn(("learn", key), "this has no effect in this version", "leave it for a later one, or remove it")
