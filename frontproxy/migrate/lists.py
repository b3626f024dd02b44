"""The [[list]] tables of the page: whom postscreen_access_list let through, and whom it turned away."""

from collections.abc import Sequence
from typing import Final

from frontproxy.migrate.access_list import ReadTable, read_access_list
from frontproxy.migrate.first_match import IpNetwork
from frontproxy.migrate.page import Page, quoted

_IN_PLACE: Final = 20
"""Networks that stand in config.toml itself; more belong into a file."""
_OWN: Final = ('name = "postscreen-own"', 'kind = "own"')
_PERMIT: Final = ('name = "postscreen-permit"', 'kind = "points"', "points = 30")
"""Friends, unless their own history says much else; and it goes on learning about them."""
_DENY: Final = ('name = "postscreen-deny"', 'kind = "deny"')


def add_lists(page: Page, read_table: ReadTable) -> None:
    """Add what can be followed of the access list; networks for files of their own come last."""
    found = read_access_list(page.parameters, read_table)
    page.gap()
    page.source("postscreen_access_list", "its first match counted, so networks are cut where an earlier rule decides")
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
