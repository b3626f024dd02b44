"""The little of the DNS's wire format that asking needs: questions are written, replies are read within bounds.

Names are read by dnspython, which knows every trick that can be played with compressed ones. The whole message is not:
dnspython takes 100 to 150 us for a reply of one record (20 to 35 here), and 130 ms for one of 2,400 records, which
anybody can put under the reverse name of an address of theirs.

No EDNS: every answer that matters fits into 512 octets, and such short ones are never sent in fragments, into which
somebody else's could be mixed.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from dns import rcode
from dns.exception import DNSException
from dns.name import Name, from_wire_parser
from dns.wirebase import Parser

A: Final = 1
CNAME: Final = 5
SOA: Final = 6
PTR: Final = 12
AAAA: Final = 28
"""Types of records, RFC 1035 section 3.2.2 and RFC 3596."""
RECORDS_LIMIT: Final = 512
"""Records read from each part of one reply; those behind them are as good as not there."""
NAMES_LIMIT: Final = 32
"""Names read from one reply, which take most of the time: some 5 ms of CPU for the worst that a stranger can put there,
names of 127 labels; 30 us for what is usual."""
CHAIN_LIMIT: Final = 8
"""Aliases followed to one answer."""
_INTERNET: Final = 1
_ANSWERED: Final = 0x8000  # QR
_OPCODE: Final = 0x7800
_TRUNCATED: Final = 0x0200
_PLEASE_RECURSE: Final = 0x0100
_RCODE: Final = 0x000F
_NOERROR: Final = 0
_NXDOMAIN: Final = 3
_HEADER: Final = struct.Struct("!HHHHHH")
_KIND: Final = struct.Struct("!HH")
_RECORD: Final = "!HHIH"
_SIZES: Final = {A: 4, AAAA: 16}
_SOA_NUMBERS: Final = 20  # octets, behind its two names
_AS_ASKED: Final = b"\xc0\x0c"  # RFC 1035 section 4.1.4: the name at octet 12
_FOREVER: Final = (1 << 31) - 1


class Malformed(ValueError):
    """A message that breaks the rules of the wire format."""


class Reply(NamedTuple):
    """What was answered to one question."""

    records: tuple[bytes | str, ...] = ()
    """Packed addresses of A and AAAA, host names (dnspython's text, without the last dot) of PTR, in the reply's order;
    none if there is no such name or no such record."""
    ttl: int = 0
    """Seconds it holds; of no records by RFC 2308 section 5, 0 without a SOA."""
    error: str = ""
    """Why there is no answer; empty if there is one."""


def question(name: str, kind: int) -> bytes:
    """A question in wire form, for records of a type. Raises Malformed for a name that cannot be asked for."""
    labels = name.encode("ascii", "replace").split(b".")
    if not all(0 < len(label) < 64 for label in labels) or len(name) > 253:
        raise Malformed(f"the name {name[:300]!a}")
    return b"".join([bytes([len(label)]) + label for label in labels]) + b"\0" + _KIND.pack(kind, _INTERNET)


def query(number: int, asked: bytes) -> bytes:
    """The message that asks a question."""
    return _HEADER.pack(number, _PLEASE_RECURSE, 1, 0, 0, 0) + asked


def number_of(message: bytes) -> int:
    """The id of a message; -1 if it has none."""
    return int.from_bytes(message[:2], "big") if len(message) >= _HEADER.size else -1


def answers(message: bytes, asked: bytes) -> bool:
    """It is a reply, and to this very question."""
    if len(message) < _HEADER.size + len(asked):
        return False
    _number, flags, questions, *_ = _HEADER.unpack_from(message)
    its = message[_HEADER.size : _HEADER.size + len(asked)]
    # Lengths, types and classes hold no capital letters, so all of it may be compared without regard to case.
    return flags & (_ANSWERED | _OPCODE) == _ANSWERED and questions == 1 and its.lower() == asked.lower()


def is_truncated(message: bytes) -> bool:
    """There is more than fits into a datagram."""
    return bool(message[2] & (_TRUNCATED >> 8))


def read(message: bytes, asked: bytes) -> Reply:
    """What a message that `answers` the question says. Raises Malformed."""
    _number, flags, _questions, answered, authority, _additional = _HEADER.unpack_from(message)
    code = flags & _RCODE
    if code not in {_NOERROR, _NXDOMAIN}:
        return Reply(error=rcode.to_text(rcode.Rcode.make(code)))
    parser = Parser(message, _HEADER.size)
    try:
        name = from_wire_parser(parser)
        kind, _class = parser.get_struct("!HH")
        reply = _Records(parser, name, answered, authority).reply(kind)
    except DNSException as error:
        raise Malformed(str(error)) from None
    if reply.records and code == _NXDOMAIN:
        raise Malformed("a name that does not exist, with records")
    return reply


class _Record(NamedTuple):
    owner: Name
    kind: int
    ttl: int
    data: bytes | Name


@dataclass(slots=True)
class _Records:
    """The records of a reply, as far as they are read."""

    parser: Parser
    name: Name
    """What was asked for."""
    answered: int
    authority: int
    names_left: int = NAMES_LIMIT
    was_cut: bool = False
    """Not all of the part that was asked for has been read."""

    def reply(self, kind: int) -> Reply:
        """What they say to a question, through aliases."""
        records = list(self._read(self.answered, {kind, CNAME}))
        name, least = self.name, _FOREVER
        for _ in range(CHAIN_LIMIT):
            its = [record for record in records if record.owner is name or record.owner == name]
            least = min([least, *[record.ttl for record in its]])
            if found := [_plain(record.data) for record in its if record.kind == kind]:
                return Reply(tuple(found), least)
            if not its:
                return Reply(ttl=min(least, self._negative()))
            alias = its[0].data
            if isinstance(alias, Name):
                name = alias
        raise Malformed("a chain of aliases without end")

    def _negative(self) -> int:
        """How long it holds that there is nothing; RFC 2308 section 5."""
        if self.was_cut:  # the authority stands behind what was not read
            return 0
        for record in self._read(self.authority, {SOA}):
            if isinstance(record.data, bytes) and len(record.data) > _SOA_NUMBERS:
                return min(record.ttl, _ttl(int.from_bytes(record.data[-4:], "big")))
        return 0

    def _read(self, number: int, kinds: set[int]) -> Iterator[_Record]:
        """The next records, if they are of these types."""
        parser = self.parser
        for index in range(number):
            if index == RECORDS_LIMIT or self.names_left < 2:
                self.was_cut = True
                return
            owner = self._owner()
            kind, its_class, ttl, size = parser.get_struct(_RECORD)
            if kind not in kinds or its_class != _INTERNET:
                parser.get_bytes(size)
                continue
            if kind in _SIZES and size != _SIZES[kind]:
                raise Malformed(f"an address of {size} octets")
            with parser.restrict_to(size):
                data = self._name() if kind in {PTR, CNAME} else parser.get_remaining()
            yield _Record(owner, kind, _ttl(ttl), data)

    def _owner(self) -> Name:
        """The name of a record; nearly always a reference to the one in the question."""
        parser = self.parser
        if parser.wire.startswith(_AS_ASKED, parser.current):
            parser.get_bytes(len(_AS_ASKED))
            return self.name
        return self._name()

    def _name(self) -> Name:
        self.names_left -= 1
        return from_wire_parser(self.parser)


def _ttl(number: int) -> int:
    """RFC 2181 section 8: one with the highest bit set is none."""
    return number if number <= _FOREVER else 0


def _plain(data: bytes | Name) -> bytes | str:
    return data if isinstance(data, bytes) else data.to_text(omit_final_dot=True)
