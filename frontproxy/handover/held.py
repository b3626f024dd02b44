"""The sockets that servers hold for us: sessions that were passed on, and whose end the kernel tells.

A notice says that a socket has ended. What no notice tells is found by asking, one socket after the other: notices get
lost, and a client that vanished leaves its socket behind long after the server has let go of it. Survivors, which a
frontproxy before us has passed on, are found at the start by a roll-call.
"""

from collections.abc import Collection, Iterator
from typing import Self

from frontproxy.core.address import plain, unpack
from frontproxy.handover.backends import Given
from frontproxy.handover.kernel_notices import Endpoint, KernelNotices, NoNotices, SocketName
from frontproxy.wire.sock_diag import Holding

CALM = 30.0
"""Seconds in which the kernel is asked once about every session."""
URGENT = 1.0
"""The same while places are short, and after notices were lost."""
RESET_FOR = 300.0
"""Seconds after which a socket that was reset is thought free although its notice has not come."""
_REMEMBERED = 1000
_ANYWHERE = {unpack(bytes(4)), unpack(bytes(16))}
"""What a door is bound to that is open on all addresses."""


class HeldSockets:
    """What the kernel knows about sessions given away; without notices it knows nothing, and `why_not` says why."""

    def __init__(self, notices: KernelNotices | None, why_not: str = "") -> None:
        self._notices = notices
        self.why_not = why_not
        self.unseen = 0
        """Sessions whose sockets live where the kernel does not tell us of them, such as in another namespace."""
        self._held: dict[int, Given] = {}
        self._visible: set[tuple[str, int]] = set()
        self._missing: dict[int, float] = {}
        """Sockets that were not found, and since when."""
        self._round: list[int] = []
        self._asked_at = 0.0
        self._owed = 0.0
        self._lost = 0
        self._has_lost = False
        """Since the last round of questions began."""
        self._mends_loss = False
        """This round of questions finds what the lost notices would have told."""

    @classmethod
    def open(cls) -> Self:
        """Listen to the kernel, if it talks to us. Takes a fraction of a second at most."""
        try:
            return cls(KernelNotices.open())
        except NoNotices as error:
            return cls(None, str(error))

    def __len__(self) -> int:
        return len(self._held)

    @property
    def lost(self) -> int:
        """How often notices were lost."""
        return self._notices.lost if self._notices else 0

    def only_ports(self, ports: Collection[int]) -> None:
        """New sockets of ours have these local ports, held ones still theirs; with none, they may have any."""
        if self._notices is not None:
            held = {given.name.local[1] for given in self._held.values() if given.name}
            self._notices.only_ports({*ports, *held} if ports else ports)

    def watch(self, given: Given) -> None:
        """A session is about to be given away; to be called while its socket is ours."""
        if self._notices is None:
            return
        session, server = given.session, given.session.server
        ends = (server, (session.address, session.port)) if session.is_direct else None
        name = SocketName.of(session.socket, ends)
        if name is None:
            return
        if server not in self._visible:
            if self._notices.ask(name) is not Holding.HELD:
                self.unseen += 1
                return
            if len(self._visible) < _REMEMBERED:
                self._visible.add(server)
        given.name = name
        self._held[name.cookie] = given

    def survivors(self, doors: Collection[Endpoint]) -> list[SocketName]:
        """The connections to these doors of ours that some process holds; to be called before we accept any."""
        if self._notices is None:
            return []
        ends = {(plain(host), port) for host, port in doors}
        wild = {port for host, port in ends if host in _ANYWHERE}
        names = self._notices.held_on({port for _host, port in ends})
        return [name for name in names if name.local[1] in wild or (plain(name.local[0]), name.local[1]) in ends]

    def keep(self, given: Given) -> None:
        """A survivor, whose name is known, has been given a place."""
        if given.name is not None:
            self._held[given.name.cookie] = given

    def forget(self, given: Given) -> None:
        """Its end is known, or it was not given away after all."""
        if given.name is not None:
            self._held.pop(given.name.cookie, None)
            self._missing.pop(given.name.cookie, None)

    def ended(self, now: float, *, urgent: bool) -> Iterator[Given]:
        """The sessions that have ended since the last call, as far as the kernel tells; `urgent`: places are short."""
        if self._notices is None:
            return
        for cookie in self._notices.ended():
            given = self._held.pop(cookie, None)
            if given is not None:
                self._missing.pop(cookie, None)
                yield given
        yield from self._ask_some(self._notices, now, urgent=urgent)

    def _ask_some(self, notices: KernelNotices, now: float, *, urgent: bool) -> Iterator[Given]:
        if notices.lost != self._lost:
            self._lost, self._has_lost, self._round = notices.lost, True, []
        period = URGENT if urgent or self._has_lost or self._mends_loss else CALM
        self._owed = min(self._owed + len(self._held) * (now - self._asked_at) / period, len(self._held))
        self._asked_at = now
        while self._owed >= 1:
            if not self._round:
                self._round = list(self._held)
                self._mends_loss, self._has_lost = self._has_lost, False
            given = self._held.get(self._round.pop())
            if given is None:
                continue
            self._owed -= 1
            if (
                given.name
                and given.taken_at is not None
                and self._is_over(notices.ask(given.name), given.name.cookie, now)
            ):
                del self._held[given.name.cookie]
                yield given

    def _is_over(self, holding: Holding, cookie: int, now: float) -> bool:
        """Its server has let go of it.

        A socket that was reset is not found either while its server still holds it, and its notice will come. So that
        is believed only if notices were lost, or after minutes: a client must not free its place by a reset.
        """
        if holding is not Holding.NOT_FOUND:
            self._missing.pop(cookie, None)
            return holding is Holding.LET_GO
        return self._mends_loss or now - self._missing.setdefault(cookie, now) >= RESET_FOR

    def close(self) -> None:
        """Hear no more."""
        if self._notices is not None:
            self._notices.close()
