"""Reading a database to its end."""

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from frontproxy.observe.geo_check import FULL_CHECK_LIMIT, Report, check
from tests.observe.databases import asn, write_database


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
