"""The routes of config.toml: rules in the order of the file, and a last one that takes everybody."""

from collections.abc import Mapping
from typing import Any, Final

from frontproxy.core.config_shapes import Shape, name
from frontproxy.core.config_sheet import Sheet
from frontproxy.core.config_terms import reply, rule
from frontproxy.core.config_values import DEFAULT_REPLY, ROUTES, RouteSettings
from frontproxy.core.toml_lines import KeyPath

_ROUTE: Final[Mapping[str, Shape]] = {"when": rule, "to": name, "reply": reply}


def read_routes(sheet: Sheet, tables: Any) -> tuple[RouteSettings, ...]:
    """The routes, each in its place; a wrong one has lost its rule, or gives the reply of the default routes."""
    found = sheet.tables(("route",), tables)
    if isinstance(tables, list) and not tables:
        sheet.mistake(("route",), "there are no routes", "add one, or remove the line to get the default routes")
    routes = [
        _route(sheet, here, table, last=index == len(found)) for index, (here, table) in enumerate(found, start=1)
    ]
    return tuple(routes) or ROUTES


def _route(sheet: Sheet, here: KeyPath, table: dict[str, Any], *, last: bool) -> RouteSettings:
    values = sheet.read(here, table, _ROUTE)
    if ("to" in table) == ("reply" in table):
        what = "the route has both to and reply" if "to" in table else "the route leads nowhere"
        sheet.mistake(here, what, f'write either to = "POOL" or reply = "{DEFAULT_REPLY}"')
    if last and "when" in table:
        what = "the last route takes only some clients, and the others have none"
        sheet.mistake((*here, "when"), what, "add a [[route]] without when at the end of the file")
    if not last and "when" not in table:
        what = "this route takes everybody, so those below it are never reached"
        sheet.mistake(here, what, "add a when, or remove the routes below it")
    if "to" in values:
        return RouteSettings(values.get("when"), to=values["to"])
    return RouteSettings(values.get("when"), reply=values.get("reply", DEFAULT_REPLY))
