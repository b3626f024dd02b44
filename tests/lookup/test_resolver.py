"""The resolver: one reply to each question, whatever servers do. Its clock and its turns are taken by hand."""

import random
from collections.abc import Callable, Iterator

import pytest

from frontproxy.lookup import resolver, servers
from frontproxy.lookup.dns_wire import NAMES_LIMIT, PTR, A, Reply, question
from frontproxy.lookup.servers import PORTS
from tests.fakes import open_descriptors
from tests.lookup.fake_dns import SOA, FakeServer, Turns, query_of, turns

ANOTHER_ID = b"\0\x26--\x80\0\0\1\0\0\0\0\0\0" + question("2.0.0.127.bl.example", A)
LISTED = Reply((b"\x7f\0\0\x02",), 300)


class AlwaysSeven(random.Random):
    """No chance at all."""

    def getrandbits(self, _bits: int, /) -> int:
        return 7

    def randrange(self, *_limits: int) -> int:  # type: ignore[override]  # only as it is called here
        return 0


@pytest.fixture(autouse=True)
def descriptors() -> Iterator[int]:
    before = open_descriptors()
    yield before
    assert open_descriptors() <= before


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as server:
        yield server


@pytest.fixture
def its(server: FakeServer) -> Iterator[Turns]:
    with turns(server) as its:
        yield its


@pytest.fixture
def second() -> Iterator[FakeServer]:
    with FakeServer() as second:
        yield second


@pytest.fixture
def both(server: FakeServer, second: FakeServer) -> Iterator[Turns]:
    with turns(server, second) as both:
        yield both


def test_a_question_is_asked_and_its_reply_heard(server: FakeServer, its: Turns) -> None:
    its.ask()
    query = server.query()
    query.listed("127.0.0.2")
    its.take()

    assert query.name == "2.0.0.127.bl.example A"
    assert its.said() == LISTED
    assert its.resolver.in_flight == 0
    assert its.resolver.due == float("inf")


def test_what_is_not_there_holds_as_long_as_its_zone_says(server: FakeServer, its: Turns) -> None:
    its.ask()
    server.query().answer(rcode="NXDOMAIN", authority=SOA)
    its.take()

    assert its.said() == Reply(ttl=60)


def test_a_lost_question_is_asked_again_after_one_and_two_seconds_and_given_up_after_four(
    server: FakeServer, its: Turns
) -> None:
    its.ask()
    queries = [server.query()]
    for _ in range(2):
        its.after(0.99)
        assert not server.has_query()
        its.after(0.01)
        queries.append(server.query())
    its.after(1.99)
    assert its.said() is None
    its.after(0.01)

    assert its.said() == Reply(error="timeout")
    assert len({query.wire[:2] for query in queries}) > 1, "each with an id of its own"
    assert not server.has_query()
    assert its.resolver.in_flight == 0


def test_a_late_reply_to_the_first_question_is_heard(server: FakeServer, its: Turns) -> None:
    its.ask()
    first = server.query()
    its.after(1.0)
    first.listed("127.0.0.2")
    its.take()

    assert its.said() == LISTED


def test_a_reply_after_the_end_is_a_stray(server: FakeServer, its: Turns) -> None:
    its.ask()
    first = server.query()
    for _ in range(4):
        its.after(1.0)
    first.listed("127.0.0.2")
    its.take()

    assert its.said() == Reply(error="timeout")
    assert its.resolver.strays == 1


def test_a_reply_twice_is_heard_once(server: FakeServer, its: Turns) -> None:
    its.ask()
    query = server.query()
    query.listed("127.0.0.2")
    query.listed("127.0.0.3")
    its.take()

    assert its.said() == LISTED
    assert its.resolver.strays == 1


