"""Names as evidence: what the reverse name of a client is worth."""

from typing import Final

from frontproxy.core.config_values import Points
from frontproxy.core.doubt import against
from frontproxy.core.hearsay import NameAnswer
from frontproxy.core.verdict import Reason

_LONGEST_SHOWN: Final = 80
"""Characters of a name in a reason: a stranger chooses its name, and the log keeps it."""


def reason_of(answer: NameAnswer, points: Points, *, doubt: float) -> tuple[Reason, ...]:
    """The one reason of a name, or none: no answer is no evidence, and neither is what is worth no points.

    `doubt` is from 0 (our own history vouches for the client) to 1 (it does not).
    """
    if answer.state == "no answer":
        return ()
    kind, worth, text = _finding(answer, points)
    if not worth:
        return ()
    counted, note = against(worth, doubt)
    return (Reason(f"name:{kind}", counted, text + note),)


def _finding(answer: NameAnswer, points: Points) -> tuple[str, float, str]:
    """The kind of name, its points, and a line for people."""
    name = answer.name if len(answer.name) <= _LONGEST_SHOWN else f"...{answer.name[-_LONGEST_SHOWN:]}"
    if answer.state == "missing":
        return "missing", points.name_missing, "it has no name"
    if answer.state == "unconfirmed":
        text = f"its name {name} does not lead back to it" if name else "its name is not one that a host may have"
        return "unconfirmed", points.name_unconfirmed, text
    if answer.is_access:
        return "access", points.name_access, f"its name {name} looks like that of an access line"
    return "confirmed", points.name_confirmed, f"its name is {name}, which leads back to it"
