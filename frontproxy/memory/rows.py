"""How records are packed into rows: a key, the four numbers of the record's level, and what more there is of it.

A key is a byte for the level and the packed client, network, ASN, or ASN and domain of a provider. A client's shares
are kept in single precision (core.level knows about the rounding), times in whole seconds, and the name as text: a
known client takes less than 200 bytes on disk, its part of the other levels included. What we cannot have written (a
rotten disk) says nothing, and is not written either: there are no numbers that a row could fail on.
"""

from struct import Struct

from frontproxy.core.history import GOOD_A_DAY, ClientRecord, KnownName
from frontproxy.core.level import NOTHING, Level
from frontproxy.core.provider import ProviderRecord, Witness

CLIENT, NETWORK, PROVIDER, ASN = b"c", b"n", b"p", b"s"
LEVELS = (CLIENT, NETWORK, PROVIDER, ASN)

Record = ClientRecord | ProviderRecord | Level
Row = tuple[bytes, float, float, float, float, bytes | None]
"""Key, t, n, good, bad, and what more there is."""

NAME_LIMIT = 255
"""Characters of a name; a longer one is not kept. (A host name has 253 at most.)"""

_SHARES = Struct("<Ifff Ifff f I")  # t, n, good, bad of the network's share and of the ASN's; spent; the ASN
_NAME = Struct("<Ifff I B")  # the provider's share; until when the name holds; characters of its domain
_WITNESS = Struct("<I B")  # when it was seen; bytes of its key
_LATEST = 2**32 - 1
_MOST_SEEN = 2.0**40  # units of evidence; nobody lives to see them
_MOST_SPENT = 2.0 * GOOD_A_DAY  # twice what there can be


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
    return key, *_packed_level(level_of(record)), more


def unpack(row: Row) -> Record:
    """The record in a row."""
    key, t, n, good, bad, more = row
    level = _checked(t, n, good, bad)
    if key.startswith(CLIENT):
        return _client(level, more or b"")
    if key.startswith(PROVIDER):
        return ProviderRecord(level, _witnesses(more or b""))
    return level


def client_more(record: ClientRecord) -> bytes:
    """All of a client's record but its own level: two shares and what is spent; then, if it has a name, the third."""
    shares = *_packed_level(record.network_share), *_packed_level(record.asn_share)
    more = _SHARES.pack(*shares, _checked_spent(record.spent), record.asn)
    name = record.name
    if name is None or not 0 < len(name.name) <= NAME_LIMIT or not name.name.endswith(name.domain):
        return more
    share = _packed_level(record.provider_share)
    return more + _NAME.pack(*share, _seconds(name.until), len(name.domain)) + name.name.encode()


def _client(own: Level, more: bytes) -> ClientRecord:
    if len(more) < _SHARES.size:
        return ClientRecord(own)
    numbers = _SHARES.unpack_from(more)
    network_share, asn_share, spent = _checked(*numbers[:4]), _checked(*numbers[4:8]), numbers[8]
    nameless = ClientRecord(own, network_share, NOTHING, asn_share, _checked_spent(spent), asn=numbers[9])
    if len(more) <= _SHARES.size + _NAME.size:
        return nameless
    *share, until, domain_length = _NAME.unpack_from(more, _SHARES.size)
    name = more[_SHARES.size + _NAME.size :].decode("ascii", "replace")
    if not (name.isascii() and name.isprintable() and domain_length <= len(name)):
        return nameless
    known = KnownName(name, name[len(name) - domain_length :], until)
    return nameless._replace(provider_share=_checked(*share), name=known)


def _witnesses(more: bytes) -> tuple[Witness, ...]:
    witnesses = []
    while len(more) > _WITNESS.size:
        seen, length = _WITNESS.unpack_from(more)
        key, more = more[_WITNESS.size : _WITNESS.size + length], more[_WITNESS.size + length :]
        witnesses.append(Witness(key, seen))
    return tuple(witnesses)


def _packed_witness(witness: Witness) -> bytes:
    return _WITNESS.pack(_seconds(witness.seen), len(witness.key)) + witness.key


def _packed_level(level: Level) -> tuple[int, float, float, float]:
    t, n, good, bad = _checked(_seconds(level.t), level.n, level.good, level.bad)
    return int(t), n, good, bad


def _checked(t: float, n: float, good: float, bad: float) -> Level:
    """The level of these numbers; nothing if nobody can have such ones."""
    if 0.0 <= n <= _MOST_SEEN and 0.0 <= good <= n and 0.0 <= bad <= n and 0.0 <= t <= _LATEST:
        return Level(float(t), n, good, bad)
    return NOTHING


def _checked_spent(spent: float) -> float:
    return spent if 0.0 <= spent <= _MOST_SPENT else 0.0


def _seconds(t: float) -> int:
    """A time since 1970 in whole seconds, such as fits into four bytes."""
    return int(max(0.0, min(t, _LATEST)))
