"""Reads a MaxMind database to its end, as a program of its own: `python -m frontproxy.observe.geo_check FD`.

The C extension that the proxy reads with can die of a damaged record (seen: three wrong bytes, a segmentation fault),
so a file proves itself here first. The paths of fields that somebody hopes to find come on stdin, a JSON array. What
became of it goes to stdout as JSON (`Report`); dying is an answer as well.
"""

import json
import os
import struct
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from ipaddress import IPv4Address, IPv6Address
from time import monotonic

import maxminddb
from maxminddb.const import MODE_MMAP, MODE_MMAP_EXT
from maxminddb.types import Record

from frontproxy.observe.geo_record import Field

FULL_CHECK_LIMIT = 10
"""Seconds to read every network in, enough for a few millions; a database that has more is believed after those."""

SAMPLES = 1000
"""Addresses of each family looked up before that, from one end to the other."""

OFFERS_LIMIT = 500
"""Paths of fields that are told; the largest databases sold have a hundred."""
_PATH_LIMIT = 100
_DEPTH_LIMIT = 8

# What the readers raise at bytes that make no sense; the one in pure Python has no list of its own.
DAMAGE = (
    maxminddb.InvalidDatabaseError,
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
)

_NICENESS = 5


@dataclass(frozen=True, slots=True)
class Report:
    """What became of reading a database."""

    damage: str
    """Empty if there was none."""
    complete: bool
    """Every network was read."""
    unseen: Sequence[str] = ()
    """Paths that were asked for and led to nothing in any record that was read."""
    offers: Sequence[str] = ()
    """If there were such: the paths that do lead somewhere, by a sample."""


def open_reader(descriptor: int) -> tuple[maxminddb.Reader, bool]:
    """A reader of the file behind `descriptor`, and whether it is the fast one. Raises one of DAMAGE."""
    try:
        return maxminddb.open_database(_name(descriptor), MODE_MMAP_EXT), True
    except ValueError:  # the extension was not built
        return maxminddb.open_database(_name(descriptor), MODE_MMAP), False


def check(descriptor: int, wanted: Iterable[str] = (), *, clock: Callable[[], float] = monotonic) -> Report:
    """Read the database behind `descriptor`; never raises, but may die."""
    unseen = [Field.at(path) for path in wanted]
    try:
        reader, _fast = open_reader(descriptor)
        sample = list(_sample(reader.get, ipv6=reader.metadata().ip_version == 6))
        deadline = clock() + FULL_CHECK_LIMIT
        complete = True
        for _network, record in reader:
            if clock() >= deadline:
                complete = False
                break
            if unseen:
                unseen = [field for field in unseen if field.value_in(record) is None]
    except DAMAGE as error:
        damage = str(error).replace(_name(descriptor), "it") or type(error).__name__
        return Report(damage, complete=False)
    return Report("", complete, tuple(field.path for field in unseen), _offers(sample) if unseen else ())


def _name(descriptor: int) -> str:
    return f"/proc/self/fd/{descriptor}"


def _sample(get: Callable[[str], Record | None], *, ipv6: bool) -> Iterator[Record | None]:
    for step in range(SAMPLES):
        yield get(str(IPv4Address((step << 32) // SAMPLES)))
        if ipv6:
            yield get(str(IPv6Address((1 << 125) + (step << 125) // SAMPLES)))  # 2000::/3, all that is in use


def _offers(sample: Iterable[Record | None]) -> tuple[str, ...]:
    found: set[str] = set()
    for record in sample:
        for path in _paths(record):
            if len(found) < OFFERS_LIMIT:
                found.add(path)
    return tuple(sorted(found))


def _paths(value: object, path: str = "", depth: int = _DEPTH_LIMIT) -> Iterator[str]:
    """The paths of all that somebody could ask for, of a list its first; keys that nobody could type are left out."""
    if isinstance(value, list):
        value = {"0": value[0]} if value else None
    if isinstance(value, dict) and depth:
        for key, inner in value.items():
            longer = f"{path}.{key}" if path else key
            if "." not in key and key.isascii() and key.isprintable() and len(longer) <= _PATH_LIMIT:
                yield from _paths(inner, longer, depth - 1)
    elif isinstance(value, str | int | float):
        yield path


def main() -> None:
    """The program."""
    os.nice(_NICENESS)  # the proxy comes first
    wanted = json.loads(sys.stdin.read() or "[]")
    sys.stdout.write(json.dumps(asdict(check(int(sys.argv[1]), wanted))))


if __name__ == "__main__":
    main()
