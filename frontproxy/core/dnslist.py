"""DNS lists as evidence: how an address is asked for (RFC 5782), and what the answers are worth.

Lists copy from each other, so what they say against a client is limited for all of them together. Points against it
count as far as we are in doubt about it; points in its favour always count in full.
"""

from collections.abc import Container, Sequence
from typing import Final

from frontproxy.core.config_values import DnsListSettings
from frontproxy.core.doubt import against
from frontproxy.core.durations import ago
from frontproxy.core.hearsay import ListAnswer
from frontproxy.core.reply_pattern import PatternError, ReplyPattern, parse_pattern
from frontproxy.core.verdict import Reason

__all__ = ["LISTS_LIMIT", "PatternError", "ReplyPattern", "listed_by", "parse_pattern", "query_name", "reasons_of"]

LISTS_LIMIT: Final = -35.0
"""The most points that all lists together take."""
_CODES_SHOWN: Final = 4


def query_name(packed: bytes, zone: str) -> str:
    """The name under which a list knows an address: `1.2.0.192.bl.example`.

    The octets of an IPv4 address in reverse (RFC 5782 section 2.1), the 32 nibbles of an IPv6 one (section 2.4).
    """
    labels = map(str, reversed(packed)) if len(packed) == 4 else reversed(packed.hex())
    return f"{'.'.join(labels)}.{zone}"


def reasons_of(
    answers: Sequence[ListAnswer],
    lists: Sequence[DnsListSettings],
    *,
    voting: Container[str],
    doubt: float,
    now: float,
) -> tuple[Reason, ...]:
    """A reason for each list that lists the client with points and has a vote, in the order of `lists`.

    `doubt` is from 0 (our own history vouches for the client) to 1 (it does not); `now` is in monotonic seconds.
    """
    reasons: tuple[Reason, ...] = ()
    left = LISTS_LIMIT
    for settings, answer in _listings(answers, lists, voting):
        if worth := settings.worth(answer.codes):
            reason = _reason(answer, worth, doubt=doubt, left=left, now=now)
            left -= min(reason.points, 0.0)
            reasons += (reason,)
    return reasons


def listed_by(
    answers: Sequence[ListAnswer], lists: Sequence[DnsListSettings], voting: Container[str], *, doubt: float
) -> tuple[str, ...]:
    """The zones that list the client with a reply we know, whatever its points: `listed` of the rules.

    Of a client that our own history vouches for (no doubt) only those that speak in its favour.
    """
    found = [(settings.zone, settings.worth(answer.codes)) for settings, answer in _listings(answers, lists, voting)]
    return tuple([zone for zone, worth in found if worth is not None and (doubt > 0.0 or worth > 0.0)])


def _listings(
    answers: Sequence[ListAnswer], lists: Sequence[DnsListSettings], voting: Container[str]
) -> list[tuple[DnsListSettings, ListAnswer]]:
    listings = {answer.zone: answer for answer in answers if answer.state == "listed"}
    return [
        (settings, listings[settings.zone])
        for settings in lists
        if settings.zone in listings and settings.zone in voting
    ]


def _reason(answer: ListAnswer, worth: float, *, doubt: float, left: float, now: float) -> Reason:
    """One list's word; `left` is what the lists may still take, 0 or less."""
    codes = ", ".join(answer.codes[:_CODES_SHOWN]) + (" ..." if len(answer.codes) > _CODES_SHOWN else "")
    text = f"listed by {answer.zone} ({codes}), said {ago(now - answer.at)}"
    points, note = against(worth, doubt)
    if points < left:
        points, note = left, f"{note}; all lists together take at most {-LISTS_LIMIT:g}"
    return Reason(f"dnslist:{answer.zone}", points, text + note)
