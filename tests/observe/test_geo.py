"""MaxMind databases: opened, overwritten, damaged."""

import os
import struct
from pathlib import Path

import maxminddb
import pytest

from frontproxy.core.mistakes import Mistaken
from frontproxy.observe import geo
from frontproxy.observe.geo import Database, GeoBook, GeoFile, Place
from tests.observe.databases import asn, write_database
from tests.observe.memfiles import ends_with, held

EXAMPLE = Place(64500, "Example Net")


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """64500 has 192.0.2.0/24 and 2001:db8::/32."""
    return write_database(tmp_path / "asn.mmdb", {"192.0.2.0/24": asn(64500), "2001:db8::/32": asn(64500)})


def test_both_families_are_found(database: Path) -> None:
    book = GeoBook.open([database])

    assert book.find("192.0.2.1") == EXAMPLE
    assert book.find("2001:db8::1") == EXAMPLE
    assert book.find("198.51.100.1") == Place()
    assert book.errors == 0


def test_the_first_database_that_knows_a_field_wins(database: Path, tmp_path: Path) -> None:
    country = write_database(
        tmp_path / "country.mmdb", {"192.0.2.0/24": {"asn": "AS1", "country_code": "de"}, "198.51.100.0/24": asn(2)}
    )

    book = GeoBook.open([database, country])

    assert book.find("192.0.2.1") == Place(64500, "Example Net", "DE")
    assert book.find("198.51.100.1") == Place(2, "Example Net")


def test_no_databases_know_nothing() -> None:
    assert GeoBook.open([]).find("192.0.2.1") == Place()


def test_an_ipv6_address_is_unknown_to_an_ipv4_database(tmp_path: Path) -> None:
    book = GeoBook.open([write_database(tmp_path / "four.mmdb", {"192.0.2.0/24": asn(64500)}, version=4)])

    assert book.find("192.0.2.1") == EXAMPLE
    assert book.find("2001:db8::1") == Place()
    assert book.errors == 0
    assert not book.files[0].ipv6


def test_a_file_tells_what_it_is(database: Path) -> None:
    (file,) = GeoBook.open([database]).files

    assert (file.path, file.kind, file.size) == (str(database), "Test-ASN", database.stat().st_size)
    assert file.built > 1_700_000_000
    assert file.ipv6
    assert file.fast
    assert file.complete


def test_overwriting_in_place_is_not_felt(database: Path) -> None:
    book = GeoBook.open([database])

    database.write_bytes(b"\xff" * database.stat().st_size)

    assert book.find("192.0.2.1") == EXAMPLE
    assert book.errors == 0


def test_truncation_is_not_felt(database: Path) -> None:
    book = GeoBook.open([database])

    os.truncate(database, 0)

    assert book.find("2001:db8::1") == EXAMPLE
    assert book.errors == 0


def test_a_replaced_file_is_read_by_the_next_book(database: Path, tmp_path: Path) -> None:
    old = GeoBook.open([database])

    write_database(tmp_path / "new.mmdb", {"192.0.2.0/24": asn(64501)}).replace(database)
    new = GeoBook.open([database])

    assert old.find("192.0.2.1").asn == 64500
    assert new.find("192.0.2.1").asn == 64501


@pytest.mark.parametrize(
    ("keep", "what"),
    [
        (slice(0, 0), "empty"),
        (slice(0, -1), "damaged"),
        (slice(0, 100), "damaged"),
        (slice(400, None), "damaged"),
        (slice(-60, None), "damaged"),
    ],
)
def test_part_of_a_file_is_refused(database: Path, keep: slice, what: str) -> None:
    database.write_bytes(database.read_bytes()[keep])

    with pytest.raises(Mistaken) as caught:
        GeoBook.open([database])

    (mistake,) = caught.value.mistakes
    assert mistake.file == str(database)
    assert what in mistake.what
    assert "fetch the database again" in mistake.remedy


def test_a_half_written_file_is_refused(database: Path) -> None:
    content = database.read_bytes()
    database.write_bytes(content[: len(content) // 2].ljust(len(content), b"\0"))

    with pytest.raises(Mistaken, match="damaged"):
        GeoBook.open([database])


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
    file = GeoFile("asn.mmdb", "Test-ASN", built=0, size=0, ipv6=True, fast=True, complete=True)
    book = GeoBook([Database(file, _BrokenReader(error), os.memfd_create("test"))])

    assert book.find("192.0.2.1") == Place()
    assert book.find("2001:db8::1") == Place()
    assert book.errors == 2


@pytest.mark.parametrize("address", ["", "example.com", "192.0.2.1\0", "1" * 5000, "fe80::1%\udcff"])
def test_what_is_no_address_is_no_evidence(database: Path, address: str) -> None:
    book = GeoBook.open([database])

    assert book.find(address) == Place()


def test_without_the_extension_the_slow_reader_serves(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maxminddb, "_extension", None)

    book = GeoBook.open([database])

    assert book.find("192.0.2.1") == EXAMPLE
    assert not book.files[0].fast


def test_a_closed_book_knows_nothing_and_may_be_closed_again(database: Path) -> None:
    book = GeoBook.open([database])
    book.close()
    book.close()

    assert book.find("192.0.2.1") == Place()


def test_the_last_reference_gives_the_memory_back(database: Path) -> None:
    assert ends_with(0, "frontproxy-geo")
    book = GeoBook.open([database])
    assert held("frontproxy-geo") == 1

    del book

    assert ends_with(0, "frontproxy-geo")


def test_a_database_that_its_reader_dies_of_is_refused(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ends_with(0, "frontproxy-geo")
    monkeypatch.setattr("sys.executable", _script(tmp_path / "dying", "kill -SEGV $$"))

    with pytest.raises(Mistaken, match="its reader dies of signal 11"):
        GeoBook.open([database])
    assert ends_with(0, "frontproxy-geo")


def test_a_database_that_never_ends_is_refused(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(geo, "CHECK_TIMEOUT", 0.01)

    with pytest.raises(Mistaken, match="takes more than"):
        GeoBook.open([database])


@pytest.mark.parametrize(("executable", "what"), [("/nonexistent", "No such file"), ("/bin/false", "")])
def test_a_check_that_fails_does_not_accuse_the_database(
    executable: str, what: str, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", executable)

    with pytest.raises(Mistaken, match=rf"cannot be checked \({what}"):
        GeoBook.open([database])


def _script(path: Path, command: str) -> str:
    path.write_text(f"#!/bin/sh\n{command}\n")
    path.chmod(0o700)
    return str(path)
