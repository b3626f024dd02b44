"""What the records of MaxMind databases say: each vendor names the same facts differently.

Known: GeoLite2 and GeoIP2 (ASN, Country, City), DB-IP, ip-location-db, IPinfo. Any other field is found by the path
that the operator wrote. A field of an unexpected type counts as absent.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from frontproxy.core.config_values import FieldValue

TEXT_LIMIT = 100
"""Characters of an organisation's name."""
VALUE_LIMIT = 200
"""Characters of a text; longer ones are essays rather than facts, and count as absent."""

_ASN_LIMIT = 1 << 32
_INDEX_DIGITS = 4
_NO_FIELDS: Mapping[str, FieldValue] = MappingProxyType({})


class Field(NamedTuple):
    """Where a fact stands in a record: `traits.user_type`; `subdivisions.0.iso_code` is of the first in a list.

    A key that has a dot in it cannot be named.
    """

    path: str
    steps: tuple[str, ...]

    @classmethod
    def at(cls, path: str) -> "Field":
        """The field of that path."""
        return cls(path, tuple(path.split(".")))

    def value_in(self, record: object) -> FieldValue | None:
        """A number, a text or a yes or no; None for everything else. Never raises."""
        for step in self.steps:
            record = _step(record, step)
        if isinstance(record, str):
            return record if len(record) <= VALUE_LIMIT else None
        return record if isinstance(record, int | float) else None


class Place(NamedTuple):
    """Where an address belongs; 0 and "" are unknown."""

    asn: int = 0
    organisation: str = ""
    """Who runs that autonomous system: one line, without control characters."""
    country: str = ""
    """Two letters, upper case."""
    fields: Mapping[str, FieldValue] = _NO_FIELDS
    """What else was asked for, by path. Texts are as the database has them: not to be shown unescaped."""


NOWHERE = Place()


def complete(place: Place, record: Mapping[str, object], fields: Sequence[Field] = ()) -> Place:
    """`place`, with what it does not know yet from `record`."""
    return Place(
        place.asn or _asn(record),
        place.organisation or _organisation(record),
        place.country or _country(record),
        _fields(place.fields, record, fields) if fields else place.fields,
    )


def _fields(
    known: Mapping[str, FieldValue], record: Mapping[str, object], fields: Sequence[Field]
) -> Mapping[str, FieldValue]:
    found = dict(known)
    for field in fields:
        if field.path not in found and (value := field.value_in(record)) is not None:
            found[field.path] = value
    return found


def _step(within: object, step: str) -> object:
    if isinstance(within, dict):
        return within.get(step)
    if isinstance(within, list) and step.isascii() and step.isdecimal() and len(step) <= _INDEX_DIGITS:
        index = int(step)
        return within[index] if index < len(within) else None
    return None


def _asn(record: Mapping[str, object]) -> int:
    value = record.get("autonomous_system_number") or record.get("asn")
    if isinstance(value, str):
        digits = value.removeprefix("AS")
        value = int(digits) if digits.isascii() and digits.isdecimal() and len(digits) <= 10 else 0
    return value if isinstance(value, int) and 0 < value < _ASN_LIMIT else 0


def _organisation(record: Mapping[str, object]) -> str:
    name = record.get("autonomous_system_organization") or record.get("as_name")
    if name is None and "asn" in record:
        name = record.get("name")  # IPinfo; elsewhere `name` may be anything's
    if not isinstance(name, str):
        return ""
    name = name[:TEXT_LIMIT]
    return name if name.isprintable() else "".join(filter(str.isprintable, name))


def _country(record: Mapping[str, object]) -> str:
    for key in ("country_code", "country", "registered_country"):
        value = record.get(key)
        code = value.get("iso_code") if isinstance(value, Mapping) else value
        # IPinfo writes a code or a whole name under `country`.
        if isinstance(code, str) and len(code) == 2 and code.isascii() and code.isalpha():
            return code.upper()
    return ""
