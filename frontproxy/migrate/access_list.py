"""postscreen_access_list as [[list]] tables: whom postscreen let through, and whom it turned away."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv6Network, ip_network
from pathlib import Path
from typing import Final

from frontproxy.core.toml_text import quoted
from frontproxy.migrate.first_match import Action, IpNetwork, Rule, first_matches
from frontproxy.migrate.main_cf import BLANKS, logical_lines, words_of
from frontproxy.migrate.page import Page
from frontproxy.migrate.parameters import Parameters

ReadTable = Callable[[Path], str]
"""The text of a table; raises OSError."""
NAME: Final = "postscreen_access_list"
_NETWORK: Final = re.compile(r"[][0-9A-Fa-f:./]{2,60}")
_SHOWN: Final = 10
"""Lines that a remark names."""
_EVERYBODY: Final = {
    "permit": "a plain permit lets everybody through",
    "reject": "a plain reject turns everybody else away",
}
_ACTIONS: Final[dict[str, Action]] = {"permit": "permit", "reject": "reject", "dunno": "dunno"}
_IN_PLACE: Final = 20
"""Networks that stand in config.toml itself; more belong into a file."""
_OWN: Final = ('name = "postscreen-own"', 'kind = "own"')
_PERMIT: Final = ('name = "postscreen-permit"', 'kind = "points"', "points = 30")
"""Friends, unless their own history says much else; and it goes on learning about them."""
_DENY: Final = ('name = "postscreen-deny"', 'kind = "deny"')


@dataclass(slots=True)
class AccessList:
    """What came of it."""

    networks: dict[Action, list[IpNetwork]] = field(default_factory=dict)
    remarks: list[tuple[str, str, str]] = field(default_factory=list)
    """Parameter, what is not translated, remedy."""

    def note(self, what: str, remedy: str, parameter: str = NAME) -> None:
        """Note something once."""
        if (parameter, what, remedy) not in self.remarks:
            self.remarks.append((parameter, what, remedy))


def add_lists(page: Page, read_table: ReadTable) -> None:
    """Add what can be followed of the access list; networks for files of their own come last."""
    found = read_access_list(page.parameters, read_table)
    page.gap()
    page.source(NAME, "its first match counted, so networks are cut where an earlier rule decides")
    for remark in found.remarks:
        page.remark(*remark)
    denies = page.action("postscreen_denylist_action") != "ignore"
    _add_list(page, _OWN, found.networks["own"])
    _add_list(page, _PERMIT, found.networks["permit"])
    if found.networks["reject"] and not denies:
        what = "it is ignore, so whom the access list rejects was let in"
        page.gap()
        page.remark("postscreen_denylist_action", what, "remove the # if you want them to be refused")
    _add_list(page, _DENY, found.networks["reject"], counts=denies)


def _add_list(page: Page, keys: Sequence[str], networks: Sequence[IpNetwork], *, counts: bool = True) -> None:
    """One [[list]]; as a comment if it does not count, or if its file has yet to be written."""
    if not networks:
        return
    in_place = len(networks) <= _IN_PLACE
    name = keys[0].split('"')[1]
    texts = ["networks = [", *(f"    {quoted(str(network))}," for network in networks), "]"]
    lines = ["[[list]]", *keys, *(texts if in_place else [f'file = "{name}.cidr"'])]
    if counts:
        page.gap()
    if not in_place:
        page.say(
            f"{len(networks)} networks belong into a file of their own, next to config.toml. When it is written, "
            f"remove the # before the table: sed -n 's/^#{name}# //p' THIS_PAGE > {name}.cidr"
        )
    page.add(*(lines if in_place and counts else [f"#{line}" for line in lines]))
    if not in_place:
        page.add(*(f"#{name}# {network}" for network in networks))


def read_access_list(parameters: Parameters, read_table: ReadTable) -> AccessList:
    """Follow the access list to its end; what cannot be followed is left out, and noted."""
    found = AccessList()
    found.networks = first_matches(_rules(parameters, read_table, found))
    return found


def _rules(parameters: Parameters, read_table: ReadTable, found: AccessList) -> Iterator[Rule]:
    value = parameters.value(NAME)
    if value.unknown:
        found.note(f"it needs {', '.join(value.unknown)}, which main.cf does not set", "set it, and try again")
        return
    for word in words_of(value.text):
        command = word.lower()
        kind, _, place = word.partition(":")
        if command == "permit_mynetworks":
            yield from _decided(_own(parameters, found))
        elif command in _ACTIONS:
            if command in _EVERYBODY:
                found.note(_EVERYBODY[command], "say in your [[route]] tables what becomes of strangers")
            return
        elif kind == "cidr":
            yield from _decided(_table(place, read_table, found))
        elif place:
            what = f"the tables of type {_shown(kind)} are not read"
            found.note(what, "write their networks into a [[list]] of kind points, with points = 30, or of kind deny")
        else:
            found.note("there is a command that postscreen does not know", "see postconf(5)")


def _decided(rules: Iterator[Rule]) -> Iterator[Rule]:
    """What one table decides; for the rest the next command is asked."""
    for action, networks in first_matches(rules).items():
        if action != "dunno":
            yield from ((network, action) for network in networks)


def _own(parameters: Parameters, found: AccessList) -> Iterator[Rule]:
    """Whoever is in mynetworks."""
    if not parameters.is_set("mynetworks"):
        remedy = (
            'name your machines in a [[list]] of kind "own"; postconf -h mynetworks says whom Postfix takes for them'
        )
        found.note("main.cf does not set it, so that it depends on the machine", remedy, "mynetworks")
        return
    value = parameters.value("mynetworks")
    if value.unknown:
        found.note(f"it needs {', '.join(value.unknown)}", "see postconf -xh mynetworks", "mynetworks")
        return
    for word in words_of(value.text):
        network = _network(word.removeprefix("!"))
        if network:
            yield network, "dunno" if word.startswith("!") else "own"
        elif word.startswith("/") or ":" in word.partition("[")[0]:
            what = "it names a file or a table"
            found.note(what, 'write those networks into the file of a [[list]] of kind "own"', "mynetworks")
        else:
            what = f"{_shown(word)} is not a network"
            found.note(what, "Postfix does not match it either", "mynetworks")


def _table(place: str, read_table: ReadTable, found: AccessList) -> Iterator[Rule]:
    """The rules of a CIDR table (cidr_table(5)), as far as they can be followed."""
    if place.startswith("{"):
        text = "\n".join(rule.strip("{}").strip(BLANKS) for rule in words_of(place.removeprefix("{").removesuffix("}")))
    elif place.startswith("/"):
        try:
            text = read_table(Path(place))
        except OSError as error:
            why = error.strerror or "it is not readable"
            found.note(f"{_shown(place)} cannot be read: {why}", "run this where the table is, as root")
            return
    else:
        found.note(f"{_shown(place)} is not the full path of a table", "write it with the / it starts with")
        return
    yield from _rules_of(text, _shown(place) if place.startswith("/") else "the table", found)


def _rules_of(text: str, title: str, found: AccessList) -> Iterator[Rule]:
    odd: list[int] = []
    for number, line in logical_lines(text):
        pattern, *result = line.split(maxsplit=1)
        if pattern.startswith("!") or pattern.lower() in {"if", "endif"}:
            what = f"{title}, line {number}: exceptions (!, if, endif) are not followed, nor what comes after them"
            found.note(what, "write the networks of the rest of the table into [[list]] tables")
            break
        network = _network(pattern)
        commands = words_of(result[0].lower()) if result else []
        action = _ACTIONS.get(commands[0]) if commands else None
        if network is None or action is None:
            odd.append(number)
        if network:
            yield network, action or "dunno"
    if odd:
        numbers = f"{', '.join(map(str, odd[:_SHOWN]))}{' ...' if len(odd) > _SHOWN else ''}"
        what = f"{title}: what is no network with permit, reject or dunno (line {numbers})"
        found.note(what, "postscreen passes over it with a warning")


def _network(word: str) -> IpNetwork | None:
    """A network as Postfix spells it: `192.0.2.0/24`, `[2001:db8::]/32`; IPv4 in IPv6 clothes is IPv4."""
    if not _NETWORK.fullmatch(word):
        return None
    try:
        network = ip_network(word.replace("[", "", 1).replace("]", "", 1))
    except ValueError:
        return None
    if isinstance(network, IPv6Network):
        mapped = network.network_address.ipv4_mapped
        if mapped and network.prefixlen >= 96:
            return ip_network(f"{mapped}/{network.prefixlen - 96}")
    return network


def _shown(word: str) -> str:
    """A word of the file for people; never longer than what could be a name."""
    return ascii(word[:100])
