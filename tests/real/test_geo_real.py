"""A real database: GeoLite2-City of July 2018, by MaxMind (CC BY-SA), in the package maxminddb-geolite2."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

from frontproxy.core.config_values import NetworkEvidence
from frontproxy.core.evidence import from_place
from frontproxy.observe.geo import GeoBook

ZONE = "location.time_zone"


@pytest.fixture(scope="module")
def book() -> Iterator[GeoBook]:
    spec = importlib.util.find_spec("_maxminddb_geolite2")
    assert spec is not None, "the development extra has it: pip install -e .[dev]"
    assert spec.origin is not None
    opened = GeoBook.open([Path(spec.origin).with_name("GeoLite2-City.mmdb")], [ZONE])
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("address", "country"),
    [
        ("8.8.8.8", "US"),
        ("193.0.6.139", "NL"),
        ("133.11.0.1", "JP"),
        ("2001:4860:4860::8888", "US"),
        ("2001:638:504::1", "DE"),
        ("127.0.0.1", ""),
        ("::1", ""),
    ],
)
def test_it_knows_where_well_known_addresses_are(book: GeoBook, address: str, country: str) -> None:
    assert book.find(address).country == country


def test_a_field_of_it_is_evidence(book: GeoBook) -> None:
    tokyo = NetworkEvidence((), (), -2.0, where=((ZONE, ("Asia/Tokyo",)),))
    here, there = book.find("133.11.0.1"), book.find("193.0.6.139")

    assert [reason.name for reason in from_place(here.asn, here.country, [tokyo], here.fields)] == [
        "geo:location.time_zone=Asia/Tokyo"
    ]
    assert not from_place(there.asn, there.country, [tokyo], there.fields)


def test_it_tells_what_it_is(book: GeoBook) -> None:
    (file,) = book.files
    assert (file.kind, file.ipv6, file.fast) == ("GeoLite2-City", True, True)
