"""How records are packed into rows: a key, the four numbers of the record's level, and what more there is of it.

A key is a byte for the level and the packed client, network, ASN, or ASN and domain of a provider. A client's shares
are kept in single precision (core.level knows about the rounding), times in whole seconds, and the name as text: a
known client takes less than 200 bytes on disk, its part of the other levels included. What we cannot have written (a
rotten disk) says nothing.
"""

from math import inf
from struct import Struct

from frontproxy.core.history import ClientRecord, KnownName
from frontproxy.core.level import NOTHING, Level
from frontproxy.core.provider import ProviderRecord, Witness

CLIENT, NETWORK, PROVIDER, ASN = b"c", b"n", b"p", b"s"
LEVELS = (CLIENT, NETWORK, PROVIDER, ASN)

Record = ClientRecord | ProviderRecord | Level
Row = tuple[bytes, float, float, float, float, bytes | None]
"""Key, t, n, good, bad, and what more there is."""

NAME_LIMIT = 255
"""Characters of a name; a longer one is not kept. (A host name has 253 at most.)"""

_SHARES = Struct("<Ifff Ifff f")  # t, n, good, bad of the network's share and of the ASN's; spent
_NAME = Struct("<Ifff I B")  # the provider's share; until when the name holds; characters of its domain
_WITNESS = Struct("<I B")  # when it was seen; bytes of its key
_LATEST = 2**32 - 1


def provider_key(asn: int, domain: str) -> bytes:
    """The key of a provider's row."""
    return PROVIDER + asn.to_bytes(4, "big") + domain.encode()


def level_of(record: Record) -> Level:
    """What a record knows about its own subject."""
    if isinstance(record, ClientRecord):
        return record.own
    return record.level if isinstance(record, ProviderRecord) else record


def packed(key: bytes, record: Record) -> Row:
    """The row of a record."""
    more = None
    if isinstance(record, ClientRecord):
        more = client_more(record)
    elif isinstance(record, ProviderRecord):
        more = b"".join(_packed_witness(witness) for witness in record.witnesses)
    level = level_of(record)
    return key, _seconds(level.t), level.n, level.good, level.bad, more


def unpack(row: Row) -> Record:
    """The record in a row."""
    key, t, n, good, bad, more = row
    level = checked_level(t, n, good, bad)
    if key.startswith(CLIENT):
        return _client(level, more or b"")
    if key.startswith(PROVIDER):
        return ProviderRecord(level, _witnesses(more or b""))
    return level


def client_more(record: ClientRecord) -> bytes:
    """All of a client's record but its own level: two shares and what is spent; then, if it has a name, the third."""
    more = _SHARES.pack(*_packed_level(record.network_share), *_packed_level(record.asn_share), record.spent)
    name = record.name
    if name is None or not 0 < len(name.name) <= NAME_LIMIT or not name.name.endswith(name.domain):
        return more
    share = _packed_level(record.provider_share)
    return more + _NAME.pack(*share, _seconds(name.until), len(name.domain)) + name.name.encode()


def checked_level(t: float, n: float, good: float, bad: float) -> Level:
    """A level as it was written; numbers that we cannot have written are none."""
    if 0.0 <= n < inf and 0.0 <= good <= n and 0.0 <= bad <= n and 0.0 <= t < inf:
        return Level(float(t), n, good, bad)
    return NOTHING


def _client(own: Level, more: bytes) -> ClientRecord:
    if len(more) < _SHARES.size:
        return ClientRecord(own)
    numbers = _SHARES.unpack_from(more)
    network_share, asn_share, spent = checked_level(*numbers[:4]), checked_level(*numbers[4:8]), numbers[8]
    spent = spent if 0.0 <= spent < inf else 0.0
    if len(more) <= _SHARES.size + _NAME.size:
        return ClientRecord(own, network_share, NOTHING, asn_share, spent)
    *share, until, domain_length = _NAME.unpack_from(more, _SHARES.size)
    name = more[_SHARES.size + _NAME.size :].decode("ascii", "replace")
    if not (name.isascii() and name.isprintable() and domain_length <= len(name)):
        return ClientRecord(own, network_share, NOTHING, asn_share, spent)
    known = KnownName(name, name[len(name) - domain_length :], until)
    return ClientRecord(own, network_share, checked_level(*share), asn_share, spent, known)


def _witnesses(more: bytes) -> tuple[Witness, ...]:
    witnesses = []
    while len(more) > _WITNESS.size:
        seen, length = _WITNESS.unpack_from(more)
        client, more = more[_WITNESS.size : _WITNESS.size + length], more[_WITNESS.size + length :]
        witnesses.append(Witness(client, seen))
    return tuple(witnesses)


def _packed_witness(witness: Witness) -> bytes:
    return _WITNESS.pack(_seconds(witness.seen), len(witness.client)) + witness.client


def _packed_level(level: Level) -> tuple[int, float, float, float]:
    return _seconds(level.t), level.n, level.good, level.bad


def _seconds(t: float) -> int:
    """A time since 1970 in whole seconds, such as fits into four bytes."""
    return int(max(0.0, min(t, _LATEST)))
