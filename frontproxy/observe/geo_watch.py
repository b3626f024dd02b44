"""Looks after the files of the databases: one that is replaced takes effect while we run, without being told.

Updaters rename a file over the old one, switch a symbolic link, or write into it; so a file that differs from what was
opened is let alone until it has not changed between two looks, and then read as at the start. One that cannot be used
changes nothing: the copy in memory serves on, and an alarm says so until it is mended.
"""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

import trio

from frontproxy.core.mistakes import Mistaken
from frontproxy.observe.geo import Database, GeoBook, GeoFile
from frontproxy.observe.geo_database import Mark, open_database

LOOK_EVERY = 10.0
"""Seconds; a new database takes effect after one to two of these."""
TRY_AGAIN = 600.0
"""Seconds until a file that could not be used is tried again unchanged: perhaps it was not its own fault."""


class Log(Protocol):
    """Where the watch tells what it has done."""

    def __call__(self, event: str, /, **values: object) -> None: ...
    def bug(self, where: str, error: Exception, /, **values: object) -> None: ...


Open = Callable[[Path, Collection[str]], Database]


class _Refusal(NamedTuple):
    """A file, as it was when it could not be used."""

    mark: Mark
    mistake: str
    again_at: float


class GeoWatch:
    """Watches the files of the book in force, whichever that is.

    `book` gives it; `replace` is handed one with new databases in it, made of the one then in force, and is to put it
    into force at once and to close the other one.
    """

    def __init__(
        self,
        book: Callable[[], GeoBook],
        replace: Callable[[GeoBook], None],
        log: Log,
        *,
        open_one: Open = open_database,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._book = book
        self._replace = replace
        self._log = log
        self._open_one = open_one
        self._clock = clock
        self._marks: Mapping[str, Mark | None] = {}
        """At the last look; None of files that were not to be seen."""
        self._gone: frozenset[str] = frozenset()
        """Not to be seen at the last two looks."""
        self._refused: dict[str, _Refusal] = {}

    async def run(self) -> None:
        """Look every ten seconds, for ever."""
        while True:
            await trio.sleep(LOOK_EVERY)
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001  evidence is never worth the proxy's life: no thread to be had ...
                self._log.bug("geo", error)

    async def look(self) -> None:
        """Look once, and open what is new."""
        book = self._book()
        if not book.files:
            return
        # In a thread: a file server that is down must not stop the proxy. It is not waited for when we end.
        marks = await trio.to_thread.run_sync(_marks, book.files, abandon_on_cancel=True)
        before, self._marks = self._marks, marks
        self._notice(before)
        fresh = {}
        for path in [path for path, file in _by_path(book).items() if self._is_ripe(file, before)]:
            if database := await self._open(path, book.wanted):
                fresh[path] = database
        # A reload that came meanwhile has opened all files itself, perhaps others, and later than we did.
        if fresh and self._book() is book:
            self._replace(book.renewed(fresh))
            for path, database in fresh.items():
                self._log("geo", state="replaced", file=path, kind=database.file.kind, built=database.file.day)

    def troubles(self) -> Iterator[str]:
        """What is wrong with files of the book in force: one line each, for people."""
        for file in self._book().files:
            refusal = self._refused.get(file.path)
            if file.path in self._gone:
                yield f"{file.path} is gone, or out of reach; its copy in memory, built {file.day}, serves on"
            elif refusal is not None and refusal.mark != file.mark:
                yield f"{refusal.mistake}; meanwhile the one built {file.day} serves"

    def _notice(self, before: Mapping[str, Mark | None]) -> None:
        """Remember and tell which files are gone, and forget refusals of what is no longer there."""
        gone = frozenset(path for path, mark in self._marks.items() if mark is None and before.get(path, "") is None)
        for path in sorted(gone - self._gone):
            self._log("geo", state="gone", file=path)
        self._gone = gone
        self._refused = {path: kept for path, kept in self._refused.items() if kept.mark == self._marks.get(path)}

    def _is_ripe(self, file: GeoFile, before: Mapping[str, Mark | None]) -> bool:
        """It is another than the one in use, has stopped changing, and was not refused just now."""
        mark = self._marks[file.path]
        if mark is None or mark == file.mark or mark != before.get(file.path):
            return False
        refusal = self._refused.get(file.path)
        return refusal is None or self._clock() >= refusal.again_at

    async def _open(self, path: str, wanted: Collection[str]) -> Database | None:
        """The new content of a file; None, and that told and remembered, if it cannot be used."""
        mark, refused = self._marks[path], self._refused.get(path)
        try:
            return await trio.to_thread.run_sync(self._open_one, Path(path), wanted, abandon_on_cancel=True)
        except Mistaken as error:
            mistake = str(error)
        if refused is None or refused.mistake != mistake:
            self._log("geo", state="refused", mistake=mistake)
        if mark is not None:
            self._refused[path] = _Refusal(mark, mistake, self._clock() + TRY_AGAIN)
        return None


def _by_path(book: GeoBook) -> dict[str, GeoFile]:
    return {file.path: file for file in book.files}


def _marks(files: Iterable[GeoFile]) -> dict[str, Mark | None]:
    return {file.path: _mark(file.path) for file in files}


def _mark(path: str) -> Mark | None:
    try:
        return Mark.of(Path(path).stat())
    except OSError:
        return None
