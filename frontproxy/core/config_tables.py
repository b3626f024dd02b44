"""The tables of config.toml one by one: which keys each has, of what shape, and the value it becomes.

Limits are wide: they stop slips of the pen (a minus sign, a missing unit), not unusual wishes.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from frontproxy.core import config_terms as terms
from frontproxy.core.config_dns import read_dns, read_dnslists
from frontproxy.core.config_geo import read_geo, read_networks
from frontproxy.core.config_learn import has_doors, read_learn
from frontproxy.core.config_routes import read_routes
from frontproxy.core.config_shapes import (
    Shape,
    Wrong,
    array_of,
    duration,
    flag,
    name,
    number,
    one_of,
    path,
    shown,
    text,
    whole,
)
from frontproxy.core.config_sheet import Sheet
from frontproxy.core.config_values import (
    DAY,
    POOLS,
    ROUTES,
    Admin,
    Backend,
    Config,
    History,
    Listen,
    ListSettings,
    Points,
    Pool,
    default_smtpd,
)
from frontproxy.core.toml_lines import KeyPath

_PLENTY: Final = 1_000_000_000
_WEIGHT: Final = number(-100, 100)

_LISTEN: Final[Mapping[str, Shape]] = {
    "addresses": array_of(terms.listening),
    "trusted_proxies": array_of(terms.network),
    "waiting_room": whole(1, 1_000_000),
    "pause": duration(0, 240),  # RFC 5321 section 4.5.3.2.1: a client waits five minutes for the greeting
    "settled": number(1, 100),  # strangers stand at 0 and must never be friends
    "drain_time": duration(0, DAY),
    "teaser": terms.teaser,
}
_ADMIN: Final[Mapping[str, Shape]] = {"socket": path, "group": text}
_HISTORY: Final[Mapping[str, Shape]] = {
    "file": path,
    "good_half_life": duration(1, 3650 * DAY),
    "bad_half_life": duration(1, 3650 * DAY),
    "evidence_cap": number(1, 100_000),
    "network_limit": number(0, 100),
    "max_clients_remembered": whole(1, _PLENTY),
}
_POOL: Final[Mapping[str, Shape]] = {
    "backends": array_of(terms.backend),
    "sessions": whole(1, 1_000_000),
    "reserved": flag,
    "per_client": whole(1, 1_000_000),
    "queue": whole(0, 1_000_000),
    "patience": duration(0, 240),
    "handover_wait": duration(0.001, 240),
    "fallback": name,
}
_POINTS: Final[Mapping[str, Shape]] = {
    "pregreet": number(-100, 0),
    "returned": number(0, 100),
    "open_sessions": number(-100, 0),
    "rate": number(-100, 0),
    "name_confirmed": number(0, 100),
    "name_unconfirmed": number(-100, 0),
    "name_missing": number(-100, 0),
    "name_access": number(-100, 0),
}
_LIST: Final[Mapping[str, Shape]] = {
    "name": name,
    "kind": one_of("points", "deny", "own", "relay", "probe", "forwarder"),
    "file": path,
    "networks": array_of(terms.network),
    "points": _WEIGHT,
}


def _unread(value: Any) -> Any:
    """A section as it stands; its own shapes follow."""
    return value


_SECTIONS: Final[Mapping[str, Shape]] = {
    "mode": one_of("enforce", "observe"),
    **dict.fromkeys(("listen", "admin", "history", "learn", "pool", "smtpd", "points"), _unread),
    **dict.fromkeys(("list", "geo", "network", "dns", "dnslist", "route"), _unread),
}
_POOL_WORDS: Final = ("reply", "on", "off", "auto")
"""No pool has one of these names: `score` says "reply" for no pool, and the others are words of `stress`."""
_DECIDING: Final = ("deny", "own", "relay", "probe")
"""Kinds of list that decide about a client by themselves, whatever its score."""


def read_config(sheet: Sheet, data: dict[str, Any], folder: Path) -> Config:
    """All of a file; what is wrong is noted in the sheet, and its default stands in."""
    found = sheet.read((), data, _SECTIONS)
    listen = _listen(sheet, found.get("listen", {}), folder)
    pools = (
        _pools(sheet, found["pool"], folder, serving=has_doors(listen)) if "pool" in found else _default_pools(listen)
    )
    return Config(
        mode=found.get("mode", "enforce"),
        listen=listen,
        admin=_admin(sheet, found.get("admin", {}), folder),
        history=_history(sheet, found.get("history", {}), folder),
        learn=read_learn(sheet, found.get("learn", {}), folder),
        pools=pools,
        smtpd=_smtpd(sheet, found["smtpd"]) if "smtpd" in found else default_smtpd(),
        points=Points(**sheet.read(("points",), found.get("points", {}), _POINTS)),
        lists=_lists(sheet, found.get("list", []), folder),
        geo=read_geo(sheet, found.get("geo", []), folder),
        networks=read_networks(sheet, found.get("network", [])),
        dns=read_dns(sheet, found.get("dns", {})),
        dnslists=read_dnslists(sheet, found.get("dnslist", [])),
        routes=read_routes(sheet, found["route"]) if "route" in found else ROUTES,
    )


def _listen(sheet: Sheet, table: Any, folder: Path) -> Listen:
    values = sheet.read(("listen",), table, _LISTEN)
    if "addresses" in values:
        doors = values.pop("addresses")
        values["addresses"] = tuple(door for door in doors if isinstance(door, tuple))
        values["pass_sockets"] = tuple(folder / door for door in doors if isinstance(door, Path))
        values["from_systemd"] = terms.SYSTEMD in doors
    return Listen(**values)


def _admin(sheet: Sheet, table: Any, folder: Path) -> Admin:
    admin = Admin(**sheet.read(("admin",), table, _ADMIN))
    return replace(admin, socket=folder / admin.socket)


def _history(sheet: Sheet, table: Any, folder: Path) -> History:
    history = History(**sheet.read(("history",), table, _HISTORY))
    return replace(history, file=folder / history.file)


def _default_pools(listen: Listen) -> tuple[Pool, ...]:
    """Where nobody comes in, pools are names for what a policy service answers: they need no servers."""
    return POOLS if has_doors(listen) else tuple(replace(pool, backends=()) for pool in POOLS)


def _pools(sheet: Sheet, tables: Any, folder: Path, *, serving: bool) -> tuple[Pool, ...]:
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        sheet.mistake(("pool",), "the pools have no names", "write a line such as [pool.nice] above each pool")
        return POOLS
    if not tables:
        sheet.mistake(("pool",), "there are no pools", "add one, or remove the line to get the pools nice and hostile")
        return POOLS
    return tuple(_pool(sheet, title, table, folder, serving=serving) for title, table in tables.items())


def _pool(sheet: Sheet, title: str, table: Any, folder: Path, *, serving: bool) -> Pool:
    here = ("pool", title)
    try:
        name(title)
    except Wrong as wrong:
        sheet.mistake(here, *wrong.complaints[0])
    if title in _POOL_WORDS:
        sheet.mistake(here, f'the name "{title}" has a meaning of its own', "give the pool another name")
    values = sheet.read(here, table, _POOL)
    backends = values.pop("backends", (Backend("bundled", title),) if serving else ())
    if serving and not backends:
        sheet.mistake(
            (*here, "backends"), "the array is empty", "write at least one member, or remove the line for the default"
        )
    return Pool(name=title, backends=tuple(_resolved(backend, folder) for backend in backends), **values)


def _resolved(backend: Backend, folder: Path) -> Backend:
    return replace(backend, target=str(folder / backend.target)) if backend.kind == "pass" else backend


def _smtpd(sheet: Sheet, table: Any) -> dict[str, Any]:
    if isinstance(table, dict):
        return table
    sheet.mistake(("smtpd",), f"{shown(table)} is not a table", "write the line [smtpd] and keys below it")
    return default_smtpd()


def _lists(sheet: Sheet, tables: Any, folder: Path) -> tuple[ListSettings, ...]:
    lists: list[ListSettings] = []
    for here, table in sheet.tables(("list",), tables):
        values = sheet.read(here, table, _LIST, needed=("name", "kind"))
        if not table.get("file") and not table.get("networks"):
            sheet.mistake(here, "the list has no networks", 'add file = "PATH" or networks = ["192.0.2.0/24"]')
        _check_points(sheet, here, table)
        if "file" in values:
            values["file"] = folder / values["file"]
        lists.append(ListSettings(**{"name": f"list-{len(lists) + 1}", "kind": "points", **values}))
    return tuple(lists)


def _check_points(sheet: Sheet, here: KeyPath, table: dict[str, Any]) -> None:
    kind = table.get("kind")
    if kind == "points" and not table.get("points"):
        sheet.mistake((*here, "points"), "a list of this kind is nothing without points", "add points = 30, or -30")
    if kind in _DECIDING and "points" in table:
        remedy = 'remove the points, or make it kind = "points"'
        sheet.mistake((*here, "points"), f'a list of kind "{kind}" decides without a score', remedy)
