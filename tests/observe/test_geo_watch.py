"""Databases that are replaced while we run: when a new one takes effect, and what happens when it is no good."""

import os
from collections.abc import Callable, Collection
from pathlib import Path

import pytest
import trio

from frontproxy.core.mistakes import Mistake, Mistaken
from frontproxy.observe.geo import Database, GeoBook, GeoFile
from frontproxy.observe.geo_database import Mark
from frontproxy.observe.geo_watch import LOOK_EVERY, TRY_AGAIN, GeoWatch


class _Reader:
    """A database whose file is a text: the ASN of everybody."""

    def __init__(self, text: str) -> None:
        self._asn = int(text)

    def get(self, ip_address: str) -> object:
        return {"autonomous_system_number": self._asn}

    def close(self) -> None:
        pass


class Street:
    """A book in force, a watch over it, and all it has told."""

    def __init__(self, *paths: Path) -> None:
        self.told: list[tuple[str, object]] = []
        self.now = 0.0
        self.opened = 0
        self.on_open: Callable[[], None] = lambda: None
        self.book = GeoBook([self.open_one(path, ()) for path in paths])
        self.watch = GeoWatch(lambda: self.book, self._replace, self, open_one=self.open_one, clock=lambda: self.now)

    def __call__(self, event: str, /, **values: object) -> None:
        """A line of the log."""
        assert event == "geo"
        self.told.append((str(values["state"]), values.get("file") or values.get("mistake")))

    def bug(self, where: str, error: Exception, /, **_values: object) -> None:
        """A line about a mistake of ours."""
        self.told.append((where, repr(error)))

    def open_one(self, path: Path, wanted: Collection[str]) -> Database:
        """In the place of `open_database`."""
        self.opened += 1
        self.on_open()
        mark, text = Mark.of(path.stat()), path.read_text()
        if not text.isdecimal():
            raise Mistaken([Mistake(str(path), 0, "", "is damaged", "fetch it again")])
        file = GeoFile(str(path), "Test", 0, mark.size, ipv6=True, fast=True, complete=True, mark=mark)
        return Database(file, _Reader(text), os.memfd_create("test"))

    def _replace(self, book: GeoBook) -> None:
        old, self.book = self.book, book
        old.close()

    async def looks(self, count: int) -> int:
        """The ASN of everybody after so many looks."""
        for _ in range(count):
            await self.watch.look()
        return self.asn

    @property
    def asn(self) -> int:
        """Of everybody."""
        return self.book.find("192.0.2.1").asn

    @property
    def troubles(self) -> list[str]:
        """What is an alarm now."""
        return list(self.watch.troubles())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database: everybody is of 64500."""
    file = tmp_path / "asn.mmdb"
    file.write_text("64500")
    return file


def rename_over(path: Path, text: str) -> None:
    """As most updaters do it."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(path)


def overwrite(path: Path, text: str) -> None:
    """In place: the same inode."""
    path.write_text(text)


def rename_backdated(path: Path, text: str) -> None:
    """Another file of the same size and time, as `cp -p` and `rsync -t` leave them."""
    fresh, status = path.with_suffix(".new"), path.stat()
    fresh.write_text(text)
    os.utime(fresh, ns=(status.st_atime_ns, status.st_mtime_ns))
    fresh.replace(path)


def move_away(path: Path) -> None:
    """The first of the two steps of a careless updater."""
    path.rename(path.with_suffix(".away"))


def put_back(path: Path) -> None:
    """The very file that was moved away."""
    path.with_suffix(".away").replace(path)


@pytest.mark.parametrize("update", [rename_over, overwrite, rename_backdated])
async def test_a_new_file_takes_effect_at_the_second_look(update: Callable[[Path, str], None], path: Path) -> None:
    street = Street(path)
    assert await street.looks(3) == 64500

    update(path, "64501")

    assert await street.looks(1) == 64500
    assert await street.looks(1) == 64501
    assert await street.looks(3) == 64501
    assert street.opened == 2
    assert street.told == [("replaced", str(path))]
    assert not street.troubles


async def test_a_switched_symbolic_link_takes_effect(path: Path) -> None:
    (path.parent / "64501").write_text("64501")
    link = path.parent / "current"
    link.symlink_to(path)
    street = Street(link)
    await street.looks(2)

    (path.parent / "next").symlink_to("64501")
    (path.parent / "next").replace(link)

    assert await street.looks(2) == 64501


async def test_a_folder_that_is_switched_as_a_whole_takes_effect(path: Path) -> None:
    later = path.parent / "later"
    later.mkdir()
    (later / "asn.mmdb").write_text("64501")
    link = path.parent / "current"
    link.symlink_to(".")
    street = Street(link / "asn.mmdb")
    await street.looks(2)

    link.unlink()
    link.symlink_to("later")

    assert await street.looks(2) == 64501


