"""Records as the vendors write them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frontproxy.observe.geo_record import NOWHERE, TEXT_LIMIT, VALUE_LIMIT, Field, Place, complete


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


CITY = {
    "city": {"names": {"en": "Munich", "7": "seven"}},
    "subdivisions": [{"iso_code": "BY"}, {"iso_code": "XX"}],
    "traits": {"is_anycast": False, "user_count": 7, "static_ip_score": 1.5, "user_type": "residential"},
    "list": [1, [2, 3]],
    "bytes": b"text",
    "essay": "x" * (VALUE_LIMIT + 1),
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("city.names.en", "Munich"),
        ("city.names.7", "seven"),
        ("subdivisions.0.iso_code", "BY"),
        ("subdivisions.1.iso_code", "XX"),
        ("list.1.0", 2),
        ("traits.is_anycast", False),
        ("traits.user_count", 7),
        ("traits.static_ip_score", 1.5),
        ("traits.user_type", "residential"),
    ],
)
def test_a_field_is_found_by_its_path(path: str, value: object) -> None:
    assert complete(NOWHERE, CITY, [Field.at(path)]).fields == {path: value}


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".",
        "city",
        "city.names",
        "traits.user_type.more",
        "traits..user_type",
        "Traits.user_type",
        "subdivisions.iso_code",
        "subdivisions.2.iso_code",
        "subdivisions.-1.iso_code",
        "subdivisions.\u0660.iso_code",
        "list.99999999999999999999",
        "bytes",
        "essay",
    ],
)
def test_what_is_no_fact_is_absent(path: str) -> None:
    assert complete(NOWHERE, CITY, [Field.at(path)]).fields == {}


def test_a_field_known_from_one_database_stays_even_when_it_is_no() -> None:
    fields = [Field.at("anycast"), Field.at("hosting")]

    first = complete(NOWHERE, {"anycast": False}, fields)
    both = complete(first, {"anycast": True, "hosting": 1}, fields)

    assert both.fields == {"anycast": False, "hosting": 1}
    assert first.fields == {"anycast": False}


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
    place = complete(NOWHERE, record, [Field.at("country.iso_code"), Field.at("name"), Field.at("asn.0.iso_code")])

    assert 0 <= place.asn < 2**32
    assert all(isinstance(value, str | int | float) for value in place.fields.values())
    assert place.organisation.isprintable()
    assert place.country == "" or (len(place.country) == 2 and place.country.isupper())
