"""The census: how many sessions a client has open, how fast it comes, and whom we have asked to come back later.

All tables are bounded: when one is full, the client that has been silent longest is forgotten.
"""

from collections import OrderedDict
from math import exp
from typing import NamedTuple

REMEMBERED = 100_000
"""Clients whose rate, and clients whose refusal, is remembered."""

RETURN_AFTER = 60.0
RETURN_BEFORE = 6 * 3600.0
_MINUTE = 60.0


class Crowd(NamedTuple):
    """What the census knows of one client."""

    open_sessions: int
    """Its sessions now: waiting, queued or given away."""
    rate: float
    """Its connections in about the last minute (a sum that fades with a time constant of one minute)."""
    returned: bool
    """It came back one minute to six hours after we had sent it away, as a real mail server does."""


class Census:
    """Counts per client (`core.address.client_of`); `now` is monotonic, in seconds."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._remembered = remembered
        self._open: dict[bytes, int] = {}
        # Ordered: a plain dict looks for its first entry through all that were deleted before it.
        self._rates: OrderedDict[bytes, tuple[float, float]] = OrderedDict()
        self._refused: OrderedDict[bytes, float] = OrderedDict()

    def arrived(self, client: bytes, now: float) -> None:
        """A connection was accepted."""
        self._open[client] = self._open.get(client, 0) + 1
        self._count(client, 1.0, now)

    def left(self, client: bytes) -> None:
        """A session ended, wherever it was."""
        remaining = self._open.get(client, 0) - 1
        if remaining > 0:
            self._open[client] = remaining
        else:
            self._open.pop(client, None)

    def refused(self, client: bytes, arrived: float, now: float, *, for_now: bool) -> None:
        """We sent it away: that connection counts as neither open nor rate.

        If it was only for now (a 4xx), its return is worth something.
        """
        self.left(client)
        self._count(client, -_faded((1.0, arrived), now), now)
        if not for_now:
            return
        self._refused.pop(client, None)
        self._refused[client] = now
        if len(self._refused) > self._remembered:
            self._refused.popitem(last=False)

    def welcomed(self, client: bytes) -> None:
        """It came back and was served; a later return is to be earned anew."""
        self._refused.pop(client, None)

    def of(self, client: bytes, now: float) -> Crowd:
        """What is known of a client, for judging it."""
        entry, refused_at = self._rates.get(client), self._refused.get(client)
        return Crowd(
            self._open.get(client, 0),
            0.0 if entry is None else _faded(entry, now),
            refused_at is not None and RETURN_AFTER <= now - refused_at <= RETURN_BEFORE,
        )

    def _count(self, client: bytes, weight: float, now: float) -> None:
        entry = self._rates.get(client)
        value = weight if entry is None else _faded(entry, now) + weight
        self._rates[client] = (value if value > 0.0 else 0.0, now)
        self._rates.move_to_end(client)
        if len(self._rates) > self._remembered:
            self._rates.popitem(last=False)


def _faded(entry: tuple[float, float], now: float) -> float:
    value, at = entry
    return value * exp(min(at - now, 0.0) / _MINUTE)
