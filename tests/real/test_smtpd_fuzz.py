"""100,000 random SMTP byte streams against both personalities: no exception, and every bound is kept."""

import random

from backends.smtpd.events import Send
from backends.smtpd.personality import Personality
from tests.smtpd.scripts import Played, personality, protocol

_STREAMS = 100_000
_SEED = 2007
_GRAMMAR = [
    b"EHLO client.example\r\n",
    b"HELO c\r\n",
    b"MAIL FROM:<ann@b.example> SIZE=100 BODY=8BITMIME\r\n",
    b"MAIL FROM:<>\r\n",
    b"MAIL FROM:<\xc3\xa4@b.example> SMTPUTF8\r\n",
    b'MAIL FROM:<"a b"@[IPv6:2001:db8::1]>\r\n',
    b"RCPT TO:<ned@example.com>\r\n",
    b"RCPT TO:<@a,@b:x@elsewhere.example>\r\n",
    b"RCPT TO:<postmaster>\r\n",
    b"DATA\r\n",
    b"Subject: x\r\n\r\n..\r\nhello\r\n.\r\n",
    b"\r\n.\r\n",
    b"RSET\r\n",
    b"NOOP x\r\n",
    b"VRFY ned\r\n",
    b"HELP\r\n",
    b"BDAT 3 LAST\r\nabc",
    b"AUTH PLAIN =\r\n",
    b"STARTTLS\r\n",
    b"QUIT\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01",
    b"x" * 3000,
]
_GOOD_ORDER = [
    b"EHLO client.example\r\n",
    b"MAIL FROM:<ann@b.example>\r\n",
    b"RCPT TO:<ned@example.com>\r\n",
    b"DATA\r\n",
    b"Subject: x\r\n\r\n..\r\nhello\r\n.\r\n",
]
_SPICES = [
    b"\r",
    b"\n",
    b"\0",
    b"\xff",
    b"<",
    b">",
    b'"',
    b"\\",
    b"@",
    b"[",
    b":",
    b" ",
    b".",
    b"\r\n.\r",
    b"\xe2\x80\xa8",
]


def _stream(chance: random.Random) -> list[bytes]:
    """A client's packets: sentences of the grammar, most of them in a good order, some of them mutated."""
    wildness = chance.choice([0.02, 0.3])
    packets = []
    for good in [*_GOOD_ORDER, *_GOOD_ORDER[1:]][: chance.randrange(1, 11)]:
        packet = bytearray(chance.choice(_GRAMMAR) if chance.random() < wildness else good)
        while chance.random() < wildness:
            place = chance.randrange(len(packet) + 1)
            packet[place : place + chance.randrange(3)] = chance.choice(_SPICES)
        packets.append(bytes(packet))
    return packets if chance.random() < 0.7 else [b"".join(packets)]


def _play(packets: list[bytes], manners: Personality) -> Played:
    played = Played(protocol(manners))
    played.settle()
    for packet in packets:
        played.send(packet)
    if played.closed is None:
        played.protocol.receive_eof()
        played.settle()
    return played


def test_random_streams_end_in_order() -> None:
    chance = random.Random(_SEED)
    manners = [personality("nice", message_size_limit=500), personality("hostile", stress=True, message_size_limit=500)]
    ends = set()
    messages = 0
    for _number in range(_STREAMS):
        packets = _stream(chance)
        for one in manners:
            played = _play(packets, one)
            assert played.closed is not None, packets
            lines = bytes(played.output).split(b"\r\n")[:-1]
            assert all(line[:3].isdigit() and line[3:4] in b" -" for line in lines), packets
            assert max(len(event.data) for event in played.events if isinstance(event, Send)) < 20_000, packets
            ends.add(played.closed.end)
            messages += len(played.messages)
    assert ends == {"quit", "lost", "errors"}
    assert messages > 1000, "the streams must reach every state"
