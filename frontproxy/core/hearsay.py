"""Hearsay: what the world says about an address, as far as we have been told.

Answers are facts about one moment. "No answer" is never "not listed": it is no evidence at all. What the world says is
evidence about strangers; whom we know well ourselves we do not ask about.
"""

from typing import Literal, NamedTuple


class ListAnswer(NamedTuple):
    """What one DNS list said about an address. Times are monotonic seconds."""

    zone: str
    state: Literal["listed", "not listed", "no answer"]
    codes: tuple[str, ...]
    """The addresses it answered, `127.0.0.4`; empty unless listed."""
    at: float
    """When the answer came."""
    until: float
    """Until when it holds."""
    why: str = ""
    """Of no answer: `timeout`, `SERVFAIL`, `refused (127.255.255.254)` ..."""


class NameAnswer(NamedTuple):
    """The name of an address. Times are monotonic seconds."""

    state: Literal["confirmed", "unconfirmed", "missing", "no answer"]
    """Confirmed: the reverse name leads back to the address. Unconfirmed: it does not, or is no host name."""
    name: str
    """In lower case, without the last dot; letters, digits, `-`, `_` and dots only. Empty where there is none."""
    domain: str
    """The registrable domain of a confirmed name; empty if there is none."""
    is_access: bool
    """The name looks like that of an access line: dynamic, pool, the address inside the name."""
    at: float
    until: float
    why: str = ""


class Hearsay(NamedTuple):
    """All that is known about one address now; answers that no longer hold are not in it."""

    lists: tuple[ListAnswer, ...] = ()
    name: NameAnswer | None = None


NOTHING_HEARD = Hearsay()
