"""Who sends mail in the simulation, and what each session brings: drawn once, so that all systems see the same."""

from dataclasses import dataclass
from math import exp, inf
from random import Random
from typing import Literal, NamedTuple

from frontproxy.core import address
from frontproxy.core.hearsay import NameAnswer

Group = Literal["server", "provider", "newcomer", "forwarder", "bot", "snowshoe", "turned", "builder"]
Deed = Literal["mail", "guess", "idle"]
"""What a session does: it sends a message, guesses recipients, or keeps silent."""

NameState = Literal["confirmed", "unconfirmed", "missing"]


@dataclass(frozen=True, slots=True, eq=False)
class Sender:
    """One address."""

    packed: bytes
    text: str
    asn: int
    group: Group
    name: NameAnswer
    """What the DNS says of it; its times mean nothing."""
    listed_from: float = inf
    """When the DNS list begins to list it; seconds of the simulation, as all times here."""


@dataclass(frozen=True, slots=True, eq=False)
class Visit:
    """One session that a sender wants, and all that chance has to do with it."""

    at: float
    sender: Sender
    group: Group
    """What its sender is now: a server that has turned bad is none of the servers meanwhile."""
    is_ham: bool
    deed: Deed
    early: bool
    """It talks before the greeting, if it has to wait for that."""
    length: float
    """Seconds it takes, if it is not silent or thrown out."""
    is_told: bool
    is_told_wrongly: bool
    lag: float
    """Seconds from its end to its outcome."""
    returns: int
    """How often it comes back when it was sent away for now."""


class Land(NamedTuple):
    """The address space: networks are given out one after the other, scattered over all of IPv4."""

    asn_of: dict[bytes, int]
    """Of each network (/24) given out, packed, its ASN."""

    def network(self, asn: int) -> bytes:
        """A new network in that ASN."""
        network = (len(self.asn_of) * 2_654_435_761 % 2**24).to_bytes(3, "big")  # odd, so that none is given twice
        self.asn_of[network] = asn
        return network

    def sender(self, network: bytes, host: int, group: Group, name: NameAnswer, *, listed_from: float = inf) -> Sender:
        """The host-th address of a network."""
        packed = network + bytes([host % 256])
        return Sender(packed, address.unpack(packed), self.asn_of[network], group, name, listed_from)


class Names(NamedTuple):
    """Reverse names, as the asking program tells them."""

    chance: Random

    def of_server(self, domain: str, without: float) -> NameAnswer:
        """A mail server's; a share of them has none, and as many one that does not lead back."""
        drawn = self.chance.random()
        if drawn < without:
            return answer("missing")
        return answer("unconfirmed", f"mx.{domain}") if drawn < 2 * without else answer("confirmed", f"mx.{domain}")

    def of_bot(self, number: int, without: float) -> NameAnswer:
        """A bot's: mostly that of an access line."""
        drawn = self.chance.random()
        if drawn < without:
            return answer("missing")
        if drawn < without + 0.55:
            return answer("confirmed", f"dyn-{number}.isp.example", domain="", is_access=True)
        if drawn < 0.95:
            return answer("unconfirmed", f"host-{number}.isp.example")
        return answer("confirmed", f"host-{number}.bot{number}.example")


def answer(state: NameState, name: str = "", *, domain: str | None = None, is_access: bool = False) -> NameAnswer:
    """What the DNS says of a name; the domain is that of the name unless it is given."""
    if domain is None:
        domain = name.partition(".")[2] if state == "confirmed" else ""
    return NameAnswer(state, name, domain, is_access, 0.0, 0.0)


class Fate(NamedTuple):
    """Draws what chance has to do with one session."""

    chance: Random
    wrong: float
    missing: float
    late: float

    def visit(
        self,
        at: float,
        sender: Sender,
        *,
        is_ham: bool,
        length: float,
        group: Group | None = None,
        deed: Deed = "mail",
        early: bool = False,
        returns: int = 6,
    ) -> Visit:
        """A session; `length` is the median of its seconds."""
        chance = self.chance
        return Visit(
            at,
            sender,
            group or sender.group,
            is_ham,
            deed,
            early,
            length * exp(chance.gauss(0.0, 0.6)),
            is_told=chance.random() >= self.missing,
            is_told_wrongly=chance.random() < self.wrong,
            lag=chance.expovariate(1 / 3600.0) if chance.random() < self.late else 0.0,
            returns=returns,
        )
