"""Questions about addresses, and the answers: what is to be asked of whom, and what the replies come to."""

from collections.abc import Callable
from functools import partial

from frontproxy.core.address import pack
from frontproxy.core.dnslist import query_name
from frontproxy.lookup import dns_wire
from frontproxy.lookup.dns_wire import Malformed, Reply
from frontproxy.lookup.listing import listing
from frontproxy.lookup.messages import Answer, ListSaid, Question
from frontproxy.lookup.registrable import Domains
from frontproxy.lookup.reverse import Resolves, Reverse


class Asking:
    """Asks, and tells each answer as it comes."""

    def __init__(self, resolver: Resolves, domains: Domains, tell: Callable[[Answer], None]) -> None:
        self._resolver = resolver
        self._domains = domains
        self._tell = tell

    def ask(self, question: Question) -> None:
        """Everything in it at once: lists and the name do not wait for each other."""
        packed = pack(question.address)
        for zone in question.zones:
            self._ask_list(question.id, packed, zone)
        if question.name:
            Reverse(question.id, packed, self._resolver, self._domains, self._tell).begin()

    def _ask_list(self, number: int, packed: bytes, zone: str) -> None:
        try:
            asked = dns_wire.question(query_name(packed, zone), dns_wire.A)
        except Malformed:
            self._tell(ListSaid(number, zone, (), 0, "malformed"))  # a zone too long for an IPv6 address
        else:
            self._resolver.ask(asked, zone, partial(self._heard, number, zone))

    def _heard(self, number: int, zone: str, reply: Reply) -> None:
        self._tell(listing(number, zone, reply))
