"""Reads a MaxMind database to its end, as a program of its own: `python -m frontproxy.observe.geo_check FD`.

The C extension that the proxy reads with can die of a damaged record (seen: three wrong bytes, a segmentation fault),
so a file proves itself here first. What became of it goes to stdout as JSON (`Report`); dying is an answer as well.
"""

import json
import os
import struct
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from ipaddress import IPv4Address, IPv6Address
from time import monotonic

import maxminddb
from maxminddb.const import MODE_MMAP, MODE_MMAP_EXT
from maxminddb.types import Record

FULL_CHECK_LIMIT = 10
"""Seconds to read every network in, enough for a few millions; a database that has more is believed after those."""

SAMPLES = 1000
"""Addresses of each family looked up before that, from one end to the other."""

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


def open_reader(descriptor: int) -> tuple[maxminddb.Reader, bool]:
    """A reader of the file behind `descriptor`, and whether it is the fast one. Raises one of DAMAGE."""
    try:
        return maxminddb.open_database(_name(descriptor), MODE_MMAP_EXT), True
    except ValueError:  # the extension was not built
        return maxminddb.open_database(_name(descriptor), MODE_MMAP), False


def check(descriptor: int, *, clock: Callable[[], float] = monotonic) -> Report:
    """Read the database behind `descriptor`; never raises, but may die."""
    try:
        reader, _fast = open_reader(descriptor)
        _sample(reader.get, ipv6=reader.metadata().ip_version == 6)
        deadline = clock() + FULL_CHECK_LIMIT
        complete = all(clock() < deadline for _network in reader)
    except DAMAGE as error:
        damage = str(error).replace(_name(descriptor), "it") or type(error).__name__
        return Report(damage, complete=False)
    return Report("", complete)


def _name(descriptor: int) -> str:
    return f"/proc/self/fd/{descriptor}"


def _sample(get: Callable[[str], Record | None], *, ipv6: bool) -> None:
    for step in range(SAMPLES):
        get(str(IPv4Address((step << 32) // SAMPLES)))
        if ipv6:
            get(str(IPv6Address((1 << 125) + (step << 125) // SAMPLES)))  # 2000::/3, all that is in use


def main() -> None:
    """The program."""
    os.nice(_NICENESS)  # the proxy comes first
    sys.stdout.write(json.dumps(asdict(check(int(sys.argv[1])))))


if __name__ == "__main__":
    main()
