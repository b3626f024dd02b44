"""Questions on their way to the asking program and back, and who waits for their answers."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Final, Literal

from frontproxy.core.address import client_of, network_of

PLACES: Final = 256
"""Questions in flight, at most; each list and each name is one."""
RESERVED: Final = 32
"""Of these, places that no stranger takes: lists must be tested while nothing is answered."""
NAMES: Final = (PLACES - RESERVED) // 2
"""Of the others, places that names may take: whoever owns a reverse zone can let it be silent, and nobody's name must
keep the lists from being asked."""
NAMES_OF_ONE_NETWORK: Final = NAMES // 8
"""Of these, places for names of one network, lest one such zone keep all other names from being asked."""
FORGOTTEN_AFTER: Final = 20.0
"""Seconds; the program gives up before, so it has died by then."""

Purpose = Literal["client", "friend", "test"]


class Inquiry:
    """Somebody who waits until all was said that was asked about an address, or at least what lists say against it."""

    __slots__ = ("_heard", "_left", "_listed")

    def __init__(
        self, heard: Callable[[], None] | None, flights: int, listed: Callable[[], None] | None = None
    ) -> None:
        """`heard` is called once, when all was said; `listed` before, when lists have answered and one lists it."""
        self._heard = heard
        self._listed = listed
        self._left = flights

    def cancel(self) -> None:
        """Nobody waits any more; the answers are kept all the same."""
        self._heard = self._listed = None

    def listed(self) -> None:
        """The lists have answered that were asked in one go, and one of them lists the address."""
        if self._left and self._listed:
            self._listed()

    def landed(self) -> None:
        """One of its flights has come back, with all answers that it will bring."""
        self._left -= 1
        if not self._left and self._heard:
            heard, self._heard = self._heard, None
            heard()


@dataclass(slots=True, eq=False)
class Flight:
    """What was asked about one address in one go."""

    id: int
    packed: bytes
    zones: set[str]
    """Lists that have not answered yet."""
    name: bool
    """Its name has not been answered yet."""
    purpose: Purpose
    began: float
    is_listed: bool = False
    """A list has listed it."""
    inquiries: list[Inquiry] = field(default_factory=list)

    @property
    def open(self) -> int:
        """Questions without an answer yet."""
        return len(self.zones) + self.name


def wait_for(
    flights: Collection[Flight], heard: Callable[[], None] | None, *, listed: Callable[[], None] | None = None
) -> Inquiry | None:
    """Somebody who waits for all of these; None if there are none."""
    if not flights:
        return None
    inquiry = Inquiry(heard, len(flights), listed)
    for flight in flights:
        flight.inquiries.append(inquiry)
    return inquiry


class Flights:
    """All that are on their way; times are monotonic seconds."""

    def __init__(self) -> None:
        self._flights: dict[int, Flight] = {}
        self._ids = count(1)
        self.open = 0
        """Questions that have no answer yet."""

    def __iter__(self) -> Iterator[Flight]:
        return iter(list(self._flights.values()))

    def asking_lists(self, packed: bytes, zones: Collection[str]) -> list[Flight]:
        """Those that ask some of these lists about the client of an address; tests are of no use to anybody else."""
        client = client_of(packed)
        return [
            flight
            for flight in self._flights.values()
            if not flight.zones.isdisjoint(zones) and client_of(flight.packed) == client and flight.purpose != "test"
        ]

    def asking_name(self, packed: bytes) -> list[Flight]:
        """Those that ask for the name of an address."""
        return [flight for flight in self._flights.values() if flight.name and flight.packed == packed]

    def has_room(self, questions: int, purpose: Purpose) -> bool:
        """Whether so many more may take off."""
        return self.open + questions <= (PLACES if purpose == "test" else PLACES - RESERVED)

    def has_room_for_name(self, packed: bytes) -> bool:
        """Whether the name of this address may be asked for."""
        network = network_of(packed)
        networks = [network_of(flight.packed) for flight in self._flights.values() if flight.name]
        return len(networks) < NAMES and networks.count(network) < NAMES_OF_ONE_NETWORK

    def begin(self, packed: bytes, zones: set[str], purpose: Purpose, now: float, *, name: bool) -> Flight:
        """A new one, which takes its places."""
        flight = Flight(next(self._ids), packed, zones, name, purpose, now)
        self._flights[flight.id] = flight
        self.open += flight.open
        return flight

    def find(self, number: int) -> Flight | None:
        """The one with this id, if it is still on its way."""
        return self._flights.get(number)

    def take(self, flight: Flight, zone: str | None) -> bool:
        """A list has answered, or (None) the name; false if that was not waited for."""
        if not (flight.name if zone is None else zone in flight.zones):
            return False
        if zone is None:
            flight.name = False
        else:
            flight.zones.remove(zone)
        self.open -= 1
        return True

    def end(self, flight: Flight) -> None:
        """It is over, whatever is missing."""
        if self._flights.pop(flight.id, None):
            self.open -= flight.open
            for inquiry in flight.inquiries:
                inquiry.landed()

    def overdue(self, now: float) -> list[Flight]:
        """Those whose answers will not come any more."""
        return [flight for flight in self._flights.values() if now - flight.began > FORGOTTEN_AFTER]
