"""What the desk in the proxy and the asking program say to each other: lines of JSON, in packets of a socketpair.

A question is one packet. Answers come as they are ready, several in a packet if several are; there is exactly one for
each DNS list that was asked for, and one for the name if it was. Times to live are those of the DNS; whoever keeps the
answers sets bounds to them.
"""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final, Literal, NamedTuple, cast, get_args

from frontproxy.core.address import AddressError, pack

PACKET_LIMIT: Final = 32 * 1024
"""Octets of one packet, at most."""
IDS: Final = range(1 << 53)
"""What an id may be: JSON's whole numbers."""

NameState = Literal["confirmed", "unconfirmed", "missing"]
_NAME_STATES: Final = frozenset(get_args(NameState))
_TTLS: Final = range(1 << 31)  # RFC 2181 section 8
_is_name = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*").fullmatch
_is_code = re.compile(r"127(?:\.(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])){3}").fullmatch
_WHY_LIMIT: Final = 100


class MessageError(ValueError):
    """A packet that is not as it must be; the text says why."""


class Question(NamedTuple):
    """What is to be looked up about one address."""

    id: int
    address: str
    zones: tuple[str, ...]
    """The DNS lists to ask; none twice."""
    name: bool
    """Its name, too."""


class ListSaid(NamedTuple):
    """What one DNS list said."""

    id: int
    zone: str
    codes: tuple[str, ...]
    """The addresses in 127.0.0.0/8 that it answered, sorted; empty if the address is not listed."""
    ttl: int
    """Seconds; 0 if nothing said how long it holds."""
    error: str = ""
    """Why there is no answer: `timeout`, `SERVFAIL`, `busy` ...; empty if there is one."""


class NameSaid(NamedTuple):
    """What the name of the address is."""

    id: int
    state: NameState | None
    """None: no answer."""
    name: str
    """A host name in lower case; empty if there is none."""
    domain: str
    """The registrable domain of a confirmed name, if it may stand for a provider."""
    access: bool
    """The name looks like that of an access line."""
    ttl: int
    """Seconds; 0 if nothing said how long it holds."""
    error: str = ""
    """Why there is no answer; empty if there is one."""


Answer = ListSaid | NameSaid


def encode_question(question: Question) -> bytes:
    """The packet of a question."""
    return json.dumps(question._asdict(), separators=(",", ":")).encode()


def decode_question(packet: bytes) -> Question:
    """Read the packet of a question. Raises MessageError."""
    match _values_of(packet):
        case {"id": int(number), "address": str(address), "zones": list(zones), "name": bool(name), **others} if (
            not others and _is_id(number) and _is_address(address) and all(map(_is_zone, zones))
        ):
            if len(set(zones)) == len(zones):
                return Question(number, address, tuple(zones), name)
    raise MessageError(f"not a question: {packet[:200]!a}")


def encode_answer(answer: Answer) -> bytes:
    """An answer as one line; a packet holds one or more of them."""
    values: dict[str, Any] = {"id": answer.id}
    if isinstance(answer, ListSaid):
        values["zone"] = answer.zone
        values |= {"error": answer.error} if answer.error else {"codes": answer.codes, "ttl": answer.ttl}
    elif answer.error:
        values |= {"name": None, "error": answer.error}
    else:
        values |= answer._asdict()
        del values["error"]
    return json.dumps(values, separators=(",", ":")).encode() + b"\n"


def packets(lines: Iterable[bytes]) -> Iterator[bytes]:
    """As few packets as hold these answers."""
    packet = b""
    for line in lines:
        if len(packet) + len(line) > PACKET_LIMIT:
            yield packet
            packet = b""
        packet += line
    if packet:
        yield packet


def decode_answers(packet: bytes) -> list[Answer]:
    """The answers in a packet. Raises MessageError."""
    if not packet.endswith(b"\n"):
        raise MessageError(f"a packet that is cut off: {packet[-200:]!a}")
    return [_answer(line) for line in packet[:-1].split(b"\n")]


def _answer(line: bytes) -> Answer:
    match _values_of(line):
        case {"id": int(number), "zone": str(zone), **rest} if _is_id(number) and _is_zone(zone):
            answer: Answer | None = _list_said(number, zone, rest)
        case {"id": int(number), "name": None, "error": str(why), **others} if _is_id(number) and not others:
            answer = NameSaid(number, None, "", "", access=False, ttl=0, error=why) if _is_reason(why) else None
        case {"id": int(number), "name": str(name), **rest} if _is_id(number) and (not name or _is_host_name(name)):
            answer = _name_said(number, name, rest)
        case _:
            answer = None
    if answer is None:
        raise MessageError(f"not an answer: {line[:200]!a}")
    return answer


def _list_said(number: int, zone: str, rest: dict[object, object]) -> ListSaid | None:
    match rest:
        case {"error": str(why), **others} if not others and _is_reason(why):
            return ListSaid(number, zone, (), 0, why)
        case {"codes": list(codes), "ttl": int(ttl), **others} if not others and _is_ttl(ttl):
            if all(isinstance(code, str) and _is_code(code) for code in codes):
                return ListSaid(number, zone, tuple(codes), ttl)
    return None


def _name_said(number: int, name: str, rest: dict[object, object]) -> NameSaid | None:
    match rest:
        case {"state": str(state), "domain": str(domain), "access": bool(access), "ttl": int(ttl), **others} if (
            not others and state in _NAME_STATES and _is_ttl(ttl) and (not domain or _is_host_name(domain))
        ):
            return NameSaid(number, cast("NameState", state), name, domain, access, ttl)
    return None


def _values_of(data: bytes) -> object:
    """What the JSON says; None if it says nothing."""
    if len(data) > PACKET_LIMIT:
        raise MessageError(f"a packet of {len(data)} octets")
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _is_address(text: str) -> bool:
    try:
        pack(text)
    except AddressError:
        return False
    return "%" not in text


def _is_zone(zone: object) -> bool:
    return isinstance(zone, str) and _is_name(zone) is not None


def _is_host_name(name: str) -> bool:
    return _is_name(name) is not None and name == name.lower()


def _is_id(number: int) -> bool:
    return not isinstance(number, bool) and number in IDS


def _is_ttl(ttl: int) -> bool:
    return not isinstance(ttl, bool) and ttl in _TTLS


def _is_reason(why: str) -> bool:
    return 0 < len(why) <= _WHY_LIMIT and why.isascii() and why.isprintable()
