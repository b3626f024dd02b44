"""How long what was said is kept, and how much of it, whatever those who said it would like."""

from typing import Final

from frontproxy.core.hearsay import ListAnswer, NameAnswer
from frontproxy.lookup.messages import Answer, ListSaid, NameSaid

LIST_HOLDS: Final = (60.0, 3600.0)
"""Seconds for which an answer of a list is kept: at least, and at most."""
NAME_HOLDS: Final = (600.0, 86400.0)
NO_ANSWER_HOLDS: Final = 30.0
"""A server that is dead is not asked about the same address again and again."""
CODES_KEPT: Final = 16
"""Of the replies of one list about one address; a list that lies may send thousands."""


def as_heard(said: Answer, now: float) -> ListAnswer | NameAnswer:
    """What was said just now."""
    return _list_answer(said, now) if isinstance(said, ListSaid) else _name_answer(said, now)


def no_list_answer(zone: str, why: str, now: float) -> ListAnswer:
    """A list has not answered."""
    return ListAnswer(zone, "no answer", (), now, now + NO_ANSWER_HOLDS, why)


def no_name_answer(why: str, now: float) -> NameAnswer:
    """Nothing was found out about the name of an address."""
    return NameAnswer("no answer", "", "", is_access=False, at=now, until=now + NO_ANSWER_HOLDS, why=why)


def _list_answer(said: ListSaid, now: float) -> ListAnswer:
    if said.error:
        return no_list_answer(said.zone, said.error, now)
    until = now + _bounded(said.ttl, LIST_HOLDS)
    return ListAnswer(said.zone, "listed" if said.codes else "not listed", said.codes[:CODES_KEPT], now, until)


def _name_answer(said: NameSaid, now: float) -> NameAnswer:
    if said.state is None:
        return no_name_answer(said.error, now)
    until = now + _bounded(said.ttl, NAME_HOLDS)
    return NameAnswer(said.state, said.name, said.domain, said.access, now, until)


def _bounded(ttl: float, bounds: tuple[float, float]) -> float:
    least, most = bounds
    return min(max(ttl, least), most)
