"""The policy protocol: requests come in any pieces, garbage is told from them, and nothing else is raised."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontproxy.learn.garbage import Garbage
from frontproxy.learn.policy_wire import (
    ATTRIBUTES_LIMIT,
    DUNNO,
    REQUEST_LIMIT,
    Requests,
    answer,
    client_of,
    number_of,
)
from tests.learn.policy_requests import attributes, octets, request

OPENING = b"request=smtpd_access_policy\n"
VALUES = st.binary(max_size=30).map(lambda value: value.replace(b"\n", b""))


def test_a_request_is_its_attributes() -> None:
    assert list(Requests().feed(request("DATA", recipient_count=3))) == [attributes("DATA", recipient_count=3)]


@given(st.lists(VALUES, max_size=3), st.lists(st.integers(0, 400), max_size=5))
def test_pieces_change_nothing(senders: list[bytes], cuts: list[int]) -> None:
    said = [{**attributes(), b"sender": sender} for sender in senders]
    data = b"".join(map(octets, said))
    requests, heard = Requests(), []
    for start, stop in zip([0, *sorted(cuts)], [*sorted(cuts), len(data)], strict=True):
        heard += list(requests.feed(data[start:stop]))

    assert heard == said


@given(st.lists(st.binary(max_size=200) | st.sampled_from([OPENING, b"\n", b"a=b\n", b"\n\n"]), max_size=8))
def test_whatever_comes_is_requests_or_garbage(pieces: list[bytes]) -> None:
    requests = Requests()
    try:
        for piece in pieces:
            for said in requests.feed(piece):
                assert said[b"request"] == b"smtpd_access_policy"
                client_of(said)
    except Garbage:
        pass


@pytest.mark.parametrize(
    "data",
    [
        b"EHLO client.example.org\r\n",
        b"request=junk\n\n",
        OPENING + b"no attribute\n\n",
        OPENING + b"=no name\n\n",
        b"\n\n",
        OPENING + b"a=" + b"x" * REQUEST_LIMIT,
        OPENING + b"a=" + b"x" * REQUEST_LIMIT + b"\n\n",
        OPENING + b"".join(b"a%d=\n" % number for number in range(ATTRIBUTES_LIMIT)) + b"\n",
    ],
)
def test_what_is_no_request_is_garbage(data: bytes) -> None:
    with pytest.raises(Garbage):
        list(Requests().feed(data))


def test_of_two_attributes_with_one_name_the_first_counts() -> None:
    (said,) = Requests().feed(OPENING + b"client_port=1\nsender=x\nclient_port=2\n\n")

    assert said[b"client_port"] == b"1"


@pytest.mark.parametrize(
    ("address", "port", "client"),
    [
        ("192.0.2.1", "4711", ("192.0.2.1", 4711)),
        ("2001:DB8::1", "25", ("2001:db8::1", 25)),
        ("::ffff:192.0.2.1", "25", ("192.0.2.1", 25)),
        ("192.0.2.1", "unknown", ("192.0.2.1", 0)),
        ("192.0.2.1", "65536", ("192.0.2.1", 0)),
        ("192.0.2.1", "-1", ("192.0.2.1", 0)),
        ("192.0.2.1", "9" * 5000, ("192.0.2.1", 0)),
        ("unknown", "25", None),
        ("192.0.2.1\0", "25", None),
        ("", "25", None),
        ("\xff", "25", None),
    ],
)
def test_a_client_is_an_address_and_a_port(address: str, port: str, client: tuple[str, int] | None) -> None:
    assert client_of(attributes(client=(address, port))) == client


def test_a_client_that_is_not_told_is_none() -> None:
    assert client_of({}) is None
    assert number_of({}, b"recipient_count") == 0


def test_an_answer_is_one_action() -> None:
    assert answer("421 4.3.2 Try again later") == b"action=421 4.3.2 Try again later\n\n"
    assert DUNNO == b"action=DUNNO\n\n"
