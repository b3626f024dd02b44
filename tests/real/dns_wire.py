"""DNS messages by the octet: what a server that makes trouble reads of a question, and what it replies."""

import socket
import struct
from collections.abc import Sequence

_HEADER = struct.Struct("!6H")
_RECORD = struct.Struct("!3HLH")
_QUESTION_POINTER = 0xC00C
_REPLY, _TRUNCATED, _RECURSION_AVAILABLE, _RECURSION_DESIRED = 0x8000, 0x0200, 0x0080, 0x0100
_A, _IN = 1, 1


def name_of(query: bytes) -> str:
    """The name that is asked for, in lower case, without the last dot."""
    labels = []
    at = _HEADER.size
    while length := query[at]:
        labels.append(query[at + 1 : at + 1 + length])
        at += 1 + length
    return b".".join(labels).decode("latin-1").lower()


def question_type(query: bytes) -> int:
    """1 for an IPv4 address, 12 for a reverse name ..."""
    return int.from_bytes(query[_end_of_question(query) - 4 :][:2], "big")


def answer(query: bytes, addresses: Sequence[str], *, ttl: int = 300) -> bytes:
    """These IPv4 addresses."""
    records = b"".join(
        _RECORD.pack(_QUESTION_POINTER, _A, _IN, ttl, 4) + socket.inet_aton(address) for address in addresses
    )
    return _reply(query, len(addresses)) + records


def error(query: bytes, code: int) -> bytes:
    """A reply with nothing but a code."""
    return _reply(query, 0, code)


def truncated(query: bytes) -> bytes:
    """What says: ask me by TCP."""
    return _reply(query, 0, _TRUNCATED)


def _reply(query: bytes, answers: int, flags: int = 0) -> bytes:
    number, asked, *_counts = _HEADER.unpack_from(query)
    flags |= _REPLY | _RECURSION_AVAILABLE | asked & _RECURSION_DESIRED
    return _HEADER.pack(number, flags, 1, answers, 0, 0) + query[_HEADER.size : _end_of_question(query)]


def _end_of_question(query: bytes) -> int:
    return query.index(0, _HEADER.size) + 5