async def test_a_file_that_is_still_changing_is_let_alone(path: Path) -> None:
    street = Street(path)
    for size in range(1, 6):
        overwrite(path, "64501"[:size])
        await street.looks(1)
        assert street.asn == 64500
    assert street.opened == 1

    assert await street.looks(1) == 64501


async def test_only_what_has_changed_is_opened_again(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.mmdb"
    other.write_text("64502")
    street = Street(path, other, path)

    rename_over(other, "64503")
    await street.looks(3)

    assert street.opened == 4
    assert street.told == [("replaced", str(other))]


async def test_a_damaged_file_changes_nothing_is_told_once_and_is_an_alarm_until_it_is_mended(path: Path) -> None:
    street = Street(path)
    overwrite(path, "<html>")

    assert await street.looks(1) == 64500
    assert not street.troubles
    assert await street.looks(5) == 64500
    assert street.opened == 2
    assert street.told == [("refused", f"{path}: is damaged; fetch it again")]
    assert street.troubles == [f"{path}: is damaged; fetch it again; meanwhile the one built 1970-01-01 serves"]

    overwrite(path, "64501")
    assert await street.looks(2) == 64501
    assert not street.troubles


async def test_another_damaged_file_is_told_again(path: Path) -> None:
    street = Street(path)
    for text in ("<html>", "<body>"):
        rename_over(path, text)
        await street.looks(3)

    assert [state for state, _what in street.told] == ["refused", "refused"]


async def test_one_damaged_file_does_not_keep_another_from_being_renewed(path: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.mmdb"
    bad.write_text("1")
    street = Street(path, bad)
    bad.write_text("<html>")
    overwrite(path, "64501")

    assert await street.looks(2) == 64501
    assert len(street.troubles) == 1


async def test_putting_the_old_file_back_ends_the_alarm(path: Path) -> None:
    street = Street(path)
    move_away(path)
    overwrite(path, "<html>")
    await street.looks(2)
    assert street.troubles

    put_back(path)
    await street.looks(1)

    assert not street.troubles
    assert street.opened == 2


async def test_a_refused_file_is_tried_again_later_as_it_may_not_have_been_its_fault(path: Path) -> None:
    street = Street(path)

    def fail() -> None:
        raise Mistaken([Mistake(str(path), 0, "", "cannot be checked (no memory)", "wait")])

    street.on_open = fail
    overwrite(path, "64501")
    await street.looks(3)
    street.now = TRY_AGAIN
    await street.looks(1)
    assert street.opened == 3
    street.now = TRY_AGAIN * 2

    street.on_open = lambda: None
    assert await street.looks(1) == 64501
    assert [state for state, _what in street.told] == ["refused", "replaced"]
    assert not street.troubles


async def test_a_file_that_is_gone_serves_on_and_is_an_alarm_until_it_is_back(path: Path) -> None:
    street = Street(path)
    await street.looks(1)
    move_away(path)

    assert await street.looks(1) == 64500
    assert not street.troubles  # an updater may be between two steps
    assert await street.looks(3) == 64500
    assert street.told == [("gone", str(path))]
    assert street.troubles == [f"{path} is gone, or out of reach; its copy in memory, built 1970-01-01, serves on"]

    put_back(path)
    await street.looks(1)
    assert not street.troubles
    assert street.opened == 1


async def test_a_reload_in_between_is_not_undone_by_an_older_look(path: Path) -> None:
    street = Street(path)
    overwrite(path, "64501")
    await street.looks(1)

    def reload() -> None:
        street.on_open = lambda: None
        overwrite(path, "64502")
        street.book = GeoBook([street.open_one(path, ())])
        overwrite(path, "64503")

    street.on_open = reload

    assert await street.looks(1) == 64502
    assert street.told == []
    assert await street.looks(2) == 64503


async def test_what_a_reload_has_opened_is_no_trouble_any_more(path: Path) -> None:
    street = Street(path)

    def fail() -> None:
        raise Mistaken([Mistake(str(path), 0, "", "cannot be checked (no memory)", "wait")])

    street.on_open = fail
    overwrite(path, "64501")
    await street.looks(2)
    assert street.troubles
    street.on_open = lambda: None

    street.book = GeoBook([street.open_one(path, ())])

    assert not street.troubles


async def test_without_databases_nothing_is_looked_at() -> None:
    street = Street()

    await street.looks(2)

    assert not street.told
    assert not street.troubles


async def test_a_look_that_fails_is_told_and_the_next_one_comes(autojump_clock: trio.testing.MockClock) -> None:
    street = Street()
    times = []

    def no_thread_to_be_had() -> GeoBook:
        times.append(trio.current_time())
        raise RuntimeError("can't start new thread")

    watch = GeoWatch(no_thread_to_be_had, lambda _book: None, street)
    with trio.move_on_after(LOOK_EVERY * 2.5):
        await watch.run()

    assert times == [LOOK_EVERY, LOOK_EVERY * 2]
    assert street.told == [("geo", 'RuntimeError("can\'t start new thread")')] * 2
