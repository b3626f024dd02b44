"""What the records of MaxMind databases say: each vendor names the same facts differently.

Known: GeoLite2 and GeoIP2 (ASN, Country, City), DB-IP, ip-location-db, IPinfo. A field of an unexpected type counts as
absent.
"""

from collections.abc import Mapping
from dataclasses import dataclass

TEXT_LIMIT = 100
"""Characters of an organisation's name."""

_ASN_LIMIT = 1 << 32


@dataclass(frozen=True, slots=True)
class Place:
    """Where an address belongs; 0 and "" are unknown."""

    asn: int = 0
    organisation: str = ""
    """Who runs that autonomous system: one line, without control characters."""
    country: str = ""
    """Two letters, upper case."""


NOWHERE = Place()


def complete(place: Place, record: Mapping[str, object]) -> Place:
    """`place`, with what it does not know yet from `record`."""
    return Place(
        place.asn or _asn(record),
        place.organisation or _organisation(record),
        place.country or _country(record),
    )


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
