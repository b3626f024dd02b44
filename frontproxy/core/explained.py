"""What the DNS has told about a client, as `score` shows it: what each list said, how old that is, what it is worth."""

from collections.abc import Mapping, Sequence
from typing import Any

from frontproxy.core.hearsay import Hearsay, ListAnswer, NameAnswer
from frontproxy.core.verdict import Reason

Answer = dict[str, Any]


def hearsay_answer(
    hearsay: Hearsay, zones: Sequence[str], reasons: Sequence[Reason], *, silenced: Mapping[str, str], now: float
) -> Answer:
    """The fields `dnslists` and `name`; ages and what is left of an answer's time are in seconds.

    `silenced` has the zones without a vote, and why. A list that has told nothing yet was "not asked".
    """
    answers = {answer.zone: answer for answer in hearsay.lists}
    points = {reason.name: reason.points for reason in reasons}
    return {
        "dnslists": [_list(zone, answers.get(zone), points, silenced.get(zone), now) for zone in zones],
        "name": _name(hearsay.name, points, now) if hearsay.name else None,
    }


def _list(zone: str, answer: ListAnswer | None, points: Mapping[str, float], why_not: str | None, now: float) -> Answer:
    return {
        "zone": zone,
        "said": answer.state if answer else "not asked",
        "codes": list(answer.codes) if answer else [],
        **_times(answer, now),
        "points": round(points.get(f"dnslist:{zone}", 0.0), 2) + 0.0,
        "vote": why_not is None,
        "why": why_not or (answer.why if answer else "") or None,
    }


def _name(answer: NameAnswer, points: Mapping[str, float], now: float) -> Answer:
    worth = sum(worth for name, worth in points.items() if name.startswith("name:"))
    return {
        "said": answer.state,
        "name": answer.name or None,
        "domain": answer.domain or None,
        "access": answer.is_access,
        **_times(answer, now),
        "points": round(worth, 2) + 0.0,
        "why": answer.why or None,
    }


def _times(answer: ListAnswer | NameAnswer | None, now: float) -> Answer:
    if answer is None:
        return {"age": None, "holds": None}
    return {"age": round(now - answer.at, 1), "holds": round(answer.until - now, 1)}
