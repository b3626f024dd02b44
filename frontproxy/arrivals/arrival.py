"""An arrival: a connection whose client we know. Of some we must be told by another program before we do."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

Endpoint = tuple[str, int]
"""The text of an address, and a port."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A client's connection, and what we were told about it."""

    socket: socket.socket
    client: Endpoint
    server: Endpoint
    """Where the client connected to."""
    health_check: bool = False
    """The proxy itself asks how we are."""


class NotArrived(Exception):
    """No session comes of a connection: `why` is one word of a few, for counting; the text says more."""

    def __init__(self, why: str, text: str) -> None:
        super().__init__(text)
        self.why = why


class Announced(Protocol):
    """A connection that has to begin with who the client is. It owns its socket until there is an arrival."""

    @property
    def event(self) -> str:
        """What the log calls its refusal."""

    @property
    def where_from(self) -> Mapping[str, str]:
        """Who made the connection, as values for the log."""

    def fileno(self) -> int:
        """What to wait on for more."""

    def read(self) -> Arrival | None:
        """Read what is there, without waiting; None when more has to come. Raises NotArrived."""

    def give_up(self) -> socket.socket | None:
        """Close it; but the client's own socket, where it is another one and has come, is the caller's."""
