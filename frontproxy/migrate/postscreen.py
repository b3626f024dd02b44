"""The translation: a main.cf's settings of postscreen as a page of config.toml."""

import re
from pathlib import Path
from typing import Final

from frontproxy.core.config_values import Points
from frontproxy.core.durations import duration_text, parse_duration
from frontproxy.core.toml_text import quoted
from frontproxy.migrate.access_list import ReadTable, add_lists
from frontproxy.migrate.dnsbl_sites import add_dnslists
from frontproxy.migrate.main_cf import parse_main_cf
from frontproxy.migrate.no_counterpart import untranslated
from frontproxy.migrate.page import Page, is_accepted
from frontproxy.migrate.parameters import Parameters

_TIME: Final = re.compile(r"([0-9]{1,9})([smhdw]?)")
_LONGEST_PAUSE: Final = 240.0
_HEAD: Final = (
    "What postscreen did, for config.toml; made by frontproxy check --from-postscreen.",
    "Each table belongs into config.toml; where that has the table already ([listen], [points]), its keys do.",
    "Only main.cf was read: settings that master.cf gives to postscreen with -o are not in here.",
)


def translate(text: str, *, file: str, folder: Path, read_table: ReadTable) -> Page:
    """The page for a main.cf; `folder` is its `$config_directory`, `file` its name for people.

    Raises Mistaken if Postfix could not read it either.
    """
    parameters = Parameters(file, parse_main_cf(text, file), folder)
    page = Page(parameters)
    for line in _HEAD:
        page.say(line)
    if not any(name.startswith("postscreen_") for name in parameters.settings):
        page.remark("postscreen", "main.cf sets nothing of it", "are its settings in master.cf, after -o?")
    _add_listen(page)
    _add_points(page)
    add_lists(page, read_table)
    add_dnslists(page)
    _add_refusals(page)
    remarks = list(untranslated(parameters))
    if remarks:
        page.gap()
    for remark in remarks:
        page.remark(*remark)
    return page


def _add_listen(page: Page) -> None:
    page.gap()
    page.add("[listen]")
    _add_pause(page)
    _add_teaser(page)


def _add_pause(page: Page) -> None:
    name = "postscreen_greet_wait"
    value = page.parameters.value(name)
    form = _TIME.fullmatch(value.text)
    if not form or value.unknown:
        page.remark(name, "this is not a time", f"set listen.pause; see postconf -xh {name}")
        return
    page.source(name, f"under stress {value.stressed!a}, and here nobody waits more than 2s then")
    seconds = parse_duration(f"{form[1]}{form[2] or 's'}")
    if seconds > _LONGEST_PAUSE:
        page.remark(name, "it is more than clients wait", "be content with 4m, or less")
    page.add(f"pause = {quoted(duration_text(min(seconds, _LONGEST_PAUSE)))}")


def _add_teaser(page: Page) -> None:
    name = "postscreen_greet_banner"
    value = page.parameters.value(name)
    remedy = f"set listen.teaser; see postconf -xh {name}"
    if value.unknown:
        page.remark(name, f"it needs {', '.join(value.unknown)}, which main.cf does not set", remedy)
    elif not is_accepted(f"[listen]\nteaser = {quoted(value.text)}"):
        page.remark(name, "it is longer than 200 characters, not ASCII, or begins with 220", remedy)
    else:
        page.source(name)
        page.add(f"teaser = {quoted(value.text)}")


def _add_points(page: Page) -> None:
    page.gap()
    page.add("[points]")
    ignores = page.action("postscreen_greet_action") == "ignore"
    learned = "; it is learned all the same, as a bad session is" if ignores else ""
    page.source("postscreen_greet_action", f"what talking early is worth{learned}")
    page.add(f"pregreet = {0.0 if ignores else Points().pregreet:g}")


def _add_refusals(page: Page) -> None:
    """postscreen refused whom it caught; we leave that to the routes."""
    tests = ["postscreen_greet_action"]
    if page.parameters.value("postscreen_dnsbl_sites").text:
        tests.append("postscreen_dnsbl_action")
    if not any(page.parameters.value(name).text.lower() in {"enforce", "drop"} for name in tests):
        return
    page.gap()
    page.say(
        "postscreen refused whom it caught. Here they are foes as a rule, as are clients with a bad past of their own, "
        "and your [[route]] tables say where foes go. To refuse them, put the route below before the others. Who comes "
        f"back after its 421 gets {Points().returned:g} points for that (points.returned), which may make it a "
        "stranger again; 550 5.7.1 gives no second chance, to those wrongly suspected neither."
    )
    page.add("#[[route]]", '#when = "foe"', '#reply = "421 4.7.1 Service unavailable"')
