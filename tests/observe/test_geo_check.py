"""Reading a database to its end."""

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from frontproxy.observe.geo_check import FULL_CHECK_LIMIT, OFFERS_LIMIT, Report, check
from tests.observe.databases import asn, write_database

CITY = {
    "country": {"iso_code": "DE", "names": {"pt-BR": "Alemanha"}},
    "subdivisions": [{"iso_code": "BY"}, {"iso_code": "XX"}],
    "traits": {"is_anycast": True},
    "location": {"accuracy_radius": 20, "latitude": 48.1},
    "with.dot": 1,
    "k\x1b[2J": 1,
    "empty": [],
}


@pytest.fixture
def descriptor(tmp_path: Path) -> Iterator[int]:
    """A sound database of two networks."""
    path = write_database(tmp_path / "asn.mmdb", {"192.0.2.0/24": asn(64500), "2001:db8::/32": asn(64501)})
    with path.open("r+b") as file:
        yield file.fileno()


def test_a_sound_database_is_read_to_its_end(descriptor: int) -> None:
    assert check(descriptor) == Report("", complete=True)


def test_a_database_that_takes_too_long_is_believed_but_not_complete(descriptor: int) -> None:
    ticks = count(0, FULL_CHECK_LIMIT)

    assert check(descriptor, clock=lambda: next(ticks)) == Report("", complete=False)


def test_a_record_that_no_sampled_address_has_is_read_as_well(descriptor: int) -> None:
    content = os.pread(descriptor, 1 << 20, 0)
    at = content.index(b"autonomous_system_number")
    os.pwrite(descriptor, b"\xff" * 24, at)

    assert "decode" in check(descriptor).damage


def test_damage_is_told_without_our_own_names(descriptor: int) -> None:
    os.ftruncate(descriptor, 100)

    damage = check(descriptor).damage

    assert damage
    assert "/proc/" not in damage


def test_fields_that_no_record_has_are_told_and_with_them_those_there_are(tmp_path: Path) -> None:
    path = write_database(
        tmp_path / "city.mmdb", {"0.0.0.0/4": CITY, "192.0.2.0/30": {"traits": {"user_type": "cafe"}}}
    )
    with path.open("rb") as file:
        seen = check(file.fileno(), ["country.iso_code", "traits.user_type"])
        partly = check(file.fileno(), ["traits.is_anycasd", "traits.user_type", "country"])

    assert (seen.unseen, seen.offers) == ((), ())
    assert partly.unseen == ("traits.is_anycasd", "country")
    assert partly.offers == (
        "country.iso_code",
        "country.names.pt-BR",
        "location.accuracy_radius",
        "location.latitude",
        "subdivisions.0.iso_code",
        "traits.is_anycast",
    )


def test_a_database_of_endless_fields_offers_some(tmp_path: Path) -> None:
    record = {f"key{number}": number for number in range(OFFERS_LIMIT * 2)} | {"long" * 100: 1}
    path = write_database(tmp_path / "wide.mmdb", {"0.0.0.0/4": record})
    with path.open("rb") as file:
        report = check(file.fileno(), ["absent"])

    assert len(report.offers) == OFFERS_LIMIT
    assert max(map(len, report.offers)) < 20