@pytest.mark.parametrize(
    "forge",
    [
        lambda reply, _query: bytes([reply[0] ^ 1]) + reply[1:],  # another id
        lambda reply, _query: reply.replace(b"\2bl", b"\2bx"),  # another name
        lambda reply, query: reply[: len(query) - 3] + b"\x10" + reply[len(query) - 2 :],  # another type
        lambda reply, query: reply[: len(query) - 1] + b"\x03" + reply[len(query) :],  # another class
        lambda _reply, query: query,  # no reply
        lambda reply, _query: reply[:2] + bytes([reply[2] | 0x28]) + reply[3:],  # another opcode
        lambda reply, _query: reply[:4] + b"\0\0" + reply[6:],  # no question
        lambda reply, _query: reply[:11],
        lambda _reply, _query: b"",
        lambda _reply, _query: b"\xff" * 600,
    ],
)
def test_what_does_not_answer_the_question_is_ignored(
    server: FakeServer, its: Turns, forge: Callable[[bytes, bytes], bytes]
) -> None:
    its.ask()
    query = server.query()
    query.back(forge(query.reply("2.0.0.127.bl.example. 300 IN A 127.0.0.9"), query.wire))
    its.take()
    assert its.said() is None

    query.listed("127.0.0.2")
    its.take()
    assert its.said() == LISTED
    assert its.resolver.strays == 1


def test_a_stranger_cannot_answer_for_the_server(server: FakeServer, second: FakeServer, its: Turns) -> None:
    its.ask()
    query = server.query()
    second.send(query.reply("2.0.0.127.bl.example. 300 IN A 127.0.0.9"), query.sender)
    its.take()

    assert its.said() is None
    assert its.resolver.strays == 0, "the kernel keeps it from us"


@pytest.mark.parametrize("rcode", ["SERVFAIL", "REFUSED", "NOTIMP", "FORMERR"])
def test_a_server_that_cannot_is_believed_if_there_is_no_other(server: FakeServer, its: Turns, rcode: str) -> None:
    its.ask()
    server.query().answer(rcode=rcode)
    its.take()

    assert its.said() == Reply(error=rcode)


def test_when_one_server_cannot_the_next_is_asked_at_once(server: FakeServer, second: FakeServer, both: Turns) -> None:
    both.ask()
    server.query().answer(rcode="SERVFAIL")
    both.take()
    second.query().listed("127.0.0.2")
    both.take()

    assert both.said() == LISTED


def test_when_the_next_cannot_either_that_is_the_answer(server: FakeServer, second: FakeServer, both: Turns) -> None:
    both.ask()
    server.query().answer(rcode="SERVFAIL")
    both.take()
    second.query().answer(rcode="REFUSED")
    both.take()

    assert both.said() == Reply(error="REFUSED")
    assert not server.has_query()


def test_a_server_that_is_away_costs_no_time(server: FakeServer, second: FakeServer, both: Turns) -> None:
    server.die()
    both.ask()
    both.take()
    second.query().listed("127.0.0.2")
    both.take()
    assert both.said() == LISTED

    both.ask("3.0.0.127.bl.example")
    assert second.query().name == "3.0.0.127.bl.example A", "and it is not tried first any more"


def test_all_servers_away_is_told_when_the_time_is_over(server: FakeServer, second: FakeServer, both: Turns) -> None:
    server.die()
    second.die()
    both.ask()
    for _ in range(4):
        both.take()
        assert both.said() is None
        both.after(1.0)

    assert both.said() == Reply(error="unreachable")


def test_a_server_that_comes_back_is_asked(server: FakeServer, its: Turns) -> None:
    server.die()
    its.ask()
    its.take()
    its.after(1.0)
    with FakeServer(server.place[1]) as again:
        its.after(1.0)
        again.query().listed("127.0.0.2")
        its.take()

    assert its.said() == LISTED


def test_a_server_that_came_back_hears_the_very_next_question(
    server: FakeServer, its: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "PORTS", 1)
    server.die()
    its.ask()
    with FakeServer(server.place[1]) as again:
        its.ask("3.0.0.127.bl.example")
        assert again.query().name == "3.0.0.127.bl.example A"


