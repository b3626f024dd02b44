"""Patterns of replies: which answers of a DNS list an entry of `replies` means, as `127.0.0.2-9` or `127.0.*.3`."""

import re
from dataclasses import dataclass
from functools import lru_cache
from operator import le
from typing import Final

from frontproxy.core.config_shapes import shown

Octets = tuple[int, int, int, int]

_OCTET: Final = re.compile(r"\*|(0|[1-9][0-9]{0,2})(?:-(0|[1-9][0-9]{0,2}))?")
_TEST_ANSWER: Final = (127, 0, 0, 1)
"""RFC 5782 section 2.3: 127.0.0.1 must not be used for a listing."""
_REFUSALS: Final = (127, 255, 255)
"""The first octets of answers by which lists say that they refuse to answer."""
_HOW: Final = 'write four octets, each a number, a range or *: "127.0.0.2", "127.0.0.2-9", "127.0.*.3"'


class PatternError(ValueError):
    """A pattern that cannot be used: what is wrong, what to do about it."""

    def __init__(self, what: str, remedy: str) -> None:
        self.what = what
        self.remedy = remedy
        super().__init__(f"{what}; {remedy}")


@dataclass(frozen=True, slots=True)
class ReplyPattern:
    """For each octet of an answer, the lowest and the highest number that is meant."""

    text: str
    """As config.toml spells it."""
    low: Octets
    high: Octets

    def matches(self, code: str) -> bool:
        """Whether an answer is meant; `code` must be an IPv4 address in its usual spelling."""
        octets = octets_of(code)
        return all(map(le, self.low, octets)) and all(map(le, octets, self.high))

    def covers(self, other: "ReplyPattern") -> bool:
        """Whether it means every answer that the other one means."""
        return all(map(le, self.low, other.low)) and all(map(le, other.high, self.high))


@lru_cache(maxsize=1024)
def octets_of(code: str) -> Octets:
    """The numbers of an IPv4 address."""
    first, second, third, fourth = map(int, code.split("."))
    return first, second, third, fourth


def parse_pattern(text: str) -> ReplyPattern:
    """Read a pattern; raises PatternError, also for one that no listing can ever match."""
    found = [_OCTET.fullmatch(octet) for octet in text.split(".")]
    if len(found) != 4 or not all(found):
        raise PatternError(f"{shown(text)} is not a pattern of replies", _remedy(text))
    ranges = [_range(form[0]) for form in found if form]
    for low, high in ranges:
        if high > 255:
            raise PatternError(f"{shown(text)} has an octet above 255", _HOW)
        if low > high:
            raise PatternError(f"the range {low}-{high} in {shown(text)} runs backwards", f"write {high}-{low}")
    pattern = ReplyPattern(text, _octets(ranges, 0), _octets(ranges, 1))
    _check_use(pattern)
    return pattern


def _range(octet: str) -> tuple[int, int]:
    if octet == "*":
        return 0, 255
    low, _, high = octet.partition("-")
    return int(low), int(high or low)


def _octets(ranges: list[tuple[int, int]], end: int) -> Octets:
    first, second, third, fourth = (bounds[end] for bounds in ranges)
    return first, second, third, fourth


def _check_use(pattern: ReplyPattern) -> None:
    """Only answers in 127.0.0.0/8 are listings, and some of those are none either."""
    if not pattern.low[0] <= 127 <= pattern.high[0]:
        raise PatternError(f"{shown(pattern.text)} is never a listing", "DNS lists answer in 127.0.0.0/8 (RFC 5782)")
    if pattern.low == pattern.high == _TEST_ANSWER:
        what = f"{shown(pattern.text)} is never a listing (RFC 5782)"
        raise PatternError(what, "remove it; a list that answers so is not believed")
    if pattern.low[:3] == pattern.high[:3] == _REFUSALS:
        what = f"{shown(pattern.text)} is never a listing: lists refuse to answer with it"
        raise PatternError(what, "remove it; whoever is refused gets no points")


def _remedy(text: str) -> str:
    """How to write what was probably meant; postscreen spells ranges and alternatives as 127.0.0.[2..4;9]."""
    if ";" in text:
        return 'give each of them a key of its own, such as "127.0.0.2" = -25'
    plain = text.replace("[", "").replace("]", "").replace("..", "-")
    if plain != text and all(map(_OCTET.fullmatch, plain.split("."))) and plain.count(".") == 3:
        return f'write "{plain}"'
    return _HOW
