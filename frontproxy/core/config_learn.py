"""The table `[learn]` of config.toml: which feeds there are, and what the policy service answers."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from frontproxy.core import config_terms as terms
from frontproxy.core.config_shapes import Shape, Wrong, flag, meant, path, shown
from frontproxy.core.config_sheet import Sheet
from frontproxy.core.config_values import Config, Learn, Listen, PolicyService, TcpAddress
from frontproxy.core.toml_lines import KeyPath

STRESS: Final = ".stress"
"""What follows the name of a pool that is under stress, in the keys of `classes`."""
REPLY: Final = "reply"
"""The key for routes that are replies, and the action that is such a reply."""
_LONGEST_ACTION: Final = 500
_CODE: Final = re.compile(r"[45][0-5][0-9] \S.*")
"""An action that begins with a digit: access(5) has `4NN text` and `5NN text`."""


def _action(value: Any) -> str:
    """What Postfix is to do, as access(5) spells it: the name of a restriction class, `PERMIT`, `450 4.7.1 Later`."""
    if not isinstance(value, str) or not value.strip() or not value.isascii() or not value.isprintable():
        remedy = "write one line of ASCII: the name of a restriction class, or another action of access(5)"
        raise Wrong((f"{shown(value)} is not an action", remedy))
    if value[0].isdigit() and not _CODE.fullmatch(value):
        raise Wrong((f"{shown(value)} is not a refusal", 'begin with a 4xx or 5xx code and a text, "450 4.7.1 Later"'))
    if len(value) > _LONGEST_ACTION:
        raise Wrong((f"the action has {len(value)} characters", f"write at most {_LONGEST_ACTION}"))
    return value.strip()


def _log_file(value: Any) -> Path:
    """The path of a log, not yet resolved."""
    if value == "-":
        raise Wrong(("standard input is not ours to read", "name a file, or a FIFO that the log is written to"))
    return path(value)


def _policy(value: Any) -> Any:
    """A door at once, or a table whose own shapes follow."""
    return value if isinstance(value, dict) else terms.feed_door(value)


def _unread(value: Any) -> Any:
    return value


_LEARN: Final[Mapping[str, Shape]] = {
    "report": path,
    "milter": terms.feed_door,
    "maillog": _log_file,
    "policy": _policy,
    "foreign": flag,
}
_POLICY: Final[Mapping[str, Shape]] = {"address": terms.feed_door, "classes": _unread}


def read_learn(sheet: Sheet, table: Any, folder: Path) -> Learn:
    """Its values; relative paths start at `folder`. What is wrong is noted, and its default stands in."""
    values = sheet.read(("learn",), table, _LEARN)
    if "policy" in values:
        values["policy"] = _read_policy(sheet, values["policy"], folder)
    learn = Learn(**values)
    return replace(
        learn,
        report=folder / learn.report,
        milter=_resolved(learn.milter, folder) if learn.milter else None,
        maillog=folder / learn.maillog if learn.maillog else None,
    )


def _read_policy(sheet: Sheet, value: Any, folder: Path) -> PolicyService | None:
    if not isinstance(value, dict):
        return PolicyService(_resolved(value, folder))
    here: KeyPath = ("learn", "policy")
    values = sheet.read(here, value, _POLICY, needed=("address",))
    classes = values.get("classes", {})
    shapes = dict.fromkeys(classes, _action) if isinstance(classes, dict) else {}
    actions = sheet.read((*here, "classes"), classes, shapes)
    if "address" not in values:
        return None
    in_order = tuple((key, actions[key]) for key in shapes if key in actions)
    return PolicyService(_resolved(values["address"], folder), in_order)


def _resolved(door: TcpAddress | Path, folder: Path) -> TcpAddress | Path:
    return folder / door if isinstance(door, Path) else door


def check_learn(sheet: Sheet, config: Config) -> None:
    """Note what in `[learn]` does not fit the rest of a configuration."""
    learn = config.learn
    if learn.policy:
        _check_classes(sheet, config, learn.policy)
    taken: dict[TcpAddress, str] = dict.fromkeys(config.listen.addresses, "listen.addresses")
    for here, door in feed_doors(sheet, learn):
        if not isinstance(door, tuple):
            continue
        if not is_loopback(door[0]):
            what = f"whoever reaches {door[0]} can tell us any outcome of any client"
            sheet.warn(here, what, "let it listen on 127.0.0.1, or on a unix: socket")
        if door in taken:
            sheet.mistake(here, f"this is an address of {taken[door]}", "choose another port")
        taken[door] = ".".join(map(str, here))
    _check_foreign(sheet, config)


def feed_doors(sheet: Sheet, learn: Learn) -> Iterator[tuple[KeyPath, TcpAddress | Path]]:
    """Where mail servers connect to our feeds, each with the key that says so."""
    if learn.milter:
        yield ("learn", "milter"), learn.milter
    if learn.policy:
        in_table = ("learn", "policy", "address") in sheet.lines
        yield ("learn", "policy", *(("address",) if in_table else ())), learn.policy.address


def _check_classes(sheet: Sheet, config: Config, policy: PolicyService) -> None:
    pools = [pool.name for pool in config.pools]
    known = [*pools, *(f"{pool}{STRESS}" for pool in pools), REPLY]
    for key, action in policy.classes:
        here = ("learn", "policy", "classes", key)
        if key not in known:
            remedy = meant(key, known, f"the pools are {', '.join(pools)}; add {STRESS} to one, or write {REPLY}")
            sheet.mistake(here, f"there is no pool {shown(key.removesuffix(STRESS))}", remedy)
        elif action == REPLY and key != REPLY:
            what = "a route that leads to a pool has no reply"
            sheet.mistake(here, what, "name a restriction class, or another action of access(5)")


def _check_foreign(sheet: Sheet, config: Config) -> None:
    """Sessions that we do not hand over are learned only with `foreign`; a mail server's feed may see no others."""
    learn = config.learn
    feeds = [key for key in ("milter", "maillog", "policy") if getattr(learn, key)]
    if not has_doors(config.listen) and not feeds and not learn.foreign:
        remedy = "write at least one address, or remove the line for the default; without any, name feeds in [learn]"
        sheet.mistake(("listen", "addresses"), "nobody can come to us, and nobody can tell us anything", remedy)
    ours = [backend for pool in config.pools for backend in pool.backends if backend.kind != "bundled"]
    if learn.foreign or (ours and has_doors(config.listen)):
        return
    if feeds:
        why = "no pool leads to a mail server" if has_doors(config.listen) else "nobody can come to us"
        what = f"{why}, so no session that {' or '.join(feeds)} can tell of is ours, and nothing is learned from it"
        sheet.warn(("learn", feeds[0]), what, "set learn.foreign = true, or let pools lead to that mail server")


def has_doors(listen: Listen) -> bool:
    """Clients can come to us; without doors frontproxy learns, and answers questions."""
    return bool(listen.addresses or listen.pass_sockets or listen.from_systemd)


def is_loopback(host: str) -> bool:
    """Only this machine can reach it."""
    return host.startswith("127.") or host == "::1"
