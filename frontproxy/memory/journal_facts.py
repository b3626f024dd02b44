"""What was seen of a client, packed for the journal: all that judging it anew takes, and no more.

A session of a client that is known in every way takes about 200 bytes, one of a stranger 12 and its name. Numbers are
kept in single precision and times in whole seconds, which changes no score by a thousandth of a point. Left out is what
says nothing: DNS lists that do not list the client or have no vote, what remembers by whom a provider is vouched for,
and what is owed to the daily limit.
"""

from struct import Struct, error
from typing import Any, Final, Literal

from frontproxy.core.address import client_of, network_of, pack, unpack
from frontproxy.core.census import Crowd
from frontproxy.core.hearsay import Hearsay, ListAnswer, NameAnswer
from frontproxy.core.history import ClientRecord, Keys, KnownName, Recalled
from frontproxy.core.level import NOTHING, Level
from frontproxy.core.provider import ProviderRecord, Witness
from frontproxy.core.seen import Seen

_HEAD = Struct("<HIHf")  # flags, ASN, open sessions, rate
_LEVEL = Struct("<Ifff")  # t, n, good, bad
_TIME = Struct("<I")
_LATEST = 2**32 - 1
_MOST = 2.0**40  # units of evidence; nobody lives to see them
_MOST_OPEN = 2**16 - 1
_CODES_KEPT = 8

# Flags: which levels are there, in the order in which they stand, and then what is true or not.
_OWN, _NETWORK_SHARE, _PROVIDER_SHARE, _ASN_SHARE, _NETWORK, _PROVIDER, _ASN = (1 << bit for bit in range(7))
_RETURNED, _EARLY, _ACCESS, _NAMED = (1 << bit for bit in range(7, 11))
_STATE_AT: Final = 11
_State = Literal["no answer", "confirmed", "unconfirmed", "missing"]
_STATES: Final[tuple[_State, ...]] = ("no answer", "confirmed", "unconfirmed", "missing")


class Rotten(ValueError):
    """These octets are nothing that was packed here."""


def pack_seen(seen: Seen) -> bytes:
    """All but the address and the time, which stand beside it."""
    recalled, crowd = seen.recalled, seen.crowd
    levels = _levels_of(recalled)
    flags = sum(1 << bit for bit, level in enumerate(levels) if level is not None)
    flags |= _RETURNED * crowd.returned | _EARLY * seen.early
    told = seen.hearsay.name
    state = told.state if told else "no answer"
    name, domain = _name_of(seen)
    flags |= _STATES.index(state) << _STATE_AT | _ACCESS * (told is not None and told.is_access)
    flags |= _NAMED * (recalled.name is not None)
    parts = [_HEAD.pack(flags, recalled.keys.asn & _LATEST, min(crowd.open_sessions, _MOST_OPEN), crowd.rate)]
    parts += [_pack_level(level) for level in levels if level is not None]
    if recalled.provider:
        others = [_time(one.seen) for one in recalled.provider.witnesses if one.key != recalled.keys.witness]
        parts.append(bytes([len(others)]) + b"".join(map(_TIME.pack, others)))
    parts.append(_text(name) + bytes([len(domain) if name.endswith(domain) else 0]))
    parts += [_pack_listing(one) for one in seen.hearsay.lists if one.state == "listed" and one.zone in seen.voting]
    return b"".join(parts)


def unpack_seen(packed: bytes, wall: float, facts: bytes) -> Seen:
    """The facts of a client (packed address) that was judged at `wall`. Raises Rotten."""
    try:
        return _unpack(packed, wall, _Reader(facts))
    except (error, IndexError, UnicodeDecodeError, ValueError) as reason:
        raise Rotten(str(reason)) from None


