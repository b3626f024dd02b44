"""What the desk and the asking program say to each other survives the way, and nothing else is taken for it."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frontproxy.lookup.messages import (
    IDS,
    PACKET_LIMIT,
    Answer,
    ListSaid,
    MessageError,
    NameSaid,
    Question,
    decode_answers,
    decode_question,
    encode_answer,
    encode_question,
    packets,
)

IDENTITIES = st.integers(IDS.start, IDS.stop - 1)
ZONES = st.lists(st.text("abz059_-", min_size=1, max_size=9), min_size=1, max_size=4).map(".".join)
NAMES = st.just("") | ZONES
ADDRESSES = st.ip_addresses().map(str)
TTLS = st.integers(0, 2**31 - 1)
REASONS = st.sampled_from(["timeout", "SERVFAIL", "refused (127.255.255.254)"])
CODES = st.lists(st.integers(0, 2**24 - 1), max_size=5).map(
    lambda numbers: tuple(f"127.{number >> 16}.{number >> 8 & 255}.{number & 255}" for number in numbers)
)
QUESTIONS = st.builds(
    Question, IDENTITIES, ADDRESSES, st.lists(ZONES, unique=True, max_size=5).map(tuple), st.booleans()
)
ANSWERS: st.SearchStrategy[Answer] = st.one_of(
    st.builds(ListSaid, IDENTITIES, ZONES, CODES, TTLS, st.just("")),
    st.builds(ListSaid, IDENTITIES, ZONES, st.just(()), st.just(0), REASONS),
    st.builds(
        NameSaid,
        IDENTITIES,
        st.sampled_from(["confirmed", "unconfirmed", "missing"]),
        NAMES,
        NAMES,
        st.booleans(),
        TTLS,
        st.just(""),
    ),
    st.builds(lambda number, why: NameSaid(number, None, "", "", access=False, ttl=0, error=why), IDENTITIES, REASONS),
)
GARBAGE = st.binary() | st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["id", "zone", "name", "ttl", "codes"]), inner),
).map(lambda value: json.dumps(value).encode())


@settings(max_examples=50)
@given(QUESTIONS)
def test_a_question_survives_the_way(question: Question) -> None:
    assert decode_question(encode_question(question)) == question


@settings(max_examples=50)
@given(st.lists(ANSWERS, min_size=1, max_size=5))
def test_answers_survive_the_way(answers: list[Answer]) -> None:
    sent = list(packets(map(encode_answer, answers)))

    assert [answer for packet in sent for answer in decode_answers(packet)] == answers
    assert all(len(packet) <= PACKET_LIMIT for packet in sent)


def test_many_answers_go_in_few_packets() -> None:
    line = encode_answer(ListSaid(1, "bl.example", ("127.0.0.2",), 300))
    sent = list(packets([line] * 1000))

    assert sum(map(len, sent)) == 1000 * len(line)
    assert len(sent) == -(-1000 // (PACKET_LIMIT // len(line)))
    assert list(packets([])) == []


def test_answers_look_as_agreed() -> None:
    assert [
        encode_answer(ListSaid(17, "bl.example", ("127.0.0.2",), 300)),
        encode_answer(ListSaid(17, "bl.example", (), 0, "timeout")),
        encode_answer(NameSaid(17, "confirmed", "mail.example.com", "example.com", access=False, ttl=3600)),
        encode_answer(NameSaid(17, None, "", "", access=False, ttl=0, error="timeout")),
    ] == [
        b'{"id":17,"zone":"bl.example","codes":["127.0.0.2"],"ttl":300}\n',
        b'{"id":17,"zone":"bl.example","error":"timeout"}\n',
        b'{"id":17,"state":"confirmed","name":"mail.example.com","domain":"example.com","access":false,"ttl":3600}\n',
        b'{"id":17,"name":null,"error":"timeout"}\n',
    ]


GOOD_QUESTION = {"id": 17, "address": "192.0.2.1", "zones": ["bl.example"], "name": True}
GOOD_LIST = {"id": 17, "zone": "bl.example", "codes": ["127.0.0.2"], "ttl": 300}
GOOD_NAME = {"id": 1, "name": "a.example", "state": "confirmed", "domain": "", "access": False, "ttl": 1}


@pytest.mark.parametrize(
    "change",
    [
        {"id": -1},
        {"id": True},
        {"id": 2**53},
        {"id": "17"},
        {"address": "192.0.2"},
        {"address": "fe80::1%lo"},
        {"address": "bl.example"},
        {"zones": "bl.example"},
        {"zones": [1]},
        {"zones": [""]},
        {"zones": ["a..b"]},
        {"zones": ["a b"]},
        {"zones": ["a" * 64]},
        {"zones": ["bl.example\n"]},
        {"zones": ["bl.example"] * 2},
        {"name": 1},
        {"more": 1},
    ],
)
def test_a_broken_question_is_refused(change: dict[str, object]) -> None:
    decode_question(json.dumps(GOOD_QUESTION).encode())

    with pytest.raises(MessageError):
        decode_question(json.dumps(GOOD_QUESTION | change).encode())


@pytest.mark.parametrize(
    ("good", "change"),
    [
        (GOOD_LIST, {"id": True}),
        (GOOD_LIST, {"zone": "a b"}),
        (GOOD_LIST, {"codes": ["127.0.0.256"]}),
        (GOOD_LIST, {"codes": ["192.0.2.1"]}),
        (GOOD_LIST, {"codes": [2]}),
        (GOOD_LIST, {"codes": None}),
        (GOOD_LIST, {"ttl": -1}),
        (GOOD_LIST, {"ttl": True}),
        (GOOD_LIST, {"ttl": 2**31}),
        (GOOD_LIST, {"ttl": 1.5}),
        (GOOD_LIST, {"error": "timeout"}),
        ({"id": 1, "zone": "bl.example", "error": "timeout"}, {"error": ""}),
        ({"id": 1, "zone": "bl.example", "error": "timeout"}, {"error": "a\x1b"}),
        ({"id": 1, "zone": "bl.example", "error": "timeout"}, {"error": "a" * 101}),
        ({"id": 1, "name": None, "error": "timeout"}, {"ttl": 1}),
        ({"id": 1, "name": None, "error": "timeout"}, {"error": 5}),
        (GOOD_NAME, {"state": "certain"}),
        (GOOD_NAME, {"name": "A.example"}),
        (GOOD_NAME, {"name": "a example"}),
        (GOOD_NAME, {"domain": "a\n"}),
        (GOOD_NAME, {"access": 0}),
        (GOOD_NAME, {"ttl": "1"}),
        (GOOD_NAME, {"more": 1}),
    ],
)
def test_a_broken_answer_is_refused(good: dict[str, object], change: dict[str, object]) -> None:
    decode_answers(json.dumps(good).encode() + b"\n")

    with pytest.raises(MessageError):
        decode_answers(json.dumps(good | change).encode() + b"\n")


@settings(max_examples=25)
@given(GARBAGE)
def test_garbage_is_refused(packet: bytes) -> None:
    with pytest.raises(MessageError):
        decode_question(packet)
    with pytest.raises(MessageError):
        decode_answers(packet + b"\n")


@pytest.mark.parametrize("packet", [b"", b"\n", b"{}", b"[" * 30000, b" " * (PACKET_LIMIT + 1)])
def test_what_is_no_packet_is_refused(packet: bytes) -> None:
    with pytest.raises(MessageError):
        decode_question(packet)
    with pytest.raises(MessageError):
        decode_answers(packet)


def test_a_packet_that_is_cut_off_is_refused() -> None:
    with pytest.raises(MessageError):
        decode_answers(encode_answer(ListSaid(1, "bl.example", (), 0))[:-1])
