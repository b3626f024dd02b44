"""The register of sessions given away: whom an outcome line is about, and whether it has been told before."""

from frontproxy.core.address import AddressError, pack
from frontproxy.handover.backends import Given
from frontproxy.wire.outcome_line import OutcomeLine

REMEMBERED = 20_000
"""Sessions remembered after their place was given back, to know an outcome told late or twice."""


class Register:
    """Sessions with a place (bounded by the pools) and a bounded past."""

    def __init__(self) -> None:
        self._open: dict[str, Given] = {}
        self._past: dict[str, Given] = {}
        self._ids: dict[tuple[bytes, int], str] = {}

    def add(self, given: Given) -> None:
        """A session was given away."""
        self._open[given.id] = given
        self._ids[given.packed, given.port] = given.id

    def close(self, given: Given) -> bool:
        """Its place is free again; false if that was known already."""
        if self._open.pop(given.id, None) is None:
            return False
        self._past[given.id] = given
        if len(self._past) > REMEMBERED:
            oldest = self._past.pop(next(iter(self._past)))
            if self._ids.get((oldest.packed, oldest.port)) == oldest.id:
                del self._ids[oldest.packed, oldest.port]
        return True

    def find(self, outcome: OutcomeLine) -> Given | None:
        """The session an outcome tells of: by its id, or else by client address and port."""
        session = outcome.session or self._id_at(outcome.client, outcome.port)
        return self._open.get(session) or self._past.get(session)

    def _id_at(self, client: str, port: int) -> str:
        """The latest session of an address, however a feed spells it, and a port; empty for none."""
        try:
            return self._ids.get((pack(client), port), "")
        except AddressError:
            return ""

    def taken_at(self, path: str) -> list[Given]:
        """The open sessions that the server at a handover socket has taken."""
        return [given for given in self._open.values() if given.backend.path == path and given.taken_at is not None]

    def __len__(self) -> int:
        return len(self._open)