def _unpack(packed: bytes, wall: float, reader: "_Reader") -> Seen:
    flags, asn, open_sessions, rate = reader.numbers(_HEAD)
    levels = [reader.level() if flags & 1 << bit else None for bit in range(7)]
    own, network_share, provider_share, asn_share, network, provider_level, asn_level = levels
    times = [reader.numbers(_TIME)[0] for _one in range(reader.byte())] if flags & _PROVIDER else []
    witnesses = tuple([Witness(bytes([number]), seen) for number, seen in enumerate(times)])
    name = reader.text()
    domain = name[len(name) - reader.byte() :]
    state = _STATES[flags >> _STATE_AT]
    told = None
    if state != "no answer":
        told = NameAnswer(state, name, domain if state == "confirmed" else "", bool(flags & _ACCESS), wall, wall)
    known = None
    if flags & _NAMED:
        is_it = state in {"confirmed", "no answer"}
        known = KnownName(name if is_it else "", domain if is_it else "", wall)
    client = None
    if own is not None:
        shares = (network_share or NOTHING, provider_share or NOTHING, asn_share or NOTHING)
        client = ClientRecord(own, *shares, 0.0, known, asn)
    provider = ProviderRecord(provider_level, witnesses) if provider_level else None
    keys = Keys(client_of(packed), network_of(packed), asn)
    lists = tuple(reader.listings(wall))
    return Seen(
        packed,
        wall,
        wall,
        Recalled(keys, known, client, network, provider, asn_level),
        Hearsay(lists, told),
        frozenset([answer.zone for answer in lists]),
        Crowd(open_sessions, rate, bool(flags & _RETURNED)),
        bool(flags & _EARLY),
    )


def _levels_of(recalled: Recalled) -> list[Level | None]:
    """In the order of the flags; a share that belongs to another ASN or provider says nothing here."""
    client, keys = recalled.client, recalled.keys
    own = network_share = provider_share = asn_share = None
    if client:
        own, network_share = client.own, client.network_share
        asn_share = client.asn_share if client.asn in {0, keys.asn} else None
        if client.name and (client.asn, client.name.domain) == (keys.asn, recalled.domain):
            provider_share = client.provider_share
    provider = recalled.provider.level if recalled.provider else None
    shares = [share if share and share.n else None for share in (network_share, provider_share, asn_share)]
    return [own, *shares, recalled.network, provider, recalled.asn]


def _name_of(seen: Seen) -> tuple[str, str]:
    """The name just told, whatever it is; else the one remembered. And its domain."""
    told, known = seen.hearsay.name, seen.recalled.name
    if told and told.state != "no answer":
        return told.name, told.domain
    return (known.name, known.domain) if known else ("", "")


def _pack_level(level: Level) -> bytes:
    n, good, bad = (min(max(units, 0.0), _MOST) for units in (level.n, level.good, level.bad))
    return _LEVEL.pack(_time(level.t), n, good, bad)


def _pack_listing(answer: ListAnswer) -> bytes:
    codes = [pack(code) for code in answer.codes[:_CODES_KEPT]]
    short = [code for code in codes if len(code) == 4]
    return _text(answer.zone) + bytes([len(short)]) + b"".join(short)


def _text(text: str) -> bytes:
    data = text.encode("ascii", "replace")[:255]
    return bytes([len(data)]) + data


def _time(t: float) -> int:
    return int(max(0.0, min(t, _LATEST)))


class _Reader:
    """Takes octets from the front."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def numbers(self, shape: Struct) -> tuple[Any, ...]:
        values = shape.unpack_from(self._data, self._at)
        self._at += shape.size
        return values

    def byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1]

    def text(self) -> str:
        length = self.byte()
        return self._take(length).decode("ascii")

    def level(self) -> Level:
        t, n, good, bad = self.numbers(_LEVEL)
        if not (0.0 <= good <= n <= _MOST and 0.0 <= bad <= n):
            raise Rotten("nobody can have such evidence")
        return Level(float(t), n, good, bad)

    def listings(self, at: float) -> list[ListAnswer]:
        """All that is left."""
        answers = []
        while self._at < len(self._data):
            zone = self.text()
            codes = tuple([unpack(self._take(4)) for _code in range(self.byte())])
            answers.append(ListAnswer(zone, "listed", codes, at, at))
        return answers

    def _take(self, length: int) -> bytes:
        taken = self._data[self._at : self._at + length]
        if len(taken) < length:
            raise Rotten("it ends too early")
        self._at += length
        return taken
