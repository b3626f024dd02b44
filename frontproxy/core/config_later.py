"""Keys that this version knows but does not honour: their shape is checked, and a warning says so."""

import re
from collections.abc import Mapping
from typing import Any, Final

from frontproxy.core.config_shapes import Shape, Wrong, array_of, number, path, shown, text, whole
from frontproxy.core.config_sheet import Sheet
from frontproxy.core.config_terms import address, feed_door

_ZONE: Final = re.compile(r"([A-Za-z0-9_-]{1,63}\.)+[A-Za-z0-9-]{2,63}")
_CODES: Final = re.compile(r"127(\.[0-9]{1,3}){3}(-[0-9]{1,3})?")


def _zone(value: Any) -> str:
    if _ZONE.fullmatch(text(value)):
        return str(value)
    raise Wrong((f"{shown(value)} is not a DNS zone", 'write a domain name, such as "zen.spamhaus.org"'))


def _replies(value: Any) -> dict[str, float]:
    if not isinstance(value, dict) or not all(_CODES.fullmatch(codes) for codes in value):
        raise Wrong((f"{shown(value)} does not give points to replies", 'write { "127.0.0.2-9" = -25 }'))
    return {codes: number(-100, 100)(points) for codes, points in value.items()}


LATER_FEEDS: Final[Mapping[str, Shape]] = {"maillog": path, "policy": feed_door}
"""Keys of `[learn]`."""
_DNS: Final[Mapping[str, Shape]] = {"servers": array_of(address), "lookups_per_second": whole(1, 1_000_000)}
_DNSLIST: Final[Mapping[str, Shape]] = {"zone": _zone, "replies": _replies}


def read_later(sheet: Sheet, data: dict[str, Any]) -> None:
    """Note what is wrong with `[dns]` and `[[dnslist]]`, and which keys have no effect."""
    if "dns" in data:
        sheet.read(("dns",), data["dns"], _DNS)
        _no_effect(sheet, "dns")
    for here, table in sheet.tables(("dnslist",), data.get("dnslist", [])):
        sheet.read(here, table, _DNSLIST, needed=("zone", "replies"))
    if "dnslist" in data:
        _no_effect(sheet, "dnslist")
    learn = data.get("learn")
    for key in LATER_FEEDS:
        if isinstance(learn, dict) and key in learn:
            _no_effect(sheet, "learn", key)


def _no_effect(sheet: Sheet, *path: str) -> None:
    sheet.warn(path, "this has no effect in this version", "leave it for a later one, or remove it")
