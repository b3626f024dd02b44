"""What older versions of the history file packed into a client's row, beside the numbers of its own."""

from collections.abc import Callable
from struct import Struct, error

from frontproxy.core.history import ClientRecord, KnownName
from frontproxy.core.level import NOTHING, Level

_VERSION_1 = Struct("<dddd dddd d")  # t, n, good, bad of the network's share and of the ASN's; spent
_VERSION_2 = Struct("<Ifff Ifff f I")  # the same, and the ASN
_NAME_2 = Struct("<Ifff I B")  # then, with a name, the provider's share, until when it holds, characters of its domain


def read_more(more: bytes, version: int) -> ClientRecord | None:
    """The record, but for its own level, as that version packed it; None if it cannot be read."""
    try:
        return _READERS[version](more)
    except error:
        return None


def _read_1(more: bytes) -> ClientRecord:
    numbers = _VERSION_1.unpack(more)
    return ClientRecord(network_share=Level(*numbers[:4]), asn_share=Level(*numbers[4:8]), spent=numbers[8])


def _read_2(more: bytes) -> ClientRecord:
    *numbers, asn = _VERSION_2.unpack_from(more)
    nameless = ClientRecord(NOTHING, Level(*numbers[:4]), NOTHING, Level(*numbers[4:8]), numbers[8], asn=asn)
    text = more[_VERSION_2.size + _NAME_2.size :]
    if not text:
        return nameless
    *share, until, domain_length = _NAME_2.unpack_from(more, _VERSION_2.size)
    name = text.decode("ascii", "replace")
    if not (name.isascii() and name.isprintable() and domain_length <= len(name)):
        return nameless
    return nameless._replace(
        provider_share=Level(*share), name=KnownName(name, name[len(name) - domain_length :], until)
    )


_READERS: dict[int, Callable[[bytes], ClientRecord]] = {1: _read_1, 2: _read_2}
