"""Questions to a DNS server on this machine, as any client asks them."""

from contextlib import suppress

import dns.exception
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype

_PATIENCE = 1.0
"""Seconds."""


def ask(port: int, name: str, kind: str = "A", *, over_tcp: bool = False) -> dns.message.Message:
    """The reply. Raises dns.exception.Timeout if there is none in a second."""
    question = dns.message.make_query(name, kind)
    if over_tcp:
        return dns.query.tcp(question, "127.0.0.1", port=port, timeout=_PATIENCE)
    return dns.query.udp(question, "127.0.0.1", port=port, timeout=_PATIENCE)


def answers(port: int, name: str, kind: str = "A") -> list[str]:
    """What is in the answer, sorted; or the kind of refusal, such as ["NXDOMAIN"]."""
    reply = ask(port, name, kind)
    if reply.rcode():
        return [dns.rcode.to_text(reply.rcode())]
    wanted = dns.rdatatype.from_text(kind)
    return sorted(record.to_text() for rrset in reply.answer if rrset.rdtype == wanted for record in rrset)


def serial(port: int, zone: str) -> int:
    """Of the zone's SOA record; -1 if it has none."""
    with suppress(dns.exception.Timeout):
        for rrset in ask(port, zone, "SOA").answer:
            for record in rrset:
                return int(record.to_text().split()[2])
    return -1
