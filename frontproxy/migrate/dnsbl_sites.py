"""postscreen_dnsbl_sites as [[dnslist]] tables, with points for weights."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

from frontproxy.core.config_values import Listen
from frontproxy.core.dnslist import PatternError, parse_pattern
from frontproxy.core.scoring import FOE_AT
from frontproxy.core.toml_text import quoted
from frontproxy.migrate.main_cf import words_of
from frontproxy.migrate.page import Page, is_accepted
from frontproxy.migrate.reply_boxes import ANY_LISTING, Box, FilterError, meet, parse_filter, pattern_text, weights_of

_SITE: Final = re.compile(r"([^=*]+)(?:=([^=*]+))?(?:\*([+-]?[0-9]{1,9}))?")
_SECRET: Final = re.compile(r"(?=[^.]*[0-9])[A-Za-z0-9]{16,}|[A-Za-z0-9]{20,}")
"""A label of a zone that looks like a customer's key."""
AT_THRESHOLD: Final = Fraction(FOE_AT - 0.5)
"""Points of weights that reach the threshold together; a confirmed name gives half a point back."""
_MOST_POINTS: Final = 100
"""What config.toml allows, up and down."""
_SETTLED: Final = Listen().settled
_SHORT: Final = 3
"""Replies that stand on one line."""


@dataclass(slots=True)
class Zone:
    """One DNS list, of one or more entries."""

    name: str
    entries: list[str] = field(default_factory=list)
    """As main.cf spells them, but for a key in the name."""
    filters: list[tuple[tuple[Box, ...], int]] = field(default_factory=list)
    """Boxes of replies, and what they weigh."""
    weights: dict[Box, int] = field(default_factory=dict)
    """The same, for a [[dnslist]]."""


@dataclass(frozen=True, slots=True)
class Sites:
    """What came of all entries."""

    zones: tuple[Zone, ...]
    remarks: tuple[tuple[str, str], ...]
    """What is not translated, remedy. Keys in zone names are not in it."""


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
        f"postscreen_dnsbl_threshold ({threshold}) are foes (at {FOE_AT:g}), unless their neighbours, their own past "
        "or coming back after a 421 speak for them. All lists together take at most 35 points. "
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
    """Whom lists spare the tests: for postscreen a sum of weights does, for us only one list of enough points."""
    name = "postscreen_dnsbl_allowlist_threshold"
    makers = friends_by(sites.zones, threshold, _SETTLED)
    is_on = re.fullmatch("-[0-9]{1,9}", page.parameters.value(name).text) is not None
    together = "; several lists together only shorten the pause" if is_on else ""
    if makers:
        off = "" if is_on else "it is off, but "
        what = f"{off}here strangers become friends by the word of {', '.join(makers)} alone{together}"
        page.remark(name, what, f"write fewer points than {_SETTLED:g} (listen.settled) if you do not want that")
    elif is_on:
        what = f"here it takes one list of {_SETTLED:g} points (listen.settled) to make a friend, and none has them"
        page.remark(name, f"{what}{together}", "write as many for a list that you trust as your own history")


def read_sites(value: str) -> Sites:
    """Read the entries; what cannot be translated is left out, and noted."""
    zones: dict[str, Zone] = {}
    remarks: list[tuple[str, str]] = []
    for number, word in enumerate(words_of(value), start=1):
        try:
            name, boxes, weight = _site(word)
        except FilterError as error:
            remarks.append((f"entry {number}: {error}", "see postscreen_dnsbl_sites in postconf(5)"))
        else:
            zone = zones.setdefault(name, Zone(name))
            zone.entries.append(masked(name) + word[len(name) :])
            zone.filters.append((boxes, weight))
    for zone in zones.values():
        try:
            zone.weights = {box: weight for box, weight in weights_of(zone.filters).items() if _is_listing(box)}
        except FilterError as error:
            remarks.append((f"{masked(zone.name)}: {error}", "write fewer filters"))
        else:
            if not zone.weights:
                remarks.append((f"{masked(zone.name)}: all it may reply adds up to nothing", "leave it out"))
    return Sites(tuple(zone for zone in zones.values() if zone.weights), tuple(remarks))


def _site(word: str) -> tuple[str, tuple[Box, ...], int]:
    """Zone, replies and weight of an entry `domain=filter*weight`."""
    form = _SITE.fullmatch(word)
    if not form:
        raise FilterError("it is not of the form domain=filter*weight")
    name = form[1].lower().rstrip(".")
    if not is_accepted(f'[[dnslist]]\nzone = {quoted(name)}\nreplies = {{ "127.0.0.2" = 0 }}'):
        raise FilterError("this is not the name of a DNS list")
    asked = parse_filter(form[2]) if form[2] else (ANY_LISTING,)
    boxes = tuple(common for box in asked if (common := meet(box, ANY_LISTING)))
    if not any(map(_is_listing, boxes)):
        raise FilterError("this reply is never a listing; they lie in 127.0.0.0/8, without 127.0.0.1 and 127.255.255.*")
    return name, boxes, int(form[3] or 1)


def _is_listing(box: Box) -> bool:
    try:
        parse_pattern(pattern_text(box))
    except PatternError:
        return False
    return True


def points_of(weight: int, threshold: int) -> float:
    """What a weight is worth: those that reach the threshold together make a foe, even of one with a confirmed name.

    Rounded down to hundredths, so that they still reach it when they are rounded.
    """
    exact = AT_THRESHOLD * weight / threshold
    return max(-_MOST_POINTS, min(_MOST_POINTS, math.floor(exact * 100) / 100))


def toml_of(zone: Zone, threshold: int, *, counts: bool) -> list[str]:
    """The table; if it does not count, its points are comments."""
    points = {pattern_text(box): points_of(weight, threshold) for box, weight in sorted(zone.weights.items())}
    head = [f"# {entry}" for entry in zone.entries]
    head += ["[[dnslist]]", f"zone = {quoted(zone.name)}"]
    if counts and len(points) <= _SHORT:
        return [*head, f"replies = {{ {', '.join(f'{quoted(key)} = {worth:g}' for key, worth in points.items())} }}"]
    lines = [f"{quoted(key)} = {f'{worth:g}' if counts else f'0  # {worth:g}'}" for key, worth in points.items()]
    return [*head, "[dnslist.replies]", *lines]


def friends_by(zones: Sequence[Zone], threshold: int, settled: float) -> list[str]:
    """Zones that alone give a stranger the points of a friend."""
    return [
        masked(zone.name)
        for zone in zones
        if any(points_of(weight, threshold) >= settled for weight in zone.weights.values())
    ]


def masked(zone: str) -> str:
    """A zone without the key that may be in it."""
    return ".".join("***" if _SECRET.fullmatch(label) else label for label in zone.split("."))
