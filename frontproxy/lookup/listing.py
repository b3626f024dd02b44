"""What the reply of a DNS list says: listed, not listed, or nothing that could be believed."""

from typing import Final

from frontproxy.core.address import unpack
from frontproxy.lookup.dns_wire import Reply
from frontproxy.lookup.messages import ListSaid

_LISTED: Final = b"\x7f"  # 127.0.0.0/8, RFC 5782 section 2.1
_REFUSED: Final = b"\x7f\xff\xff"  # the lists' custom: 127.255.255.254 and its neighbours tell who asks that he may not
_NEVER: Final = b"\x7f\0\0\x01"  # what lists must not answer, and dead domains do; RFC 5782 section 5


def listing(number: int, zone: str, reply: Reply) -> ListSaid:
    """The answer to a question's zone."""
    if reply.error:
        return ListSaid(number, zone, (), 0, reply.error)
    codes = sorted({code for code in reply.records if isinstance(code, bytes)})
    for code in codes:
        if code.startswith(_REFUSED):
            return ListSaid(number, zone, (), 0, f"refused ({unpack(code)})")
    listed = [code for code in codes if code.startswith(_LISTED) and code != _NEVER]
    if codes and not listed:
        return ListSaid(number, zone, (), 0, f"not a list ({unpack(codes[0])})")
    return ListSaid(number, zone, tuple(map(unpack, listed)), reply.ttl)
