"""Opening one MaxMind database: overwritten, damaged, deadly."""

import os
from dataclasses import replace
from pathlib import Path

import maxminddb
import pytest

from frontproxy.core.mistakes import Mistaken
from frontproxy.observe import geo_database
from frontproxy.observe.geo_database import Mark, open_database
from tests.observe.databases import asn, write_database
from tests.observe.memfiles import ends_with, held

RECORD = asn(64500)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """64500 has 192.0.2.0/24 and 2001:db8::/32."""
    return write_database(tmp_path / "asn.mmdb", {"192.0.2.0/24": RECORD, "2001:db8::/32": RECORD})


def test_a_file_tells_what_it_is(path: Path) -> None:
    file = open_database(path).file

    assert (file.path, file.kind, file.size) == (str(path), "Test-ASN", path.stat().st_size)
    assert file.built > 1_700_000_000
    assert file.ipv6
    assert file.fast
    assert file.complete
    assert file.mark == Mark.of(path.stat())


def test_a_database_of_ipv4_only_says_so(tmp_path: Path) -> None:
    assert not open_database(write_database(tmp_path / "4.mmdb", {"192.0.2.0/24": RECORD}, version=4)).file.ipv6


@pytest.mark.parametrize(
    ("built", "day"), [(0, "1970-01-01"), (1_781_725_910, "2026-06-17"), (2**64, "a day that no calendar has")]
)
def test_the_day_it_was_built_is_for_people(built: int, day: str, path: Path) -> None:
    assert replace(open_database(path).file, built=built).day == day


def test_overwriting_in_place_is_not_felt(path: Path) -> None:
    database = open_database(path)

    path.write_bytes(b"\xff" * path.stat().st_size)

    assert database.reader.get("192.0.2.1") == RECORD


def test_truncation_is_not_felt(path: Path) -> None:
    database = open_database(path)

    os.truncate(path, 0)

    assert database.reader.get("2001:db8::1") == RECORD


def test_fields_that_are_wanted_and_not_there_are_told(path: Path) -> None:
    database = open_database(path, ["autonomous_system_number", "traits.user_type", "\0"])

    assert list(database.unseen) == ["traits.user_type", "\0"]
    assert not database.offers  # no sampled address is in one of its two networks


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
def test_part_of_a_file_is_refused(path: Path, keep: slice, what: str) -> None:
    path.write_bytes(path.read_bytes()[keep])

    with pytest.raises(Mistaken) as caught:
        open_database(path)

    (mistake,) = caught.value.mistakes
    assert mistake.file == str(path)
    assert what in mistake.what
    assert "fetch the database again" in mistake.remedy
    assert ends_with(0, "frontproxy-geo")


def test_a_half_written_file_is_refused(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2].ljust(len(content), b"\0"))

    with pytest.raises(Mistaken, match="damaged"):
        open_database(path)


def test_without_the_extension_the_slow_reader_serves(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maxminddb, "_extension", None)

    database = open_database(path)

    assert database.reader.get("192.0.2.1") == RECORD
    assert not database.file.fast


def test_the_last_reference_gives_the_memory_back(path: Path) -> None:
    assert ends_with(0, "frontproxy-geo")
    database = open_database(path)
    assert held("frontproxy-geo") == 1

    del database

    assert ends_with(0, "frontproxy-geo")


def test_a_database_that_its_reader_dies_of_is_refused(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ends_with(0, "frontproxy-geo")
    monkeypatch.setattr("sys.executable", _script(tmp_path / "dying", "kill -SEGV $$"))

    with pytest.raises(Mistaken, match="its reader dies of signal 11"):
        open_database(path)
    assert ends_with(0, "frontproxy-geo")


def test_a_database_that_never_ends_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(geo_database, "CHECK_TIMEOUT", 0.01)

    with pytest.raises(Mistaken, match="takes more than"):
        open_database(path)


@pytest.mark.parametrize(("executable", "what"), [("/nonexistent", "No such file"), ("/bin/false", "")])
def test_a_check_that_fails_does_not_accuse_the_database(
    executable: str, what: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", executable)

    with pytest.raises(Mistaken, match=rf"cannot be checked \({what}"):
        open_database(path)


def _script(path: Path, command: str) -> str:
    path.write_text(f"#!/bin/sh\n{command}\n")
    path.chmod(0o700)
    return str(path)
