"""What a DNS list's reply is worth believing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontproxy.core.address import pack
from frontproxy.lookup.dns_wire import Reply
from frontproxy.lookup.listing import listing
from frontproxy.lookup.messages import ListSaid, decode_answers, encode_answer


@pytest.mark.parametrize(
    ("addresses", "codes", "error"),
    [
        ([], (), ""),
        (["127.0.0.2"], ("127.0.0.2",), ""),
        (["127.0.0.10", "127.0.0.4", "127.0.0.10"], ("127.0.0.4", "127.0.0.10"), ""),
        (["127.255.254.255"], ("127.255.254.255",), ""),
        (["127.0.0.1"], (), "not a list (127.0.0.1)"),
        (["127.0.0.1", "127.0.0.2"], ("127.0.0.2",), ""),
        (["192.0.2.9"], (), "not a list (192.0.2.9)"),
        (["192.0.2.9", "127.0.0.2"], ("127.0.0.2",), ""),
        (["0.0.0.0"], (), "not a list (0.0.0.0)"),
        (["127.255.255.254"], (), "refused (127.255.255.254)"),
        (["127.0.0.2", "127.255.255.252"], (), "refused (127.255.255.252)"),
    ],
)
def test_only_codes_of_a_list_list(addresses: list[str], codes: tuple[str, ...], error: str) -> None:
    said = listing(1, "bl.example", Reply(tuple(map(pack, addresses)), 60))

    assert said == ListSaid(1, "bl.example", codes, 0 if error else 60, error)


def test_no_answer_is_passed_on() -> None:
    assert listing(1, "bl.example", Reply(error="SERVFAIL")) == ListSaid(1, "bl.example", (), 0, "SERVFAIL")


@given(st.lists(st.binary(min_size=4, max_size=4) | st.binary(min_size=3, max_size=3).map(lambda end: b"\x7f" + end)))
def test_whatever_it_says_can_be_told(addresses: list[bytes]) -> None:
    said = listing(1, "bl.example", Reply(tuple(addresses), 60))

    assert decode_answers(encode_answer(said)) == [said]
    assert not {"127.0.0.1", "127.255.255.255"}.intersection(said.codes)
