"""The register of sessions given away: whom an outcome line is about, and whether it has been told before."""

from collections import OrderedDict
from itertools import takewhile

from frontproxy.core.address import AddressError, pack
from frontproxy.handover.backends import Backend, Given
from frontproxy.wire.outcome_line import OutcomeLine

REMEMBERED = 20_000
"""Sessions remembered after their place was given back, to know an outcome told late or twice."""


class Register:
    """Sessions with a place (bounded by the pools) and a bounded past."""

    def __init__(self) -> None:
        self._open: dict[str, Given] = {}
        self._past: OrderedDict[str, Given] = OrderedDict()
        self._ids: dict[tuple[bytes, int], str] = {}

    def add(self, given: Given) -> None:
        """A session was given away."""
        self._open[given.session.id] = given
        self._ids[given.session.packed, given.session.port] = given.session.id

    def close(self, given: Given) -> bool:
        """Its place is free again; false if that was known already."""
        if self._open.pop(given.session.id, None) is None:
            return False
        self._past[given.session.id] = given
        if len(self._past) > REMEMBERED:
            _id, oldest = self._past.popitem(last=False)
            if self._ids.get((oldest.session.packed, oldest.session.port)) == oldest.session.id:
                del self._ids[oldest.session.packed, oldest.session.port]
        return True

    def forget(self, given: Given) -> None:
        """It was not given away after all."""
        self._open.pop(given.session.id, None)
        self._ids.pop((given.session.packed, given.session.port), None)

    def find(self, outcome: OutcomeLine) -> Given | None:
        """The session an outcome tells of: by its id, or else by the port; the client's address must be the same."""
        try:
            packed = pack(outcome.client)  # however the feed spells it
        except AddressError:
            return None
        session = outcome.session or self._ids.get((packed, outcome.port), "")
        given = self._open.get(session) or self._past.get(session)
        return given if given and given.session.packed == packed else None

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
