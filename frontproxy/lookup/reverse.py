"""The name of an address: what its reverse name says, and whether that leads back to the address."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol

from frontproxy.core.dnslist import query_name
from frontproxy.core.names import host_name, is_access_name, is_customer_name
from frontproxy.lookup import dns_wire
from frontproxy.lookup.dns_wire import Reply
from frontproxy.lookup.messages import NameSaid, NameState
from frontproxy.lookup.registrable import Domains

SUBJECT: Final = "(names)"
"""Names are one subject of look-ups; their servers are the strangers' own."""
NAMES_LIMIT: Final = 3
"""Names of one address that are followed."""


class Resolves(Protocol):
    """The resolver, as much of it as is needed here."""

    def ask(self, asked: bytes, subject: str, heard: Callable[[Reply], None]) -> None:
        """Ask a question."""


@dataclass(slots=True)
class Reverse:
    """One address whose name is being looked up."""

    number: int
    packed: bytes
    resolver: Resolves
    domains: Domains
    tell: Callable[[NameSaid], None]
    names: tuple[str, ...] = ()
    ttl: int = 0
    forward: dict[str, Reply] = field(default_factory=dict)

    def begin(self) -> None:
        """Ask for the reverse name; `tell` is called once, perhaps at once."""
        zone = "in-addr.arpa" if len(self.packed) == 4 else "ip6.arpa"
        asked = dns_wire.question(query_name(self.packed, zone), dns_wire.PTR)
        self.resolver.ask(asked, SUBJECT, self._reversed)

    def _reversed(self, reply: Reply) -> None:
        if reply.error:
            self._fail(reply.error)
            return
        self.ttl = reply.ttl
        found = [host_name(name) for name in reply.records[:NAMES_LIMIT] if isinstance(name, str)]
        self.names = tuple(dict.fromkeys(filter(None, found)))
        if not self.names:
            self._say("unconfirmed" if found else "missing", "")
        kind = dns_wire.A if len(self.packed) == 4 else dns_wire.AAAA
        for name in self.names:
            self.resolver.ask(dns_wire.question(name, kind), SUBJECT, partial(self._forwarded, name))

    def _forwarded(self, name: str, reply: Reply) -> None:
        self.forward[name] = reply
        if len(self.forward) < len(self.names):
            return
        replies = [self.forward[name] for name in self.names]
        leading_back = [self.packed in reply.records for reply in replies]
        errors = [reply.error for reply in replies if reply.error]
        if any(leading_back):
            first = leading_back.index(True)
            self.ttl = min(self.ttl, replies[first].ttl)
            self._say("confirmed", self.names[first])
        elif errors:
            self._fail(errors[0])
        else:
            self.ttl = min([self.ttl, *[reply.ttl for reply in replies]])
            self._say("unconfirmed", self.names[0])

    def _say(self, state: NameState, name: str) -> None:
        is_provider_s = state == "confirmed" and not is_customer_name(name, self.packed)
        domain = self.domains.of(name) if is_provider_s else ""
        self.tell(NameSaid(self.number, state, name, domain, is_access_name(name, self.packed), self.ttl))

    def _fail(self, why: str) -> None:
        self.tell(NameSaid(self.number, None, "", "", access=False, ttl=0, error=why))
