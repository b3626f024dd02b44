"""Networks of several lists as one flat table: disjoint intervals of addresses, and the set of lists that hold each.

CIDR networks are nested or apart, never crossing. So one walk over them, sorted by first address and then by length of
prefix, with a stack of those that are open, meets every point where the answer changes: the start of a network, and
the address after its end. There the table notes the address and the number of a set; an address belongs to the last
point at or before it. A set holds at most one member of each list, the longest prefix. Equal sets share their number: a
list of a million networks rarely makes more than a dozen.

The table is seven arrays (SECTIONS), written one after the other; a reader maps the file and bisects in place.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from frontproxy.observe.cidr import Network

SECTIONS: tuple[tuple[str, Literal["Q", "I"]], ...] = (
    ("high", "Q"),  # IPv6: first 8 bytes of each point, and the last 8; the first point is always 0
    ("low", "Q"),
    ("ipv4", "I"),  # IPv4: each point
    ("ipv6_set", "I"),  # the number of the set that begins at each point; set 0 is empty
    ("ipv4_set", "I"),
    ("bound", "I"),  # where the members of set N begin, and those of N + 1
    ("member", "I"),  # a member of a set: position of the list << 8 | length of the prefix
)
"""Name and type code of each array, in the machine's byte order; the widest first, so that each is aligned."""

LIST_LIMIT = 1 << 16
"""Lists that one table can tell apart."""

_LOW = (1 << 64) - 1
_NO_MEMBERS: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """The seven arrays, or views of them."""

    high: Sequence[int]
    low: Sequence[int]
    ipv4: Sequence[int]
    ipv6_set: Sequence[int]
    ipv4_set: Sequence[int]
    bound: Sequence[int]
    member: Sequence[int]

    def set_of(self, packed: bytes) -> int:
        """The number of the set that an address (4 or 16 bytes) belongs to."""
        if len(packed) == 4:
            return self.ipv4_set[bisect_right(self.ipv4, int.from_bytes(packed)) - 1]
        high, low = int.from_bytes(packed[:8]), int.from_bytes(packed[8:])
        point = bisect_right(self.high, high) - 1
        if self.high[point] == high and self.low[point] > low:
            # Networks longer than /64: several points share their first half, and the one wanted lies before the last.
            first = bisect_left(self.high, high, 0, point)
            point = bisect_right(self.low, low, first, point) - 1
        return self.ipv6_set[point]

    def members(self, number: int) -> Sequence[int]:
        """Who is in a set: position of the list << 8 | length of the prefix, in the order of the lists."""
        return self.member[self.bound[number] : self.bound[number + 1]]


class TableBuilder:
    """Collects networks of all lists; one number for each keeps a million of them within 50 MB."""

    def __init__(self) -> None:
        self._ipv4: list[int] = []
        self._ipv6: list[int] = []

    @property
    def entries(self) -> int:
        """Networks added, with every repetition."""
        return len(self._ipv4) + len(self._ipv6)

    def add(self, position: int, networks: Iterable[Network]) -> None:
        """Add networks of the list at `position`, which is below LIST_LIMIT."""
        for packed, length in networks:
            keys = self._ipv4 if len(packed) == 4 else self._ipv6
            keys.append(int.from_bytes(packed) << 24 | length << 16 | position)

    def build(self) -> Table:
        """The table. The builder is empty afterwards."""
        sets = _Sets()
        points4, numbers4 = _walk(self._ipv4, 32, sets)
        points6, numbers6 = _walk(self._ipv6, 128, sets)
        return Table(
            high=array("Q", (point >> 64 for point in points6)),
            low=array("Q", (point & _LOW for point in points6)),
            ipv4=array("I", points4),
            ipv6_set=array("I", numbers6),
            ipv4_set=array("I", numbers4),
            bound=array("I", sets.bounds()),
            member=array("I", (member for members in sets.members for member in members)),
        )


class _Sets:
    """Sets of members by number; set 0 is the empty one."""

    def __init__(self) -> None:
        self.members = [_NO_MEMBERS]
        self._numbers = {_NO_MEMBERS: 0}
        self._steps: dict[tuple[int, int], int] = {}

    def joined(self, number: int, member: int) -> int:
        """The number of the set `number` with `member` in it, instead of a shorter prefix of the same list."""
        step = (number, member)
        if step not in self._steps:
            others = [other for other in self.members[number] if other >> 8 != member >> 8]
            members = tuple(sorted([*others, member]))
            if members not in self._numbers:
                self._numbers[members] = len(self.members)
                self.members.append(members)
            self._steps[step] = self._numbers[members]
        return self._steps[step]

    def bounds(self) -> Iterator[int]:
        end = 0
        yield end
        for members in self.members:
            end += len(members)
            yield end


def _walk(keys: list[int], width: int, sets: _Sets) -> tuple[list[int], list[int]]:
    """The points where the set changes, and the number of the set that begins there. Empties `keys`."""
    keys.sort()
    points, numbers = [0], [0]
    opened: list[tuple[int, int]] = [(1 << width, 0)]  # the address after each open network, and the set within it
    for key in keys:
        start, length = key >> 24, key >> 16 & 0xFF
        _close_until(start, opened, points, numbers)
        number = sets.joined(opened[-1][1], (key & 0xFFFF) << 8 | length)
        opened.append((start + (1 << width - length), number))
        _note(start, number, points, numbers)
    keys.clear()
    _close_until((1 << width) - 1, opened, points, numbers)
    return points, numbers


def _close_until(address: int, opened: list[tuple[int, int]], points: list[int], numbers: list[int]) -> None:
    """Close the networks that end at or before `address`."""
    while opened[-1][0] <= address:
        end, _number = opened.pop()
        _note(end, opened[-1][1], points, numbers)


def _note(point: int, number: int, points: list[int], numbers: list[int]) -> None:
    """From `point` on the set is `number`; says nothing twice."""
    if points[-1] == point:
        numbers[-1] = number
        if len(numbers) > 1 and numbers[-2] == number:
            points.pop()
            numbers.pop()
    elif numbers[-1] != number:
        points.append(point)
        numbers.append(number)
