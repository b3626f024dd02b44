"""Outcome lines: what is told is what was seen, and a bad line is told apart from every good one."""

import json
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontproxy.wire.outcome_line import COUNT_LIMIT, LINE_LIMIT, OutcomeLine, OutcomeLineError, decode, encode

SHORTEST: dict[str, Any] = {"client": "192.0.2.1", "port": 4711, "ended": 1700000000.1, "end": "quit"}
OF_THE_DESIGN = (
    b'{"v":1,"client":"192.0.2.1","port":4711,"ended":1700000000.1,"messages":1,"recipients":1,"refused":0,'
    b'"bad_commands":0,"early":false,"end":"quit"}'
)

_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=100)
_counts = st.integers(0, COUNT_LIMIT)
_outcomes = st.builds(
    OutcomeLine,
    client=_texts,
    port=st.integers(0, 65535),
    ended=st.floats(0, 1e11, exclude_max=True),
    end=st.sampled_from(["quit", "lost", "timeout", "errors", "refused"]),
    session=_texts,
    **dict.fromkeys(["messages", "unverified", "recipients", "refused", "relay", "policy", "bad_commands"], _counts),
    **dict.fromkeys(["content_refused", "malware", "probable", "trap", "auth_good", "auth_failed"], _counts),
    **dict.fromkeys(["null_sender", "http", "early", "stress"], st.booleans()),
    stage=st.sampled_from(["connect", "command", "data"]),
)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=3,
)
_good = st.sampled_from([0, 1, 1.5, True, False, "", "quit", "data", "192.0.2.1"])
_TYPES = {key: type(value) for key, value in asdict(OutcomeLine(**SHORTEST)).items()} | {"ended": int | float}


def line(**said: Any) -> bytes:
    return json.dumps({**SHORTEST, **said}).encode()


def test_a_line_of_any_feed_is_read() -> None:
    assert decode(OF_THE_DESIGN) == OutcomeLine(**SHORTEST, messages=1, recipients=1)


def test_only_what_is_required_need_be_said() -> None:
    assert decode(line()) == OutcomeLine(**SHORTEST)


def test_what_is_at_its_default_is_not_written() -> None:
    expected = b'{"v":1,"client":"192.0.2.1","port":4711,"ended":1700000000.1,"end":"quit","refused":2,"early":true}\n'

    assert encode(OutcomeLine(**SHORTEST, refused=2, early=True, stage="command")) == expected


def test_unknown_keys_are_ignored() -> None:
    assert decode(line(helo="mx.example.com", v=1, extra={"a": [1]})) == OutcomeLine(**SHORTEST)


@given(_outcomes)
def test_what_was_told_is_what_is_read(outcome: OutcomeLine) -> None:
    told = encode(outcome)

    assert told.count(b"\n") == 1
    assert told.endswith(b"\n")
    assert len(told) - 1 <= LINE_LIMIT
    assert decode(told) == outcome
    assert decode(told.rstrip()) == outcome


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "not a line of JSON"),
        (b"{", "not a line of JSON"),
        (b"\xff", "not a line of JSON"),
        (line() + line(), "not a line of JSON"),
        (b"[" * 100_000, "not a line of JSON"),
        (b"1" * 5000, "not a line of JSON"),
        (b"[]", "not a JSON object"),
        (b"null", "not a JSON object"),
        (line(v=2), "v is 2, and this version knows 1"),
        (line(v=None), "v is None, and this version knows 1"),
        (line(v=[1]), "v is an array, and this version knows 1"),
        (b"{}", "client is missing"),
        (b'{"client":"192.0.2.1","port":1,"ended":1}', "end is missing"),
        (line(client=5), "client is 5, not a short text"),
        (line(client={"a": 1}), "client is an object, not a short text"),
        (line(session="x" * 101), f"session is '{'x' * 36}..., not a short text"),
        (line(session="\x1b\xe9" * 60), r"session is '\x1b\xe9\x1b\xe9\x1b\xe9\x1b\xe9\x1b..., not a short text"),
        (line(end="bored"), "end is 'bored', not one of quit, lost, timeout, errors, refused"),
        (line(end=""), "end is '', not one of quit, lost, timeout, errors, refused"),
        (line(end=["quit"]), "end is an array, not a short text"),
        (line(stage="late"), "stage is 'late', not one of connect, command, data"),
        (line(port="25"), "port is '25', not a number"),
        (line(port=True), "port is True, not a number"),
        (line(port=25.0), "port is 25.0, not a whole number from 0 to 65535"),
        (line(port=65536), "port is 65536, not a whole number from 0 to 65535"),
        (line(messages=-1), "messages is -1, not a whole number from 0 to 1000000"),
        (line(messages=1000001), "messages is 1000001, not a whole number from 0 to 1000000"),
        (line(ended=-1), "ended is -1, not a time in seconds since 1970"),
        (line(ended=1e11), "ended is 100000000000.0, not a time in seconds since 1970"),
        (line(ended=float("nan")), "ended is nan, not a time in seconds since 1970"),
        (line(ended=10**400), "ended is 1000000000000000000000000000000000000..., not a time in seconds since 1970"),
        (line(ended=None), "ended is None, not a number"),
        (line(early=1), "early is 1, not true or false"),
        (line(stress="yes"), "stress is 'yes', not true or false"),
    ],
)
def test_a_bad_line_says_which_key_and_why(text: bytes, why: str) -> None:
    with pytest.raises(OutcomeLineError) as caught:
        decode(text)
    assert str(caught.value) == why


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_a_value_of_any_depth_is_a_mistake_and_not_a_crash(opening: str, closing: str) -> None:
    for depth in range(700, 1000):
        nested = f'{{"port":1,"ended":1,"end":"quit","client":{opening * depth}1{closing * depth}}}'
        with pytest.raises(OutcomeLineError):
            decode(nested.encode())


def read_or_refused(text: bytes) -> OutcomeLine | None:
    try:
        return decode(text)
    except OutcomeLineError as error:
        refusal = str(error)
        assert refusal.isprintable()
        return None


@given(st.binary(max_size=200) | st.text(max_size=50).map(str.encode))
def test_random_bytes_tell_nothing(text: bytes) -> None:
    assert read_or_refused(text) is None


@given(st.dictionaries(st.sampled_from(["v", *_TYPES]), _good | _json, max_size=4))
def test_json_of_any_kind_is_refused_or_becomes_values_of_the_right_types(said: dict[str, Any]) -> None:
    outcome = read_or_refused(line(**said))

    if outcome is not None:
        assert decode(encode(outcome)) == outcome
        wrong = [key for key, value in asdict(outcome).items() if not isinstance(value, _TYPES[key])]
        assert wrong == []


def test_a_count_beyond_the_limit_is_told_as_the_limit() -> None:
    told = decode(encode(OutcomeLine(client="192.0.2.1", port=1, ended=0.0, end="quit", recipients=COUNT_LIMIT + 7)))

    assert told.recipients == COUNT_LIMIT
