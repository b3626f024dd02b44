"""What only the whole configuration shows about evidence: what nobody can know, whom it makes friends, idle rules."""

from typing import Final

from frontproxy.core.config_shapes import meant, shown
from frontproxy.core.config_sheet import Sheet
from frontproxy.core.config_values import Config, RouteSettings
from frontproxy.core.toml_lines import KeyPath

_MOST_LISTS: Final = 50
"""Of the questions that may be on their way at once, one stranger must not need all."""


def check_evidence(sheet: Sheet, config: Config) -> None:
    """Note evidence that contradicts itself, is never there, or makes friends of strangers."""
    names: set[str] = set()
    for index, settings in enumerate(config.lists):
        if settings.name in names:
            what = f'there is another list "{settings.name}"'
            sheet.mistake(("list", index, "name"), what, "give each list a name of its own")
        names.add(settings.name)
    if config.networks and not config.geo:
        sheet.warn(("network",), "without a database nothing is known of ASN and country", "add [[geo]] with a file")
    if config.dnslists and not config.listen.pause:
        sheet.warn(("dnslist",), "as listen.pause is 0s, nobody waits for what the lists say", "let strangers wait")
    if len(config.dnslists) > _MOST_LISTS:
        what, remedy = f"there are {len(config.dnslists)} DNS lists", f"keep the best; {_MOST_LISTS} are possible"
        sheet.mistake(("dnslist",), what, remedy)
    cost = len(config.dnslists) + 2 * config.dns.names
    if cost > config.dns.lookups_per_second > 0:
        what = f"one stranger takes {cost} look-ups, so not even one in a second is asked about"
        sheet.warn(("dns", "lookups_per_second"), what, "write more, or ask fewer lists")
    _check_friends(sheet, config)


def _check_friends(sheet: Sheet, config: Config) -> None:
    """Being a friend should take more than having been heard of, or having come back."""
    settled = config.listen.settled
    for key, points in (("returned", config.points.returned), ("name_confirmed", config.points.name_confirmed)):
        if points >= settled:
            what = f"only less than listen.settled, {settled:g}, counts of this: nobody is a friend by it alone"
            sheet.warn(("points", key), what, "write fewer points")
    for index, settings in enumerate(config.dnslists):
        if any(reply.points >= settled for reply in settings.replies):
            what = f"strangers become friends by this list's word alone, as listen.settled is {settled:g}"
            remedy = "write fewer points, unless you trust it as your own history"
            sheet.warn(("dnslist", index, "replies"), what, remedy)


def check_rules(sheet: Sheet, config: Config) -> None:
    """Note rules that can never hold as they are meant, or that refuse on a guess."""
    for index, route in enumerate(config.routes):
        here = ("route", index)
        _check_refusal(sheet, here, route)
        _check_known(sheet, (*here, "when"), route, config)
        _check_members(sheet, (*here, "when"), route, config)


def _asked(route: RouteSettings) -> frozenset[str]:
    return route.rule.names if route.rule else frozenset()


def _check_refusal(sheet: Sheet, here: KeyPath, route: RouteSettings) -> None:
    if route.reply.startswith("5") and not _asked(route) & {"lists", "known"}:
        what = "strangers may be refused for good on a guess"
        sheet.warn((*here, "reply"), what, "ask for lists or known in its when, or reply with a 4xx code")


def _check_known(sheet: Sheet, here: KeyPath, route: RouteSettings, config: Config) -> None:
    """What a rule asks for must be something that we look up."""
    asked = _asked(route)
    for name in sorted(asked & {"name", "domain"}):
        if not config.dns.names:
            sheet.warn(here, f"with dns.names = false {name} is never known", "set it to true, or change the rule")
    if "listed" in asked and not config.dnslists:
        sheet.warn(here, "without DNS lists listed is always empty", "add [[dnslist]] with a zone and replies")
    for name in sorted(asked & {"asn", "country"}):
        if not config.geo:
            sheet.warn(here, f"without a database {name} is never known", "add [[geo]] with a file")


def _check_members(sheet: Sheet, here: KeyPath, route: RouteSettings, config: Config) -> None:
    """What a rule looks for by `in` must be there to be found."""
    known = {
        "stress": [pool.name for pool in config.pools],
        "lists": [settings.name for settings in config.lists],
        "listed": [settings.zone for settings in config.dnslists],
    }
    for name, member in sorted(route.rule.members if route.rule else ()):
        if name == "listed" and not config.dnslists:
            continue  # told already
        if member not in known.get(name, [member]):
            what = f"{shown(member)} is never in {name}"
            sheet.warn(here, what, meant(member, known[name], "there is nothing of that name"))
