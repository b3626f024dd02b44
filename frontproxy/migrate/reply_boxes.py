"""The replies of a DNS list as boxes: for each of four octets a range.

postscreen adds the weights of all filters that match a reply; a [[dnslist]] takes the strongest of its patterns. So
filters that overlap are taken apart into boxes that do not, each with its sum; neighbours of one weight are joined.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Final

Range = tuple[int, int]
Box = tuple[Range, Range, Range, Range]

ANY: Final[Range] = (0, 255)
ANY_LISTING: Final[Box] = ((127, 127), ANY, ANY, ANY)
"""Only answers in 127.0.0.0/8 are listings (RFC 5782)."""
_MOST: Final = 500
"""Boxes of one list; real ones have a handful."""
_OCTET: Final = r"([0-9]{1,3}|\[[0-9.;]{1,1000}\])"
_FILTER: Final = re.compile(r"\.".join([_OCTET] * 4))


class FilterError(Exception):
    """The filter cannot be translated; the text is fit for people."""


def parse_filter(text: str) -> tuple[Box, ...]:
    """The boxes of a filter such as `127.0.[0..255].[1;3..4]`; they do not overlap. Raises FilterError."""
    form = _FILTER.fullmatch(text)
    if not form:
        raise FilterError("it is not of the form d.d.d.d, each d a number or a [list;of..ranges]")
    first, second, third, fourth = (_ranges(octet) for octet in form.groups())
    if len(first) * len(second) * len(third) * len(fourth) > _MOST:
        raise FilterError("it has too many alternatives")
    return tuple(product(first, second, third, fourth))


def _ranges(octet: str) -> list[Range]:
    """The numbers of an octet as ranges, in order and apart from each other."""
    ranges: list[Range] = []
    for low, high in sorted(_range(part) for part in octet.strip("[]").split(";")):
        if ranges and low <= ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], max(high, ranges[-1][1]))
        else:
            ranges.append((low, high))
    return ranges


def _range(part: str) -> Range:
    low, dots, high = part.partition("..")
    if not low.isdigit() or (dots and not high.isdigit()):
        raise FilterError("it has a range that is not n..m")
    bounds = int(low), int(high or low)
    if not bounds[0] <= bounds[1] <= 255:
        raise FilterError("it has a range that runs backwards, or a number above 255")
    return bounds


def weights_of(filters: Sequence[tuple[Iterable[Box], int]]) -> dict[Box, int]:
    """What replies weigh, as boxes that do not overlap. Raises FilterError if that takes too many."""
    apart = _apart((box, weight) for boxes, weight in filters for box in boxes)
    return {box: weight for box, weight in _joined(apart).items() if weight}


def _apart(weighted: Iterable[tuple[Box, int]]) -> dict[Box, int]:
    """Boxes that do not overlap, each with the sum of the weights that hold in it."""
    cells: dict[Box, int] = {}
    for box, weight in weighted:
        news = [box]
        for cell, before in list(cells.items()):
            common = meet(cell, box)
            if common is None:
                continue
            del cells[cell]
            cells.update(dict.fromkeys(_without(cell, common), before))
            cells[common] = before + weight
            news = [piece for new in news for piece in _without(new, common)]
        cells.update(dict.fromkeys(news, weight))
        if len(cells) > _MOST:
            raise FilterError("its filters overlap in too many ways")
    return cells


def _joined(cells: Mapping[Box, int]) -> dict[Box, int]:
    """Neighbours of one weight that together are a box, joined."""
    joined = dict(cells)
    for octet in (3, 2, 1, 0):
        rows: dict[tuple[int, tuple[Range, ...], tuple[Range, ...]], list[Box]] = {}
        for box, weight in sorted(joined.items()):
            row = rows.setdefault((weight, box[:octet], box[octet + 1 :]), [])
            if row and row[-1][octet][1] + 1 == box[octet][0]:
                row[-1] = _changed(row[-1], octet, (row[-1][octet][0], box[octet][1]))
            else:
                row.append(box)
        joined = {box: weight for (weight, _, _), row in rows.items() for box in row}
    return joined


def meet(one: Box, other: Box) -> Box | None:
    """What two boxes have in common; None for nothing."""
    common = [(max(a[0], b[0]), min(a[1], b[1])) for a, b in zip(one, other, strict=True)]
    if any(low > high for low, high in common):
        return None
    first, second, third, fourth = common
    return first, second, third, fourth


def _without(box: Box, other: Box) -> list[Box]:
    """What is left of a box when what it has in common with another is taken out."""
    hole = meet(box, other)
    if hole is None:
        return [box]
    pieces: list[Box] = []
    for octet, (low, high) in enumerate(hole):
        start, end = box[octet]
        if start < low:
            pieces.append(_changed(box, octet, (start, low - 1)))
        if high < end:
            pieces.append(_changed(box, octet, (high + 1, end)))
        box = _changed(box, octet, (low, high))
    return pieces


def _changed(box: Box, octet: int, bounds: Range) -> Box:
    ranges = list(box)
    ranges[octet] = bounds
    first, second, third, fourth = ranges
    return first, second, third, fourth


def pattern_text(box: Box) -> str:
    """A box as config.toml spells it: `127.0.*.2-9`."""
    return ".".join(map(_octet_text, box))


def _octet_text(bounds: Range) -> str:
    low, high = bounds
    if bounds == ANY:
        return "*"
    return str(low) if low == high else f"{low}-{high}"
