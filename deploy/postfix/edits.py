"""How our services come into a main.cf and a master.cf, and leave them.

What is there already keeps its value unless the operator names another. The `-o` options of the site's own smtpd on
port 25 become those of our services too, as mail must not find a way past a filter or a restriction; ours win where
both set the same.
"""

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cf_files import FILES, Folder
from our_services import BYPASS, DEFAULT_MILTER, MILTER, OUR_MILTER, Order, our_keys, services
from port_25 import on_port_25, take_back

PROXY_HEADER = "smtpd_upstream_proxy_protocol"


@dataclass(frozen=True, slots=True)
class Site:
    """The site's own smtpd on port 25: its key ("" for none), its chroot column and its `-o` options."""

    key: str = ""
    chroot: str = "-"
    options: tuple[tuple[str, str], ...] = ()


def smtpd_of(folder: Folder, key: str) -> Site:
    """What serves the clients of a service on port 25: itself, or the smtpd behind postscreen."""
    if folder.service(key).split()[7] == "postscreen":
        name = folder.options(key).get("smtpd_service_name") or folder.parameter("smtpd_service_name")
        key = f"{name}/pass" if folder.service(f"{name}/pass") else "smtpd/pass"
    if not folder.service(key):
        return Site()
    return Site(key, folder.service(key).split()[4], tuple(folder.options(key).items()))


def put_in(draft: Folder, site: Site, order: Order, milter: str | None) -> Iterator[str]:
    """Edit a copy of the configuration; yields what the operator should know of it."""
    wanted = services(order)
    for name, key in our_keys(draft):
        if name in {"test", "bypass"} and key not in wanted:  # its port has changed
            draft.edit("-MX", key)
    for key, (processes, parameters) in wanted.items():
        _put_in_one(draft, site, key, processes, parameters)
    yield from _not_carried(draft, site, wanted)
    if milter is not None or not draft.is_set("frontproxy_milter"):
        endpoint = DEFAULT_MILTER if milter is None else milter
        draft.edit("-e", f"frontproxy_milter = {MILTER.format(endpoint) if endpoint else ''}")
    others = _others(draft)
    draft.edit("-e", f"smtpd_milters = {others + ', ' if others else ''}{OUR_MILTER}")  # the last must be ours


def _not_carried(draft: Folder, site: Site, keys: Iterable[str]) -> Iterator[str]:
    ours = {key.partition("/")[0]: draft.options(key) for key in keys}
    for name, value in site.options:
        others = [service for service, has in ours.items() if has.get(name) not in {value, _with_ours(name, value)}]
        if others:
            yield f"{name}={value} of {site.key} is not carried over to {', '.join(others)}: ours wins"


def _put_in_one(draft: Folder, site: Site, key: str, processes: str, parameters: dict[str, str]) -> None:
    name, kind = key.split("/")
    there = draft.options(key)
    ours = there.get("syslog_name") == parameters["syslog_name"]
    if not draft.service(key):
        draft.edit("-M", f"{key}={name} {kind} n - {site.chroot} - {processes} smtpd")
    draft.edit("-F", f"{key}/private=n", f"{key}/process_limit={processes}")
    fresh = {name: value for name, value in parameters.items() if not (ours and name in there)}
    if fresh:
        draft.edit("-P", *(f"{key}/{name}={value}" for name, value in fresh.items()))
    carried = {name: _with_ours(name, value) for name, value in site.options if _may_have(parameters, name)}
    draft.add_options(key, {name: value for name, value in carried.items() if name not in there | parameters})


def _may_have(parameters: dict[str, str], name: str) -> bool:
    """Stress is frontproxy's and Postfix's to tell; and a PROXY header comes to port 25 or its stand-in only."""
    return name not in {"stress", "personality"} and (name != PROXY_HEADER or parameters is BYPASS)


def _with_ours(name: str, value: str) -> str:
    """A parameter's value, with our milter as the last of them."""
    return f"{value},{OUR_MILTER}".lstrip(",") if name == "smtpd_milters" else value


def _others(draft: Folder) -> str:
    """smtpd_milters without ours."""
    return draft.parameter("smtpd_milters").replace(OUR_MILTER, "").strip(" ,\t\n")


def take_out(draft: Folder, before: Folder) -> None:
    """Edit a copy of the configuration back to what it was, where it was ours."""
    for _name, key in our_keys(draft):
        draft.edit("-MX", key)
        if before.service(key):
            draft.edit("-M", f"{key}={before.service(key)}")
    give_back(draft, before)
    _put_back(draft, before, "frontproxy_milter", "")
    _put_back(draft, before, "smtpd_milters", _others(draft))
    for file, flag in zip(FILES, ("-n", "-M"), strict=True):
        if sorted(draft.postconf(flag).splitlines()) == sorted(before.postconf(flag).splitlines()):
            shutil.copyfile(before.path / file, draft.path / file)  # comments and blanks too


def give_back(draft: Folder, before: Folder) -> list[str]:
    """Let Postfix have port 25 as it had it, or if that is lost, as before our first change; the keys that are back."""
    back = take_back(draft)
    if not on_port_25(draft):
        back = on_port_25(before)
        for key in back:
            draft.edit("-M", f"{key}={before.service(key)}")
    return back


def _put_back(draft: Folder, before: Folder, name: str, value: str) -> None:
    if value or before.is_set(name):
        draft.edit("-e", f"{name} = {value}")
    elif draft.is_set(name):
        draft.edit("-X", name)
