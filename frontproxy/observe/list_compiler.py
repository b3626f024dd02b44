"""The compiler of lists, a program of its own: `python -m frontproxy.observe.list_compiler FD`.

The lists come as JSON on stdin, their table goes to the descriptor FD, and what became of it to stdout as JSON
(`Result`). It runs apart because a million networks keep an interpreter busy for seconds: in a thread of the proxy
every client would feel that.
"""

import json
import os
import resource
import stat
import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import BinaryIO, TextIO

from frontproxy.core.mistakes import Mistake
from frontproxy.observe.cidr import CidrError, Network, NotText, numbered_lines, parse_network
from frontproxy.observe.list_table import LIST_LIMIT, SECTIONS, Table, TableBuilder

MISTAKES_SHOWN = 20
"""Bad lines of one file told one by one."""

ENTRY_LIMIT = 10_000_000
"""Networks of all lists; so many take half a gigabyte while they are sorted."""

_MEMORY_LIMIT = 4 << 30
_NICENESS = 5


@dataclass(frozen=True, slots=True)
class ListSource:
    """Where the networks of one list come from: a file, the configuration, or both."""

    name: str
    file: str | None
    """Absolute path of a CIDR file."""
    networks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """What became of an order: either mistakes, or the number of items in each section of the table."""

    mistakes: tuple[Mistake, ...]
    entries: int
    counts: tuple[int, ...]

    def to_json(self) -> str:
        """One JSON object."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: bytes) -> "Result":
        """The reverse of `to_json`."""
        values = json.loads(text)
        mistakes = tuple(Mistake(**mistake) for mistake in values["mistakes"])
        return cls(mistakes, values["entries"], tuple(values["counts"]))


def order_to_json(sources: Sequence[ListSource]) -> bytes:
    """What the program reads on stdin."""
    return json.dumps([asdict(source) for source in sources]).encode()


def order_from_json(text: bytes) -> tuple[ListSource, ...]:
    """The reverse of `order_to_json`."""
    values = json.loads(text)
    return tuple(ListSource(value["name"], value["file"], tuple(value["networks"])) for value in values)


def compile_into(sources: Sequence[ListSource], target: BinaryIO) -> Result:
    """Write the table of these lists, or nothing if there is a mistake in any."""
    builder = TableBuilder()
    mistakes: list[Mistake] = []
    for position, source in enumerate(sources[:LIST_LIMIT]):
        builder.add(position, _inline_networks(source, mistakes))
        if source.file is not None:
            builder.add(position, _file_networks(source.file, ENTRY_LIMIT - builder.entries, mistakes))
    if len(sources) > LIST_LIMIT:
        remedy = f"{LIST_LIMIT} is the limit; put networks that are worth the same into one list"
        mistakes.append(Mistake("", 0, "list", f"{len(sources)} lists", remedy))
    if mistakes:
        return Result(tuple(sorted(mistakes)), 0, ())
    entries = builder.entries
    return Result((), entries, write_table(builder.build(), target))


def write_table(table: Table, target: BinaryIO) -> tuple[int, ...]:
    """Write the arrays one after the other; the number of items in each."""
    sections = [getattr(table, field.name) for field in fields(table)]
    for (_name, code), section in zip(SECTIONS, sections, strict=True):
        target.write(array(code, section).tobytes())
    return tuple(map(len, sections))


def _inline_networks(source: ListSource, mistakes: list[Mistake]) -> Iterator[Network]:
    for text in source.networks:
        try:
            yield parse_network(text)
        except CidrError as error:
            mistakes.append(Mistake("", 0, f"list.{source.name}.networks", error.what, error.remedy))


def _file_networks(path: str, limit: int, mistakes: list[Mistake]) -> Iterator[Network]:
    """The networks of one file, at most `limit`; what is wrong with it goes to `mistakes`."""
    try:
        with _opened(path) as file:
            yield from _parsed(path, numbered_lines(file), limit, mistakes)
    except NotText as error:
        mistakes.append(
            Mistake(path, error.line, "", error.what, "one network or address per line, # before a comment")
        )
    except OSError as error:
        remedy = "name a file that exists and that the proxy's user may read"
        mistakes.append(Mistake(path, 0, "", f"cannot be read ({error.strerror or error})", remedy))


def _opened(path: str) -> TextIO:
    """The file, if it is a real one: a FIFO would make us wait, a device would never end."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    kind = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(kind):
        os.close(descriptor)
        raise OSError(0, "it is a folder" if stat.S_ISDIR(kind) else "it is not a regular file")
    # Comments may be in any encoding; a byte that is no UTF-8 within a network is a mistake of its line.
    return os.fdopen(descriptor, encoding="utf-8-sig", errors="surrogateescape", newline=None)


def _parsed(path: str, lines: Iterable[tuple[int, str]], limit: int, mistakes: list[Mistake]) -> Iterator[Network]:
    bad = 0
    first_untold = 0
    for good, (number, text) in enumerate(lines):
        if good >= limit:
            remedy = f"all lists together may have {ENTRY_LIMIT} networks; leave some out"
            mistakes.append(Mistake(path, number, "", "too many networks", remedy))
            break
        try:
            yield parse_network(text)
        except CidrError as error:
            bad += 1
            if bad <= MISTAKES_SHOWN:
                mistakes.append(Mistake(path, number, "", error.what, error.remedy))
            elif bad == MISTAKES_SHOWN + 1:
                first_untold = number
    if bad > MISTAKES_SHOWN:
        what = f"and {bad - MISTAKES_SHOWN} more lines like these from here on"
        mistakes.append(Mistake(path, first_untold, "", what, "mend the ones above first"))


def main() -> None:
    """The program."""
    # Whoever reloads does so under load as well: the proxy comes first, and a list gone wild must not take its memory.
    os.nice(_NICENESS)
    resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY_LIMIT, _MEMORY_LIMIT))
    sources = order_from_json(sys.stdin.buffer.read())
    with Path(f"/dev/fd/{int(sys.argv[1])}").open("wb") as target:
        result = compile_into(sources, target)
    sys.stdout.write(result.to_json())


if __name__ == "__main__":
    main()