def test_an_id_that_is_used_again_belongs_to_who_used_it_last(
    server: FakeServer, second: FakeServer, both: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "PORTS", 1)
    monkeypatch.setattr(servers, "_chance", AlwaysSeven())
    both.ask()
    server.query().answer(rcode="SERVFAIL")
    both.take()
    both.ask("3.0.0.127.bl.example")
    second.query().listed("127.0.0.2")
    both.take()
    server.query().listed("127.0.0.3")
    both.take()

    assert both.said() == LISTED
    assert both.heard["3.0.0.127.bl.example"].records == (b"\x7f\0\0\x03",)


def test_fewer_servers_than_before_are_enough(server: FakeServer, second: FakeServer, both: Turns) -> None:
    server.die()
    both.ask()
    both.take()
    both.resolver.use([second.place])
    second.die()
    both.ask("3.0.0.127.bl.example")
    both.take()

    assert both.heard == {}


def test_a_silent_server_is_not_the_first_any_more(server: FakeServer, second: FakeServer, both: Turns) -> None:
    both.ask()
    server.query()
    both.after(1.0)
    second.query().listed("127.0.0.2")
    both.take()
    assert both.said() == LISTED

    both.ask("3.0.0.127.bl.example")
    assert second.has_query()


def test_a_server_that_keeps_silent_to_one_question_stays_the_first(
    server: FakeServer, second: FakeServer, both: Turns
) -> None:
    both.ask()
    server.query()
    both.now += 0.5
    both.ask("3.0.0.127.bl.example")
    server.query().listed("127.0.0.2")
    both.take()
    both.after(0.5)
    second.query().answer(rcode="NXDOMAIN")
    both.take()
    both.ask("4.0.0.127.bl.example")

    assert server.has_query()
    assert not second.has_query()


def test_without_a_server_the_answer_is_that(its: Turns) -> None:
    its.resolver.use([])
    its.ask()

    assert its.said() == Reply(error="no resolver")


def test_other_servers_take_over_and_what_was_asked_is_still_heard(
    server: FakeServer, second: FakeServer, its: Turns
) -> None:
    its.ask()
    query = server.query()
    its.resolver.use([second.place])
    its.ask("3.0.0.127.bl.example")
    query.listed("127.0.0.2")
    second.query().listed("127.0.0.3")
    its.take()

    assert its.said() == LISTED
    assert its.heard["3.0.0.127.bl.example"].records == (b"\x7f\0\0\x03",)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda reply: reply[:-1],
        lambda reply: reply[:-6] + b"\0\x05" + reply[-4:],  # an address of five octets
        lambda reply: reply.replace(b"\xc0\x0c", b"\xc0\xff"),  # a name beyond the end
    ],
)
def test_a_malformed_reply_is_no_answer(server: FakeServer, its: Turns, spoil: Callable[[bytes], bytes]) -> None:
    its.ask()
    query = server.query()
    query.back(spoil(query.reply("2.0.0.127.bl.example. 300 IN A 127.0.0.9")))
    its.take()

    assert its.said() == Reply(error="malformed")


def test_sockets_are_few_and_change(server: FakeServer, its: Turns, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "QUESTIONS_OF_A_PORT", 10)
    before = open_descriptors()
    ports = set()
    for number in range(100):
        its.ask(f"{number}.bl.example")
        query = server.query()
        ports.add(query.sender)
        query.answer(rcode="NXDOMAIN")
        its.take()
        assert its.heard.pop(f"{number}.bl.example").error == ""

    assert len(ports) > PORTS
    assert open_descriptors() == before + PORTS


def test_an_old_socket_is_closed_when_nobody_waits_there(server: FakeServer, its: Turns) -> None:
    before = open_descriptors()
    ports = set()
    for number in range(40):
        its.now += 300
        its.ask(f"{number}.bl.example")
        query = server.query()
        ports.add(query.sender)
        query.answer(rcode="NXDOMAIN")
        its.take()

    assert len(ports) > 2 * PORTS
    assert open_descriptors() == before + PORTS


