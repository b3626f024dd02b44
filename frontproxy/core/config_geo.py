"""The tables of config.toml about where a client is: databases, `[[geo]]`, and points for places, `[[network]]`."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from frontproxy.core.config_shapes import Complaint, Shape, Wrong, array_of, number, path, shown, text, whole
from frontproxy.core.config_sheet import Sheet
from frontproxy.core.config_terms import country
from frontproxy.core.config_values import FieldValue, Geo, NetworkEvidence

_LONGEST_FIELD: Final = 200
_NOT_ISO: Final = {"UK": "GB", "EL": "GR"}
"""Codes that are widely used for a country and that no database has."""
_LARGEST: Final = 2**128
"""No whole number in a database has more bits."""


def read_geo(sheet: Sheet, tables: Any, folder: Path) -> tuple[Geo, ...]:
    """The databases, each with its absolute path."""
    read = [sheet.read(here, table, {"file": path}, needed=("file",)) for here, table in sheet.tables(("geo",), tables)]
    return tuple(Geo(folder / values["file"]) for values in read if values)


def read_networks(sheet: Sheet, tables: Any) -> tuple[NetworkEvidence, ...]:
    """The points for places; what is wrong matches nothing, or gives none."""
    networks = []
    for here, table in sheet.tables(("network",), tables):
        values = sheet.read(here, table, _NETWORK, needed=("points",))
        if not any(table.get(key) for key in ("asn", "country", "where")):
            sheet.mistake(here, "this matches no network", 'add asn = [64500] or country = ["DE"]')
        for code in _NOT_ISO.keys() & set(values.get("country", ())):
            sheet.warn((*here, "country"), f'ISO 3166 has no country "{code}"', f'write "{_NOT_ISO[code]}"')
        networks.append(NetworkEvidence(**{"asn": (), "country": (), "points": 0.0, **values}))
    return tuple(networks)


def _where(value: Any) -> tuple[tuple[str, tuple[FieldValue, ...]], ...]:
    """Fields of MaxMind databases by dotted path, "traits.user_type", and the values that are meant."""
    if not isinstance(value, dict):
        remedy = 'write { "traits.user_type" = ["residential"] }'
        raise Wrong((f"{shown(value)} does not give values to fields", remedy))
    fields: dict[str, tuple[FieldValue, ...]] = {}
    complaints: list[Complaint] = []
    for field, values in _flat(value):
        try:
            fields[_field(field)] = _FIELD_VALUES(values)
        except Wrong as wrong:
            complaints.extend((f"{shown(field)}: {what}", remedy) for what, remedy in wrong.complaints)
    if complaints:
        raise Wrong(*complaints)
    return tuple(fields.items())


def _flat(table: dict[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Without quotes TOML takes the dots of a path for tables; they mean the same here."""
    for key, value in table.items():
        if isinstance(value, dict) and value and len(before) <= _LONGEST_FIELD:
            yield from _flat(value, f"{before}{key}.")
        else:
            yield before + key, value


def _field(path_: str) -> str:
    if all(text(path_).split(".")) and len(path_) <= _LONGEST_FIELD and "\\" not in path_:
        return path_
    raise Wrong(("this is not the path of a field", 'write the names on the way, such as "traits.user_type"'))


def _field_value(value: Any) -> FieldValue:
    if isinstance(value, str):
        return text(value)
    if isinstance(value, bool) or (isinstance(value, int | float) and -_LARGEST <= value <= _LARGEST):
        return value
    raise Wrong((f"{shown(value)} is not the value of a field", "write text, a number, true or false"))


_FIELD_VALUES: Final = array_of(_field_value, at_least=1)
_NETWORK: Final[Mapping[str, Shape]] = {
    "asn": array_of(whole(1, 4_294_967_295)),
    "country": array_of(country),
    "where": _where,
    "points": number(-100, 100),
}
