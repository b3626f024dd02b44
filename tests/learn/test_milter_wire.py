"""The milter protocol: packets whatever the pieces they come in, and no more asked for than is offered."""

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kilter.protocol import messages
from kilter.protocol.buffer import SimpleBuffer

from frontproxy.learn import milter_wire as wire
from frontproxy.learn.milter_wire import MilterError, Packets, agree, client_of, macros_of
from tests.learn.milter_packets import ALL_ACTIONS, ALL_FLAGS, GOOD_SESSION, connect, macros, offer, packet


def cut(data: bytes, *cuts: int) -> list[tuple[int, bytes]]:
    """The packets of some octets that come in pieces."""
    packets, before = Packets(), 0
    found: list[tuple[int, bytes]] = []
    for at in [*sorted(cuts), len(data)]:
        found += packets.feed(data[before:at])
        before = at
    return found


def agreed(data: bytes) -> messages.Negotiate:
    """Our answer to an offer, read by kilter."""
    buffer = SimpleBuffer(1024)
    buffer[:] = agree(data[5:]).reply
    message, size = messages.Message.unpack(buffer)
    assert isinstance(message, messages.Negotiate)
    assert size == buffer.filled
    return message


@given(st.lists(st.integers(0, len(GOOD_SESSION))))
def test_the_pieces_in_which_packets_come_change_nothing(cuts: list[int]) -> None:
    assert cut(GOOD_SESSION, *cuts) == cut(GOOD_SESSION)


def test_packets_are_letters_with_contents() -> None:
    assert cut(packet("H", b"x\0") + packet("A")) == [(ord("H"), b"x\0"), (ord("A"), b"")]


@given(st.lists(st.binary(max_size=100)))
def test_garbage_raises_nothing_but_milter_errors(pieces: list[bytes]) -> None:
    packets = Packets()
    try:
        for piece in pieces:
            for letter, content in packets.feed(piece):
                if letter == wire.CONNECT:
                    client_of(content)
                elif letter == wire.NEGOTIATE:
                    agree(content)
                macros_of(content)
    except MilterError:
        pass


@given(st.binary(max_size=60))
def test_any_connect_packet_is_a_client_or_an_error(content: bytes) -> None:
    with contextlib.suppress(MilterError):
        client_of(content)


@given(st.binary(max_size=20))
def test_any_offer_is_agreed_to_or_an_error(content: bytes) -> None:
    with contextlib.suppress(MilterError):
        assert agree(content).reply


@pytest.mark.parametrize(
    "data", [b"\0\0\0\0H", struct.pack("!L", wire.PACKET_LIMIT + 1) + b"H", b"\0\0\0\1K", b"GET / HTTP/1.1\r\n"]
)
def test_what_cannot_become_a_packet_is_refused_before_it_is_whole(data: bytes) -> None:
    with pytest.raises(MilterError):
        cut(data)


def test_nothing_of_the_content_is_asked_for_and_no_wait_but_at_the_end() -> None:
    agreement, ours = agree(offer()[5:]), agreed(offer())

    assert ours.version == 6
    assert ours.protocol_flags == 0x3F872
    assert ours.action_flags == messages.ActionFlags.SETSYMLIST
    assert set(ours.macros[messages.Stage.ENVELOPE_RECIPIENT]) == {"{rcpt_mailer}", "{rcpt_host}", "{rcpt_addr}"}
    assert agreement.answered & set(b"CHMRTU") == set()
    assert wire.END_OF_MESSAGE in agreement.answered


@pytest.mark.parametrize(("flags", "actions"), [(0, ALL_ACTIONS), (ALL_FLAGS, 0), (0x7F, 0x1F), (0x1FF, 0x3F)])
def test_no_more_is_asked_for_than_is_offered(flags: int, actions: int) -> None:
    ours = agreed(offer(flags, actions))

    assert ours.protocol_flags & ~flags == 0
    assert ours.action_flags & ~actions == 0
    assert bool(ours.macros) == bool(ours.action_flags)


def test_a_mail_server_that_waits_for_every_event_is_answered_every_time() -> None:
    assert agree(offer(flags=0)[5:]).answered >= set(b"CHMRTULNBE")


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
    ],
)
def test_a_client_is_known_by_address_and_port(address: str, told: str) -> None:
    (_macros, (letter, content)) = cut(connect(address, 65535))

    assert letter == wire.CONNECT
    assert client_of(content) == (told, 65535)


@pytest.mark.parametrize("content", [b"localhost\0L\0\0/var/run/x\0", b"localhost\0U"])
def test_a_client_without_an_ip_address_is_nobody(content: bytes) -> None:
    assert client_of(content) is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"x",
        b"x\0",
        b"x\0004",
        b"x\0004\0\x19",
        b"x\0004\0\x19192.0.2.1",
        b"x\0004\0\x19192.0.2\0",
        b"x\x006\0\x19IPv6:\0",
        b"x\0009\0\x19192.0.2.1\0",
        b"x\0004\0\x19\xff\0",
    ],
)
def test_a_connect_packet_that_cannot_be_read_is_an_error(content: bytes) -> None:
    with pytest.raises(MilterError):
        client_of(content)


@pytest.mark.parametrize("name", [b"xn--zzzz999999.example", b"\xff\xfe", b"", b"x" * 300])
def test_a_name_that_a_client_chose_hurts_nobody(name: bytes) -> None:
    ((_letter, content),) = cut(connect(name=name))[1:]

    assert client_of(content) == ("192.0.2.1", 4711)


def test_macros_are_read_as_octets() -> None:
    ((_letter, content),) = cut(macros("R", rcpt_host="5.1.1", rcpt_addr="ä"))

    assert macros_of(content) == {b"{rcpt_host}": b"5.1.1", b"{rcpt_addr}": "ä".encode()}


@pytest.mark.parametrize("content", [b"", b"R", b"R{i}", b"R{i}\0", b"R\0\0\0"])
def test_broken_macros_are_no_error(content: bytes) -> None:
    assert set(macros_of(content).values()) <= {b""}
