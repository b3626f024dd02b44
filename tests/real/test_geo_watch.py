"""Real databases, replaced in every way that updaters know, while look-ups go on."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from frontproxy.observe import geo_watch
from frontproxy.observe.geo import GeoBook
from frontproxy.observe.geo_watch import GeoWatch
from tests.fakes import open_descriptors
from tests.houses import HeardLog
from tests.observe.databases import asn, write_database
from tests.observe.memfiles import ends_with

pytestmark = pytest.mark.real

PATIENCE = 60.0
"""Seconds; a check takes a quarter of one here."""


class Enforced:
    """The book in force, and its watch."""

    def __init__(self, path: Path) -> None:
        self.book = GeoBook.open([path], ["autonomous_system_organization"])
        self.log = HeardLog()
        self.watch = GeoWatch(lambda: self.book, self._replace, self.log)

    def _replace(self, book: GeoBook) -> None:
        old, self.book = self.book, book
        old.close()

    async def becomes(self, number: int) -> None:
        """Wait until that ASN has 192.0.2.1, and nobody else has had it meanwhile."""
        before = self.book.find("192.0.2.1").asn
        with trio.fail_after(PATIENCE):
            while (found := self.book.find("192.0.2.1")).asn != number:
                assert found.asn == before
                await trio.sleep(0.01)
        assert found.fields == {"autonomous_system_organization": "Example Net"}

    async def is_in_trouble(self, what: str) -> None:
        """Wait for an alarm that says so."""
        with trio.fail_after(PATIENCE):
            while not any(what in text for text in self.watch.troubles()):
                assert self.book.find("192.0.2.1").asn
                await trio.sleep(0.01)


def rename_over(fresh: Path, path: Path) -> None:
    """As geoipupdate does it."""
    fresh.replace(path)


def overwrite(fresh: Path, path: Path) -> None:
    """As `cp` and `curl -o` do it: truncated, then written bit by bit."""
    content = fresh.read_bytes()
    with path.open("wb", buffering=0) as file:
        for start in range(0, len(content), 100):
            file.write(content[start : start + 100])


def switch_link(fresh: Path, path: Path) -> None:
    """As `ln -sfn` does it."""
    link = path.with_suffix(".link")
    link.symlink_to(fresh)
    link.replace(path)


async def test_replaced_in_every_way_it_takes_effect_and_nothing_leaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(geo_watch, "LOOK_EVERY", 0.05)
    assert ends_with(0, "frontproxy-geo")
    path = write_database(tmp_path / "asn.mmdb", {"192.0.2.0/24": asn(1)})
    descriptors = open_descriptors()
    ways: list[Callable[[Path, Path], None]] = [rename_over, overwrite, switch_link, rename_over, overwrite]
    async with trio.open_nursery() as nursery:
        in_force = Enforced(path)
        nursery.start_soon(in_force.watch.run)
        for number, put in enumerate(ways, 2):
            put(write_database(tmp_path / f"{number}.mmdb", {"192.0.2.0/24": asn(number)}), path)
            await in_force.becomes(number)
        nursery.cancel_scope.cancel()

    told = in_force.log.about("geo")
    assert sum("state=replaced" in line for line in told) == len(ways)
    in_force.book.close()
    assert ends_with(0, "frontproxy-geo")
    assert open_descriptors() <= descriptors  # fewer: what earlier tests gave back has gone meanwhile


async def test_half_written_then_gone_then_mended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(geo_watch, "LOOK_EVERY", 0.05)
    path = write_database(tmp_path / "asn.mmdb", {"192.0.2.0/24": asn(1)})
    fresh = write_database(tmp_path / "fresh.mmdb", {"192.0.2.0/24": asn(2)})
    async with trio.open_nursery() as nursery:
        in_force = Enforced(path)
        nursery.start_soon(in_force.watch.run)
        path.write_bytes(fresh.read_bytes()[: fresh.stat().st_size // 2])
        await in_force.is_in_trouble("is damaged")
        path.unlink()
        await in_force.is_in_trouble("is gone, or out of reach")
        os.link(fresh, path)
        await in_force.becomes(2)
        assert not list(in_force.watch.troubles())
        nursery.cancel_scope.cancel()

    told = [line.split("file=")[0].split("mistake=")[0].strip() for line in in_force.log.about("geo")]
    assert told == ["event=geo state=refused", "event=geo state=gone", "event=geo state=replaced"]
