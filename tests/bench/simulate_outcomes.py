"""How a simulated session ends: how long it takes, and what the feeds tell of it."""

from typing import Final, NamedTuple

from frontproxy.core.outcome import weigh
from frontproxy.wire.outcome_line import OutcomeLine
from tests.bench.simulate_people import Visit

EPOCH: Final = 1.7e9
"""Seconds since 1970 at the beginning of the simulation."""
THROWN_OUT: Final = 3.0
"""Seconds until a guesser is thrown out under stress: its first mistake is its last."""
_GUESSES: Final = 20


class Manners(NamedTuple):
    """What of a personality decides how long a session can last; `config.toml` has the values."""

    timeout: float
    """Seconds the client may be silent."""
    is_strict: bool
    """One mistake ends the session."""


def seconds_of(visit: Visit, manners: Manners, guessing: float) -> float:
    """How long the session takes; `guessing` is how long twenty guesses do."""
    if visit.deed == "idle":
        return manners.timeout
    if visit.deed == "guess":
        return THROWN_OUT if manners.is_strict else guessing
    return visit.length


def line_of(visit: Visit, ended: float, *, stress: bool, early: bool) -> OutcomeLine:
    """What its server tells. `ended` is a time of the simulation; `early`: somebody has seen it talk too soon."""
    told: dict[str, int | str] = {"end": "quit"}
    if (visit.deed == "mail" and visit.is_ham) is not visit.is_told_wrongly:
        told |= {"messages": 1, "recipients": 1}
    elif visit.deed == "idle":
        told |= {"end": "timeout"}
    elif visit.deed == "guess":
        told |= {"refused": 1 if stress else _GUESSES, "end": "errors"}
    else:
        told |= {"content_refused": 1, "recipients": 1}
    client = visit.sender.text
    return OutcomeLine(client=client, port=4711, ended=EPOCH + ended, stress=stress, early=early, **told)  # type: ignore[arg-type]  # the dictionary is of what it says


def opinion_of(line: OutcomeLine) -> int:
    """For systems that know two kinds of session: 1 for a good one, -1 for a bad one, 0 for one that tells nothing."""
    weight = weigh(line)
    return (weight.good > weight.bad) - (weight.good < weight.bad)
