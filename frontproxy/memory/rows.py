"""How records become rows: a key, the four numbers of its level, what more there is, and whose client it is.

A key is a byte for the level and the packed client, network, ASN, or ASN and domain of a provider. A client's row names
the row of its provider, so that one query reads both; what that key tells (the ASN, the domain that its name ends with)
is not told twice. A client's shares are kept in single precision (core.level knows about the rounding), times in whole
seconds, and the name as text: a known client takes less than 200 bytes on disk, its part of the other levels included.
What we cannot have written (a rotten disk) says nothing, and is not written either: there are no numbers that a row
could fail on.
"""

from struct import Struct

from frontproxy.core.history import GOOD_A_DAY, ClientRecord, KnownName
from frontproxy.core.level import NOTHING, Level
from frontproxy.core.provider import ProviderRecord, Witness

CLIENT, NETWORK, PROVIDER, ASN = b"c", b"n", b"p", b"s"
LEVELS = (CLIENT, NETWORK, PROVIDER, ASN)

Record = ClientRecord | ProviderRecord | Level
Row = tuple[bytes, float, float, float, float, bytes | None, bytes | None]
"""Key, t, n, good, bad, what more there is, and the key of a client's provider."""

NAME_LIMIT = 255
"""Characters of a name; a longer one is not kept. (A host name has 253 at most.)"""

_SHARES = Struct("<H Ifff Ifff")  # spent, in thousandths; t, n, good, bad of the network's share and of the ASN's
_PROVIDER_SHARE = Struct("<Ifff")  # of a client that has a name
_UNTIL = Struct("<I")  # how long that name holds
_ASN = Struct("<I")  # the ASN, where no provider's key tells it
_UNTIL_AT = _SHARES.size + _PROVIDER_SHARE.size
HOST_AT = _UNTIL_AT + _UNTIL.size
"""Where the text begins in what more there is of a client that has a provider: its name without that domain."""
NAME_AT = HOST_AT + _ASN.size
"""Where the name begins if it has none."""
DOMAIN_AT = 5
"""Where the domain begins in a provider's key."""

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
    more = provider = None
    if isinstance(record, ClientRecord):
        more, provider = client_more(record)
    elif isinstance(record, ProviderRecord):
        more = b"".join(_packed_witness(witness) for witness in record.witnesses)
    return key, *_packed_level(level_of(record)), more, provider


def unpack(row: Row) -> Record:
    """The record in a row."""
    key, t, n, good, bad, more, provider = row
    level = _checked(t, n, good, bad)
    if key.startswith(CLIENT):
        return _client(level, more or b"", provider)
    if key.startswith(PROVIDER):
        return ProviderRecord(level, _witnesses(more or b""))
    return level


def client_more(record: ClientRecord) -> tuple[bytes, bytes | None]:
    """All of a client's record but its own level, and the key of its provider.

    Shares and what is spent; then, without a name, the ASN; with one the third share and the text.
    """
    spent = round(_checked_spent(record.spent) * 1000.0)
    more = _SHARES.pack(spent, *_packed_level(record.network_share), *_packed_level(record.asn_share))
    name = record.name
    if name is None or not 0 < len(name.name) <= NAME_LIMIT or not name.name.endswith(name.domain):
        return more + _ASN.pack(record.asn), None
    more += _PROVIDER_SHARE.pack(*_packed_level(record.provider_share)) + _UNTIL.pack(_seconds(name.until))
    if not name.domain:
        return more + _ASN.pack(record.asn) + name.name.encode(), None
    return more + name.name.removesuffix(name.domain).encode(), provider_key(record.asn, name.domain)


def _client(own: Level, more: bytes, provider: bytes | None) -> ClientRecord:
    if len(more) < _SHARES.size:
        return ClientRecord(own)
    spent, t, n, good, bad, t2, n2, good2, bad2 = _SHARES.unpack_from(more)
    network_share, asn_share = _checked(t, n, good, bad), _checked(t2, n2, good2, bad2)
    asn, name = _asn_and_name(more, provider)
    share = _checked(*_PROVIDER_SHARE.unpack_from(more, _SHARES.size)) if name else NOTHING
    return ClientRecord(own, network_share, share, asn_share, _checked_spent(spent / 1000.0), name, asn)


def _asn_and_name(more: bytes, provider: bytes | None) -> tuple[int, KnownName | None]:
    if provider and len(more) >= HOST_AT:
        asn, domain = int.from_bytes(provider[1:DOMAIN_AT], "big"), provider[DOMAIN_AT:]
        text = more[HOST_AT:] + domain
    elif len(more) > NAME_AT:
        asn, domain = int.from_bytes(more[HOST_AT:NAME_AT], "little"), b""
        text = more[NAME_AT:]
    else:
        return int.from_bytes(more[_SHARES.size : _SHARES.size + _ASN.size], "little"), None
    name = text.decode("ascii", "replace")
    if not (name.isascii() and name.isprintable()):
        return asn, None
    (until,) = _UNTIL.unpack_from(more, _UNTIL_AT)
    return asn, KnownName(name, name[len(name) - len(domain) :], until)


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
