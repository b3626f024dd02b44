"""The [[dnslist]] tables of the page: postscreen's DNS lists, with points for weights."""

import re
from typing import Final

from frontproxy.core.config_values import Listen
from frontproxy.core.scoring import FOE_AT
from frontproxy.migrate.dnsbl_sites import Sites, friends_by, points_of, read_sites, toml_of
from frontproxy.migrate.page import Page

_SETTLED: Final = Listen().settled


def add_dnslists(page: Page) -> None:
    """Add a table for each list that postscreen asked; without effect if it only watched."""
    name = "postscreen_dnsbl_sites"
    value = page.parameters.value(name)
    if not value.text and not value.unknown:
        return
    page.gap()
    if value.unknown:
        page.remark(name, f"it needs {', '.join(value.unknown)}, which main.cf does not set", "set it, and try again")
        return
    sites = read_sites(value.text)
    threshold = _threshold(page)
    page.source(name)
    page.say(
        f"A weight of 1 is worth {points_of(1, threshold):g} points (rounded down), so that those who reach "
        f"postscreen_dnsbl_threshold ({threshold}) are foes (at {FOE_AT:g}), unless their neighbours or their own past "
        "speak for them. All lists together take at most 35 points. "
        "A client with several replies of one list gets the strongest of them; postscreen added them."
    )
    for remark in sites.remarks:
        page.remark(name, *remark)
    counts = page.action("postscreen_dnsbl_action") != "ignore"
    if not counts:
        what = "it is ignore, so the lists are asked and shown, but worth nothing for or against a client"
        page.remark("postscreen_dnsbl_action", what, "to let them count, write the points that stand behind the #")
    else:
        _add_allowing(page, sites, threshold)
    for zone in sites.zones:
        page.gap()
        page.add(*toml_of(zone, threshold, counts=counts))


def _threshold(page: Page) -> int:
    name = "postscreen_dnsbl_threshold"
    text = page.parameters.value(name).text
    if re.fullmatch("[0-9]{1,9}", text) and int(text):
        return int(text)
    page.remark(name, "it is not a whole number above 0", "1 is taken for it")
    return 1


def _add_allowing(page: Page, sites: Sites, threshold: int) -> None:
    """What lists say in a client's favour: postscreen compares it with a threshold, we with `listen.settled`."""
    name = "postscreen_dnsbl_allowlist_threshold"
    text = page.parameters.value(name).text
    least = int(text) if re.fullmatch("-?[0-9]{1,9}", text) else 0
    makers = friends_by(sites.zones, threshold, _SETTLED)
    bar = f"listen.settled is {_SETTLED:g}"
    if least < 0:
        worth = points_of(least, threshold)
        effect = "are friends" if worth >= _SETTLED else "are not yet friends"
        what = f"those who reach {least} have {worth:g} points here and {effect}, as {bar}"
        page.remark(name, what, "change their points if you want it otherwise")
    elif makers:
        what = f"it is off, but here strangers become friends by the word of {', '.join(makers)}, as {bar}"
        page.remark(name, what, f"write fewer points than {_SETTLED:g} if you do not want that")
