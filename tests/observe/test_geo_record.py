"""Records as the vendors write them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frontproxy.observe.geo_record import NOWHERE, TEXT_LIMIT, Place, complete


@pytest.mark.parametrize(
    ("record", "place"),
    [
        pytest.param(
            {"autonomous_system_number": 64500, "autonomous_system_organization": "Example Net"},
            Place(64500, "Example Net"),
            id="GeoLite2-ASN, DB-IP",
        ),
        pytest.param(
            {"country": {"iso_code": "DE", "names": {"en": "Germany"}}, "registered_country": {"iso_code": "FR"}},
            Place(country="DE"),
            id="GeoIP2-Country",
        ),
        pytest.param({"registered_country": {"iso_code": "FR"}}, Place(country="FR"), id="GeoIP2 without a place"),
        pytest.param({"country_code": "NL"}, Place(country="NL"), id="ip-location-db"),
        pytest.param(
            {
                "asn": "AS64501",
                "as_name": "Example",
                "as_domain": "example.net",
                "country": "us",
                "country_name": "United States",
            },
            Place(64501, "Example", "US"),
            id="IPinfo country and ASN",
        ),
        pytest.param(
            {"asn": "AS64501", "as_name": "Example", "country": "United States", "country_code": "US"},
            Place(64501, "Example", "US"),
            id="IPinfo Lite",
        ),
        pytest.param({"asn": "AS64501", "name": "Example"}, Place(64501, "Example"), id="IPinfo ASN"),
        pytest.param({"name": "Bavaria"}, NOWHERE, id="the name of something else"),
    ],
)
def test_every_vendor_is_understood(record: dict[str, object], place: Place) -> None:
    assert complete(NOWHERE, record) == place


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"asn": "ASXX", "country": "Germany", "country_code": "D1"},
        {"asn": "AS99999999999", "autonomous_system_organization": 7},
        {"autonomous_system_number": 2**32},
        {"autonomous_system_number": -1},
        {"autonomous_system_number": 1.5, "country": {"iso_code": None}},
        {"asn": "AS٦٤", "country": {"iso_code": ["DE"]}},
        {"country": "ßß"},
    ],
)
def test_what_makes_no_sense_is_unknown(record: dict[str, object]) -> None:
    assert complete(NOWHERE, record) == NOWHERE


def test_what_is_known_stays() -> None:
    place = complete(Place(asn=1, country="DE"), {"asn": 2, "as_name": "Example", "country_code": "FR"})

    assert place == Place(1, "Example", "DE")


def test_names_are_one_short_printable_line() -> None:
    name = "Evil\r\n\x1b[2J\u202e Corp" + "x" * 5000

    organisation = complete(NOWHERE, {"as_name": name}).organisation

    assert organisation.startswith("Evil[2J Corpx")
    assert len(organisation) <= TEXT_LIMIT


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.just("iso_code"), inner),
    max_leaves=3,
)
_keys = [
    "autonomous_system_number",
    "autonomous_system_organization",
    "asn",
    "as_name",
    "name",
    "country",
    "country_code",
]


@settings(max_examples=60)
@given(st.dictionaries(st.sampled_from(_keys), _values))
def test_no_record_raises(record: dict[str, object]) -> None:
    place = complete(NOWHERE, record)

    assert 0 <= place.asn < 2**32
    assert place.organisation.isprintable()
    assert place.country == "" or (len(place.country) == 2 and place.country.isupper())
