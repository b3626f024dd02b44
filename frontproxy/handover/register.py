"""The register of sessions given away: whom an outcome line is about, and whether it has been told before."""

from collections import OrderedDict
from collections.abc import Iterator
from itertools import chain, takewhile
from math import inf

from frontproxy.core.address import AddressError, pack
from frontproxy.handover.backends import Backend, Given
from frontproxy.wire.outcome_line import OutcomeLine

_CLEARLY = 1.0  # second by which a line must be nearer to a session that was told than to one that was not
REMEMBERED = 20_000
"""Sessions remembered after their place was given back, to know an outcome told late or twice."""


class Register:
    """Sessions with a place (bounded by the pools) and a bounded past."""

    def __init__(self) -> None:
        self._open: dict[str, Given] = {}
        self._past: OrderedDict[str, Given] = OrderedDict()
        self._by_port: dict[tuple[bytes, int], list[Given]] = {}
        """Sessions by their client's address and port, the eldest first: a port can be used again at once."""

    def __iter__(self) -> Iterator[Given]:
        """The open sessions, the eldest first."""
        return iter(self._open.values())

    def add(self, given: Given) -> None:
        """A session was given away."""
        session = given.session
        self._open[session.id] = given
        self._by_port.setdefault((session.packed, session.port), []).append(given)

    def close(self, given: Given) -> bool:
        """Its place is free again; false if that was known already."""
        if self._open.pop(given.session.id, None) is None:
            return False
        self._past[given.session.id] = given
        if len(self._past) > REMEMBERED:
            _id, oldest = self._past.popitem(last=False)
            self._forget_port(oldest)
        return True

    def forget(self, given: Given) -> None:
        """It was not given away after all."""
        self._open.pop(given.session.id, None)
        self._forget_port(given)

    def find(self, outcome: OutcomeLine, ended: float = inf) -> Given | None:
        """The session an outcome tells of: by its id, or else by the port; the client's address must be the same.

        Of several sessions from one port it is the eldest whose outcome was not told: feeds tell them in order. But a
        second feed may tell late of one that was told: it is that one if `ended` (monotonic), when the session it tells
        of was over, is nearer to its end, by a second, than to the time that the other one can have had.
        """
        try:
            packed = pack(outcome.client)  # however the feed spells it
        except AddressError:
            return None
        if outcome.session:
            given = self._open.get(outcome.session) or self._past.get(outcome.session)
            return given if given and given.session.packed == packed else None
        found = self._by_port.get((packed, outcome.port), ())
        untold = next((given for given in found if not given.has_ended), None)
        told = min(
            (given for given in reversed(found) if given.has_ended),
            key=lambda given: abs(given.over_at - ended),
            default=None,
        )
        if untold is None or (told and abs(told.over_at - ended) + _CLEARLY < untold.given_at - ended):
            return told
        return untold

    def latest_that_earned(self, client: bytes) -> Given | None:
        """The latest session that earned its client good which was not taken back, as far as it is remembered.

        It looks through them all, for a millisecond or two: for what is asked now and then.
        """
        latest_first = chain(reversed(self._open.values()), reversed(self._past.values()))
        return next((given for given in latest_first if given.earned and given.session.client == client), None)

    def _forget_port(self, given: Given) -> None:
        key = given.session.packed, given.session.port
        left = [other for other in self._by_port.get(key, ()) if other is not given]
        if left:
            self._by_port[key] = left
        else:
            self._by_port.pop(key, None)

    def taken_at(self, path: str) -> list[Given]:
        """The open sessions that the server at a handover socket has taken."""
        return [given for given in self._open.values() if given.backend.path == path and given.taken_at is not None]

    def eldest_age(self, now: float, backend: Backend | None = None) -> float:
        """Seconds since the eldest open session (of one backend, if it is named) was given away; 0 if there is none."""
        mine = (given for given in self._open.values() if backend is None or given.backend is backend)
        return next((now - given.given_at for given in mine), 0.0)

    def older_than(self, given_at: float) -> list[Given]:
        """The open sessions that were given away before then, the eldest first."""
        return list(takewhile(lambda given: given.given_at < given_at, self._open.values()))

    def __len__(self) -> int:
        return len(self._open)
