"""The `pass` protocol: byte for byte Postfix's, and whatever comes in pieces or as garbage is never misread."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontproxy.wire.pass_protocol import MANDATORY, MESSAGE_LIMIT, PassProtocolError, decode, encode

ADDRESSES = {
    "client_address": "192.0.2.1",
    "client_port": "4711",
    "server_address": "2001:db8::25",
    "server_port": "25",
}
ON_THE_WIRE = (
    b"\x00client_address\x00192.0.2.1\x00client_port\x004711\x00"
    b"server_address\x002001:db8::25\x00server_port\x0025\x00\x00"
)

_ascii = st.characters(min_codepoint=1, max_codepoint=127)
_names = st.text(_ascii, min_size=1, max_size=20)
_attributes = st.builds(
    lambda addresses, others: {**others, **dict(zip(MANDATORY, addresses, strict=True))},
    st.lists(st.text(_ascii, min_size=1, max_size=45), min_size=4, max_size=4),
    st.dictionaries(_names, st.text(_ascii, max_size=45), max_size=6),
)
_pieces = st.sampled_from([b"\0", b"\0\0", b"\xff", b"x", ON_THE_WIRE, ON_THE_WIRE[:-1], ON_THE_WIRE[1:], b"y" * 4000])
_garbage = st.binary(max_size=300) | st.lists(_pieces | st.binary(max_size=5), max_size=8).map(b"".join)


def test_the_bytes_are_those_that_postscreen_sends() -> None:
    assert encode(ADDRESSES) == ON_THE_WIRE
    assert decode(ON_THE_WIRE) == ADDRESSES


def test_a_value_may_be_empty() -> None:
    attributes = {**ADDRESSES, "stress": ""}

    assert decode(encode(attributes)) == attributes


@given(_attributes)
def test_what_was_sent_is_what_arrives(attributes: dict[str, str]) -> None:
    assert decode(encode(attributes)) == attributes


@given(_attributes, st.data())
def test_a_list_is_not_read_before_its_end_has_come(attributes: dict[str, str], data: st.DataObject) -> None:
    message = encode(attributes)
    cut = data.draw(st.integers(0, len(message) - 1))

    assert decode(message[:cut]) is None


def test_no_prefix_of_a_message_is_a_list() -> None:
    assert {decode(ON_THE_WIRE[:cut]) for cut in range(len(ON_THE_WIRE))} == {None}


def test_what_follows_the_list_is_ignored() -> None:
    assert decode(ON_THE_WIRE + b"client_address\x00203.0.113.9\x00\x00") == ADDRESSES


def told(data: bytes) -> dict[str, str] | str | None:
    try:
        return decode(data)
    except PassProtocolError as error:
        return str(error)


@given(_garbage, st.data())
def test_what_a_prefix_has_told_is_never_taken_back(garbage: bytes, data: st.DataObject) -> None:
    early = told(garbage[: data.draw(st.integers(0, len(garbage)))])

    assert early is None or early == told(garbage)


@given(_garbage)
def test_garbage_is_an_error_or_incomplete_or_has_its_four_addresses(garbage: bytes) -> None:
    attributes = told(garbage)

    if isinstance(attributes, dict):
        assert all(attributes[name] for name in MANDATORY)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"x", "the first byte is not NUL"),
        (ON_THE_WIRE[1:], "the first byte is not NUL"),
        (b"\0\0", "client_address is missing"),
        (ON_THE_WIRE.replace(b"2001:db8::25", b""), "server_address is missing"),
        (ON_THE_WIRE.replace(b"server_port", b"Server_Port"), "server_port is missing"),
        (ON_THE_WIRE.replace(b"4711", b"471\xb9"), "an attribute is not ASCII"),
        (b"\0" + b"x" * (MESSAGE_LIMIT - 1), "no end of list in 4096 bytes"),
        (ON_THE_WIRE[:-1] + b"session\0" + b"x" * MESSAGE_LIMIT + b"\0\0", "no end of list in 4096 bytes"),
        (b"\0" + b"x\0" * MESSAGE_LIMIT, "no end of list in 4096 bytes"),
    ],
)
def test_bytes_that_can_never_become_a_list_are_refused(data: bytes, why: str) -> None:
    assert told(data) == why


@pytest.mark.parametrize(
    ("attributes", "why"),
    [
        ({}, "client_address is missing"),
        ({**ADDRESSES, "server_port": ""}, "server_port is missing"),
        ({**ADDRESSES, "": "x"}, "'' cannot be sent"),
        ({**ADDRESSES, "session": "a\0client_address"}, "'session' cannot be sent"),
        ({**ADDRESSES, "a\0b": ""}, r"'a\\x00b' cannot be sent"),
        ({**ADDRESSES, "session": "\xe9"}, "an attribute is not ASCII"),
        ({**ADDRESSES, "session": "\ud800"}, "an attribute is not ASCII"),
        ({**ADDRESSES, "session": "x" * MESSAGE_LIMIT}, "the message has 4192 bytes, more than 4096"),
    ],
)
def test_what_the_other_side_could_not_read_is_not_sent(attributes: dict[str, str], why: str) -> None:
    with pytest.raises(PassProtocolError, match=why):
        encode(attributes)


def test_the_longest_message_that_is_sent_can_be_read() -> None:
    room = MESSAGE_LIMIT - len(encode({**ADDRESSES, "session": ""}))
    longest = {**ADDRESSES, "session": "x" * room}

    message = encode(longest)

    assert len(message) == MESSAGE_LIMIT
    assert decode(message[:-1]) is None
    assert decode(message) == longest
