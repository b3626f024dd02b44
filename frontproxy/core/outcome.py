"""What one session's end counts, in units of good and bad evidence: the table of outcomes in `docs/design.md`.

What is our own trouble (4xx, a full queue, an end of ours) counts nothing, nor does a session in which nothing was
said. What a session adds is bounded by `GOOD_LIMIT` and `BAD_LIMIT`, whatever its feed claims.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from frontproxy.wire.outcome_line import OutcomeLine

GOOD_LIMIT = 2.0
BAD_LIMIT = 4.0
"""Units that one session can add; a trap address that was hit counts `TRAP`, which is more."""
TRAP = 8.0

EARLY_TALK = 1.0
"""Units of bad for talking before the greeting."""

_FORWARDER_SHARE = 0.1  # a forwarder sends on what others wrote, so a verdict on the content says little about it


@dataclass(frozen=True, slots=True)
class Weight:
    """What a session, or one cause in it, counts."""

    good: float
    """Units, 0 or more."""
    bad: float
    text: str
    """The causes that counted, for the log; empty when none did."""
    taken_back: float = 0.0
    """Good units of earlier sessions that turned out to be none."""


def weigh(outcome: OutcomeLine, *, forwarder: bool = False) -> Weight:
    """What the session counts. From a `forwarder` verdicts on what it sends count a tenth."""
    share = _FORWARDER_SHARE if forwarder else 1.0
    limit = max(BAD_LIMIT, TRAP * share) if outcome.trap else BAD_LIMIT
    verdicts = list(_of_content(outcome, share))
    kept = 1.0 - share if verdicts else 1.0  # they take the session's good back
    causes = [*_of_mail(outcome), *_of_recipients(outcome), *_of_manners(outcome), *_of_end(outcome), *verdicts]
    good = min(GOOD_LIMIT, sum(cause.good for cause in causes)) * kept
    bad = min(limit, sum(cause.bad for cause in causes))
    return Weight(good, bad, ", ".join(cause.text for cause in causes if cause.good * kept or cause.bad))


def verdict_weight(kind: Literal["good", "bad"], units: float, *, forwarder: bool = False) -> Weight:
    """What a verdict that came later counts, such as a user's report. A `forwarder` answers for a tenth of the bad."""
    if kind == "good":
        return Weight(units, 0.0, "told good")
    return Weight(0.0, units * (_FORWARDER_SHARE if forwarder else 1.0), "told bad")


def _of_mail(outcome: OutcomeLine) -> Iterator[Weight]:
    if outcome.messages:
        unverified = min(outcome.unverified, outcome.messages)
        verified = outcome.messages - unverified
        if verified:
            yield Weight(1.0 + 0.25 * (verified - 1), 0.0, _counted(verified, "message") + " accepted")
        if unverified:
            yield Weight(0.2 * unverified, 0.0, _counted(unverified, "message") + " for unverified recipients")
    if outcome.auth_good:
        yield Weight(1.0, 0.0, "authenticated")


def _of_content(outcome: OutcomeLine, share: float) -> Iterator[Weight]:
    """Verdicts on what was sent, of which the client answers for this share."""
    spam = max(0, outcome.content_refused - outcome.malware)
    if outcome.malware:
        yield Weight(0.0, 4.0 * share * outcome.malware, _counted(outcome.malware, "message") + " refused for malware")
    if spam:
        yield Weight(0.0, 2.0 * share * spam, _counted(spam, "message") + " refused for the content")
    if outcome.probable:
        yield Weight(0.0, 0.7 * share * outcome.probable, _counted(outcome.probable, "message") + " probably spam")
    if outcome.trap:
        yield Weight(0.0, TRAP * share, "hit a trap address")  # once, however many


def _of_recipients(outcome: OutcomeLine) -> Iterator[Weight]:
    unknown = max(0, outcome.refused - outcome.relay - outcome.policy)
    further = max(0, unknown - 1)
    if outcome.messages:  # a message excuses guesses; a recipient that was never sent anything does not
        bad = 0.2 * further
    else:
        bad = 0.2 * min(unknown, 1) + 1.0 * further
        if outcome.null_sender:
            bad *= 0.1  # bounces for a forged sender: its victim, not its author
    if bad:
        yield Weight(0.0, bad, _counted(unknown, "unknown recipient"))
    if outcome.relay:
        yield Weight(0.0, 1.0 * outcome.relay, _counted(outcome.relay, "relay attempt"))
    if outcome.policy:
        yield Weight(0.0, 0.3 * outcome.policy, _counted(outcome.policy, "recipient") + " refused by policy")


def _of_manners(outcome: OutcomeLine) -> Iterator[Weight]:
    if outcome.early:
        yield Weight(0.0, EARLY_TALK, "talked before the greeting")
    if outcome.http:  # the lines of an HTTP request are bad commands too; they are not counted twice
        yield Weight(0.0, 3.0, "spoke HTTP")
    elif outcome.bad_commands > 2:
        bad = min(2.0, 0.5 * (outcome.bad_commands - 2))
        yield Weight(0.0, bad, _counted(outcome.bad_commands, "bad command"))
    if outcome.auth_failed > 2:
        failed = _counted(outcome.auth_failed, "failed authentication")
        yield Weight(0.0, 0.5 * (outcome.auth_failed - 2), failed)


def _of_end(outcome: OutcomeLine) -> Iterator[Weight]:
    if outcome.end == "timeout" and not outcome.stress and outcome.stage != "data":
        yield Weight(0.0, 0.3, "timed out")
    elif outcome.end == "lost" and outcome.refused and not outcome.recipients and not outcome.messages:
        yield Weight(0.0, 0.3, "left after refused recipients")


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
