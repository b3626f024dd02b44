"""A book of MaxMind databases: asked in order, renewed, closed."""

import os
import struct
from pathlib import Path

import maxminddb
import pytest

from frontproxy.core.mistakes import Mistaken
from frontproxy.observe.geo import Database, GeoBook, GeoFile, Place
from frontproxy.observe.geo_database import Mark
from tests.observe.databases import Record, asn, write_database
from tests.observe.memfiles import ends_with, held

EXAMPLE = Place(64500, "Example Net")
FILE = GeoFile("asn.mmdb", "Test-ASN", 0, 0, ipv6=True, fast=True, complete=True, mark=Mark(0, 0, 0, 0))


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """64500 has 192.0.2.0/24 and 2001:db8::/32."""
    return write_database(tmp_path / "asn.mmdb", {"192.0.2.0/24": asn(64500), "2001:db8::/32": asn(64500)})


@pytest.fixture
def country(tmp_path: Path) -> Path:
    """192.0.2.0/24 is in Germany, of AS1; 64501 has 198.51.100.0/24."""
    return write_database(
        tmp_path / "country.mmdb",
        {"192.0.2.0/24": {"asn": "AS1", "country_code": "de", "tor": False}, "198.51.100.0/24": asn(64501)},
    )


def test_both_families_are_found(database: Path) -> None:
    book = GeoBook.open([database])

    assert book.find("192.0.2.1") == EXAMPLE
    assert book.find("2001:db8::1") == EXAMPLE
    assert book.find("198.51.100.1") == Place()
    assert book.errors == 0


def test_the_first_database_that_knows_a_field_wins(database: Path, country: Path) -> None:
    book = GeoBook.open([database, country])

    assert book.find("192.0.2.1") == Place(64500, "Example Net", "DE")
    assert book.find("198.51.100.1") == Place(64501, "Example Net")


def test_any_field_of_any_database_is_found_when_it_is_wanted(database: Path, country: Path) -> None:
    book = GeoBook.open([database, country], ["tor", "autonomous_system_number", "tor", "absent"])

    assert book.find("192.0.2.1").fields == {"autonomous_system_number": 64500, "tor": False}
    assert book.find("198.51.100.1").fields == {"autonomous_system_number": 64501}
    assert book.find("203.0.113.1").fields == {}


def test_no_databases_know_nothing() -> None:
    assert GeoBook.open([]).find("192.0.2.1") == Place()


def test_an_ipv6_address_is_unknown_to_an_ipv4_database(tmp_path: Path) -> None:
    book = GeoBook.open([write_database(tmp_path / "four.mmdb", {"192.0.2.0/24": asn(64500)}, version=4)])

    assert book.find("192.0.2.1") == EXAMPLE
    assert book.find("2001:db8::1") == Place()
    assert book.errors == 0


def test_every_file_that_cannot_be_used_is_told(database: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "page.mmdb").write_text("<html>Sign in to download</html>")

    with pytest.raises(Mistaken) as caught:
        GeoBook.open([database, tmp_path / "missing", tmp_path, tmp_path / "fifo", tmp_path / "page.mmdb"])

    told = {Path(mistake.file).name: mistake.what for mistake in caught.value.mistakes}
    assert told.keys() == {"missing", tmp_path.name, "fifo", "page.mmdb"}
    assert "No such file" in told["missing"]
    assert "regular" in told["fifo"]
    assert "damaged" in told["page.mmdb"]
    del caught  # its traceback holds what was opened
    assert ends_with(0, "frontproxy-geo")


class _BrokenReader:
    """Raises what the readers raise at damage."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def get(self, ip_address: str) -> object:
        raise self.error

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    "error", [maxminddb.InvalidDatabaseError("damaged"), ValueError("text"), IndexError(7), struct.error("short")]
)
def test_damage_met_by_a_look_up_is_counted_and_no_evidence(error: Exception) -> None:
    book = GeoBook([Database(FILE, _BrokenReader(error), os.memfd_create("test"))])

    assert book.find("192.0.2.1") == Place()
    assert book.find("2001:db8::1") == Place()
    assert book.errors == 2


class _Everybody:
    """Says the same of everybody."""

    def __init__(self, record: Record) -> None:
        self._record = dict(record)

    def get(self, ip_address: str) -> object:
        return self._record

    def close(self) -> None:
        pass


@pytest.mark.parametrize("address", ["", "example.com", "192.0.2.1\0", "1" * 5000, "fe80::1%\udcff"])
def test_what_is_no_address_is_no_evidence(database: Path, address: str) -> None:
    book = GeoBook.open([database])

    assert book.find(address) == Place()


def test_a_renewed_book_shares_what_is_still_good_and_the_old_one_may_be_closed(database: Path, country: Path) -> None:
    old = GeoBook.open([database, country], ["tor"])
    fresh = Database(FILE, _Everybody(asn(64999)), os.memfd_create("frontproxy-geo"))

    new = old.renewed({str(database): fresh})
    del fresh

    assert old.find("192.0.2.1").asn == 64500
    assert new.find("192.0.2.1") == Place(64999, "Example Net", "DE", {"tor": False})
    assert held("frontproxy-geo") == 3
    old.close()
    assert ends_with(2, "frontproxy-geo")
    assert new.find("198.51.100.1") == Place(64999, "Example Net")


def test_a_closed_book_knows_nothing_and_may_be_closed_again(database: Path) -> None:
    book = GeoBook.open([database])
    book.close()
    book.close()

    assert book.find("192.0.2.1") == Place()
    assert ends_with(0, "frontproxy-geo")


def test_the_last_reference_gives_the_memory_back(database: Path) -> None:
    assert ends_with(0, "frontproxy-geo")
    book = GeoBook.open([database])
    assert held("frontproxy-geo") == 1

    del book

    assert ends_with(0, "frontproxy-geo")


def _book(*of_each: tuple[tuple[str, ...], tuple[str, ...]], wanted: tuple[str, ...]) -> GeoBook:
    """Databases that have not seen these fields, and offer those."""
    reader = _BrokenReader(ValueError())
    return GeoBook([Database(FILE, reader, os.memfd_create("test"), *each) for each in of_each], wanted)


def test_a_field_that_no_database_has_is_remarked_on_and_the_nearest_named() -> None:
    book = _book((("user_typ", "tor"), ("asn", "user_type")), (("user_typ",), ()), wanted=("user_typ", "tor", "asn"))

    (remark,) = book.remarks("config.toml")

    assert str(remark) == (
        'config.toml: network.where: no record of your databases has the field "user_typ"; did you mean user_type?'
    )


@pytest.mark.parametrize(
    ("offers", "remedy"),
    [
        ((), "add a [[geo]] that has it"),
        (("b", "a"), "they have a, b"),
        (tuple("abcdefghijk"), "they have a, b, c, d, e, f, g, h ..."),
    ],
)
def test_where_nothing_is_near_what_there_is_is_named(offers: tuple[str, ...], remedy: str) -> None:
    (remark,) = _book((("traits.user_type\n",), offers), wanted=("traits.user_type\n",)).remarks("config.toml")

    assert remark.remedy == remedy
    assert "\n" not in remark.what


def test_without_databases_nothing_is_remarked_on() -> None:
    assert list(_book(wanted=("tor",)).remarks("config.toml")) == []


def test_status_is_told_of_each_file() -> None:
    told = {"file": "asn.mmdb", "kind": "Test-ASN", "built": 0, "bytes": 0, "complete": True}

    assert _book(((), ()), ((), ()), wanted=()).status() == [told, told]