def test_a_subject_has_no_more_than_its_share_and_the_others_go_on(server: FakeServer, its: Turns) -> None:
    for number in range(resolver.SHARE + 10):
        its.ask(f"{number}.silent.example", subject="silent.example")
    assert its.resolver.in_flight == resolver.SHARE
    queries = [server.query() for _ in range(resolver.SHARE)]

    its.ask()
    server.query().listed("127.0.0.2")
    its.take()
    assert its.said() == LISTED

    assert not server.has_query()
    queries[0].answer(rcode="NXDOMAIN")
    its.take()
    assert server.query().name == f"{resolver.SHARE}.silent.example A"


def test_beyond_the_line_is_busy_and_all_are_answered_in_the_end(server: FakeServer, its: Turns) -> None:
    total = resolver.SHARE + resolver.WAITING
    for number in range(total + 1):
        its.ask(f"{number}.bl.example")
    assert its.heard == {f"{total}.bl.example": Reply(error="busy")}

    server.die()
    for _ in range(40):
        its.after(4.0)
    assert len(its.heard) == total + 1
    assert its.resolver.in_flight == 0


def test_a_truncated_reply_is_fetched_over_tcp(server: FakeServer, its: Turns) -> None:
    its.ask(kind=PTR)
    server.query().answer(truncated=True)
    its.take()
    connection = server.connection()
    its.take()
    query = query_of(connection)
    reply = query.reply(*[f"2.0.0.127.bl.example. 300 IN PTR host-{number}.example." for number in range(100)])
    query.back(reply)
    while its.said() is None:
        its.take_stream()

    assert query.name == "2.0.0.127.bl.example PTR"
    assert len(its.heard["2.0.0.127.bl.example"].records) == NAMES_LIMIT - 1
    assert its.resolver.in_flight == 0


def test_a_reply_may_come_in_pieces(server: FakeServer, its: Turns) -> None:
    its.ask()
    server.query().answer(truncated=True)
    its.take()
    connection = server.connection()
    its.take()
    reply = query_of(connection).reply("2.0.0.127.bl.example. 300 IN A 127.0.0.2")
    for octet in len(reply).to_bytes(2, "big") + reply:
        connection.sendall(bytes([octet]))
        its.take_stream()

    assert its.said() == LISTED


def test_tcp_that_stalls_is_given_up_after_three_seconds(server: FakeServer, its: Turns) -> None:
    its.ask()
    server.query().answer(truncated=True)
    its.take()
    connection = server.connection()
    its.take()
    query_of(connection)
    connection.sendall(b"\xff\xff1234")
    its.take_stream()
    its.after(2.99)
    assert its.said() is None
    assert not server.has_query(), "nothing else is tried meanwhile"
    its.after(0.02)

    assert its.said() == Reply(error="timeout")
    assert connection.recv(10) == b""


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (b"", "cut off"),
        (b"\0", "cut off"),
        (b"\0\0", "cut off"),
        (b"\0\5x", "cut off"),
        (b"\0\2xx", "malformed"),
        (ANOTHER_ID, "malformed"),
    ],
)
def test_tcp_that_breaks_off_is_no_answer(server: FakeServer, its: Turns, said: bytes, error: str) -> None:
    its.ask()
    server.query().answer(truncated=True)
    its.take()
    connection = server.connection()
    its.take()
    assert query_of(connection).wire[:2] != ANOTHER_ID[2:4]
    connection.sendall(said)
    connection.close()
    while its.said() is None:
        its.take_stream()

    assert its.said() == Reply(error=error)


def test_a_server_without_tcp_is_told(server: FakeServer, its: Turns) -> None:
    its.ask()
    server.query().answer(truncated=True)
    server.die()
    its.take()

    assert its.said() == Reply(error="unreachable")


def test_connections_are_few(server: FakeServer, its: Turns) -> None:
    for number in range(20):
        its.ask(f"{number}.bl.example")
        server.query().answer(truncated=True)
        its.take()

    assert [reply.error for reply in its.heard.values()] == ["busy"] * 4
    its.after(3.0)
    assert len(its.heard) == 20
