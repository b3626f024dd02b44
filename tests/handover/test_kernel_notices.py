"""The kernel's notices: a passed session's end is known exactly; what no notice told can be asked for."""

import errno
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest

from frontproxy.handover import kernel_notices
from frontproxy.handover.kernel_notices import KernelNotices, NoNotices, SocketName
from frontproxy.wire.sock_diag import Holding, question
from tests.fakes import PATIENCE, as_nobody, await_readable, open_descriptors, reset, tcp_pair

Ends = tuple[socket.socket, socket.socket]

LOOPBACKS = ["127.0.0.1", "::1", "::ffff:127.0.0.1"]


def connected(address: str = "127.0.0.1") -> Ends:
    """The server's and the client's end of a connection to an address."""
    if address == "127.0.0.1":
        return tcp_pair()
    with socket.socket(socket.AF_INET6) as door, socket.socket(socket.AF_INET6) as client:
        door.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        door.bind((address, 0))
        door.listen()
        client.connect(door.getsockname())
        return door.accept()[0], client.dup()


@pytest.fixture
def kernel() -> Iterator[KernelNotices]:
    with closing(KernelNotices.open()) as kernel:
        yield kernel


@pytest.fixture
def ends() -> Iterator[Ends]:
    server, client = connected()
    with server, client:
        yield server, client


def name_of(sock: socket.socket) -> SocketName:
    name = SocketName.of(sock)
    assert name is not None
    return name


def until(kernel: KernelNotices, is_done: Callable[[set[int]], bool]) -> set[int]:
    """All cookies told until those that we wait for are among them."""
    told: set[int] = set()
    deadline = time.monotonic() + PATIENCE
    while not is_done(told):
        assert time.monotonic() < deadline, "no notice"
        told.update(kernel.ended())
    return told


@pytest.mark.parametrize("address", LOOPBACKS)
def test_the_end_of_a_session_is_told(kernel: KernelNotices, address: str) -> None:
    server, client = connected(address)
    cookie = name_of(server).cookie
    kernel.ended()
    with client:
        server.close()

    assert cookie in until(kernel, lambda told: cookie in told)


def test_nothing_is_told_while_another_process_could_hold_the_session(kernel: KernelNotices, ends: Ends) -> None:
    server, client = ends
    cookie = name_of(server).cookie
    with server.dup() as given:
        server.close()
        reset(client)
        other, its_client = connected()
        barrier = name_of(other).cookie
        other.close()
        its_client.close()
        assert cookie not in until(kernel, lambda told: barrier in told)
        given.close()

    until(kernel, lambda told: cookie in told)


@pytest.mark.parametrize("address", LOOPBACKS)
def test_the_kernel_knows_who_is_held_and_who_was_let_go(kernel: KernelNotices, address: str) -> None:
    server, client = connected(address)
    name = name_of(server)
    with client:
        assert kernel.ask(name) is Holding.HELD
        client.shutdown(socket.SHUT_WR)
        assert kernel.ask(name) is Holding.HELD, "the client is done, the server is not"
        with server.dup():
            server.close()
            assert kernel.ask(name) is Holding.HELD, "another descriptor"
    until(kernel, lambda told: name.cookie in told)
    assert kernel.ask(name) is Holding.NOT_FOUND


def test_a_session_whose_client_has_not_closed_is_let_go(kernel: KernelNotices, ends: Ends) -> None:
    server, _client = ends
    name = name_of(server)
    server.close()

    assert kernel.ask(name) is Holding.LET_GO


def test_a_mapped_address_may_be_asked_for_as_ipv4(kernel: KernelNotices) -> None:
    server, client = connected("::ffff:127.0.0.1")
    with server, client:
        cookie = name_of(server).cookie
        local, remote = ("127.0.0.1", server.getsockname()[1]), ("127.0.0.1", server.getpeername()[1])

        assert kernel.ask(SocketName(cookie, local, remote)) is Holding.HELD


def test_a_descriptor_that_lies_in_a_servers_backlog_is_held(kernel: KernelNotices, ends: Ends) -> None:
    server, _client = ends
    name = name_of(server)
    giver, taker = socket.socketpair()
    with giver, taker:
        socket.send_fds(giver, [b"\0"], [server.fileno()])
        server.close()
        assert kernel.ask(name) is Holding.HELD
        giver.close()
        assert kernel.ask(name) is Holding.HELD, "nobody took it yet"
    until(kernel, lambda told: name.cookie in told)


def test_a_session_that_was_reset_is_not_found_although_its_server_has_it_still(
    kernel: KernelNotices, ends: Ends
) -> None:
    """So who is not found may still hold a place; only the notice tells when the server has noticed, too."""
    server, client = ends
    name = name_of(server)
    reset(client)
    assert select.select([server], [], [], PATIENCE)[0]

    assert kernel.ask(name) is Holding.NOT_FOUND
    server.close()
    until(kernel, lambda told: name.cookie in told)


def test_a_name_is_the_same_when_the_ends_are_known_already(ends: Ends) -> None:
    server, _client = ends
    local, remote = server.getsockname(), server.getpeername()

    assert SocketName.of(server, (local, remote)) == name_of(server)


def test_another_connection_between_the_same_ends_is_not_taken_for_the_old_one(
    kernel: KernelNotices, ends: Ends
) -> None:
    server, _client = ends
    name = name_of(server)

    assert kernel.ask(name._replace(cookie=name.cookie + 1)) is Holding.NOT_FOUND
    assert kernel.ask(name._replace(cookie=name.cookie + 2**32)) is Holding.NOT_FOUND


def test_all_this_needs_no_privilege(ends: Ends) -> None:
    server, client = ends
    name = name_of(server)
    with as_nobody(), closing(KernelNotices.open()) as kernel:
        assert kernel.ask(name_of(server)) is Holding.HELD
        assert kernel.only_ports({server.getsockname()[1]})
        server.close()
        assert kernel.ask(name) is Holding.LET_GO
        client.close()
        until(kernel, lambda told: name.cookie in told)


@pytest.mark.parametrize("address", LOOPBACKS)
def test_a_roll_call_finds_who_is_held_on_a_port(kernel: KernelNotices, address: str) -> None:
    server, client = connected(address)
    others = connected(address)
    with client:
        with server, others[0], others[1]:
            assert kernel.held_on({server.getsockname()[1]}) == [name_of(server)]
            with server.dup():
                server.close()
                assert len(kernel.held_on({client.getpeername()[1]})) == 1, "another descriptor"
        assert kernel.held_on({client.getpeername()[1]}) == [], "it was let go"


def test_who_listens_and_who_was_not_accepted_yet_is_not_held(kernel: KernelNotices) -> None:
    with socket.create_server(("127.0.0.1", 0)) as door, socket.create_connection(door.getsockname()) as client:
        ports = {door.getsockname()[1]}
        assert kernel.held_on(ports) == []
        with door.accept()[0] as server:
            assert kernel.held_on(ports) == [name_of(server)]
            client.shutdown(socket.SHUT_WR)
            await_readable(server)
            assert kernel.held_on(ports) == [name_of(server)], "the client is done, the server is not"


def test_a_roll_call_goes_on_to_the_last(kernel: KernelNotices) -> None:
    """The kernel answers in parts, the first of 4 kB, then 32 kB, some 260 sockets."""
    with socket.create_server(("127.0.0.1", 0), backlog=330) as door, ExitStack() as sockets:
        for _ in range(330):
            sockets.enter_context(socket.create_connection(door.getsockname()))
        servers = [sockets.enter_context(door.accept()[0]) for _ in range(330)]

        assert set(kernel.held_on({door.getsockname()[1]})) == {name_of(server) for server in servers}


def test_a_roll_call_needs_no_privilege_and_no_descriptor_is_left(kernel: KernelNotices, ends: Ends) -> None:
    server, _client = ends
    before = open_descriptors()
    with as_nobody():
        assert kernel.held_on({server.getsockname()[1]}) == [name_of(server)]

    assert open_descriptors() <= before


def test_a_roll_call_that_cannot_be_made_finds_nobody(
    kernel: KernelNotices, ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel_notices, "_NETLINK_SOCK_DIAG", 31)

    assert kernel.held_on({ends[0].getsockname()[1]}) == []


@pytest.fixture
def forgetful() -> Iterator[KernelNotices]:
    """With room for some fifty notices."""
    with closing(KernelNotices.open(buffer=32 * 1024)) as kernel:
        yield kernel


def crowd(witness: KernelNotices) -> list[SocketName]:
    """The servers' ends of more connections than a forgetful one remembers; all have ended, and the kernel told so."""
    names = []
    for _ in range(100):
        server, client = connected()
        names.append(name_of(server))
        client.close()
        server.close()
    until(witness, lambda told: {name.cookie for name in names} <= told)
    return names


def test_lost_notices_are_counted_and_questions_find_what_they_would_have_told(
    kernel: KernelNotices, forgetful: KernelNotices
) -> None:
    names = crowd(kernel)
    told = forgetful.ended()

    missed = [name for name in names if name.cookie not in told]

    assert forgetful.lost == 1
    assert kernel.lost == 0
    assert missed
    assert {forgetful.ask(name) for name in missed} == {Holding.NOT_FOUND}


def test_after_a_loss_all_is_told_again(kernel: KernelNotices, forgetful: KernelNotices, ends: Ends) -> None:
    server, client = ends
    cookie = name_of(server).cookie
    crowd(kernel)
    forgetful.ended()
    client.close()
    server.close()

    until(forgetful, lambda told: cookie in told)


def test_one_tick_reads_no_more_than_it_may(
    kernel: KernelNotices, forgetful: KernelNotices, monkeypatch: pytest.MonkeyPatch
) -> None:
    all_ends = [end for _ in range(5) for end in connected()]
    cookies = {name_of(end).cookie for end in all_ends}
    for end in all_ends:
        end.close()
    until(forgetful, lambda told: cookies <= told)  # what one has heard has been told to all
    monkeypatch.setattr(kernel_notices, "AT_ONCE", 3)

    assert len(kernel.ended()) == 3


def test_only_the_ports_that_matter_are_told_of(kernel: KernelNotices, forgetful: KernelNotices, ends: Ends) -> None:
    server, client = ends
    ours, its = name_of(server).cookie, name_of(client).cookie
    assert kernel.only_ports({server.getsockname()[1], 25})
    client.close()
    server.close()
    until(forgetful, lambda told: {ours, its} <= told)

    assert its not in until(kernel, lambda told: ours in told)


@pytest.mark.parametrize("ports", [set(), set(range(1, 66))])
def test_without_ports_or_with_too_many_all_are_told_of(kernel: KernelNotices, ends: Ends, ports: set[int]) -> None:
    cookies = {name_of(end).cookie for end in ends}
    kernel.only_ports({1})
    assert not kernel.only_ports(ports)
    assert not kernel.only_ports(ports), "taking no filter away does no harm"
    for end in ends:
        end.close()

    until(kernel, lambda told: cookies <= told)


def test_the_most_ports_that_one_filter_takes(kernel: KernelNotices, ends: Ends) -> None:
    server, client = ends
    cookie = name_of(server).cookie
    assert kernel.only_ports({*range(1, 64), server.getsockname()[1]})
    client.close()
    server.close()

    until(kernel, lambda told: cookie in told)


def test_only_tcp_connections_have_a_name(kernel: KernelNotices, ends: Ends) -> None:
    server, client = ends
    with socket.socket() as unconnected:
        assert SocketName.of(unconnected) is None
    for one, other in [socket.socketpair(), socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)]:
        with one, other:
            assert SocketName.of(one) is None
    reset(client)
    assert select.select([server], [], [], PATIENCE)[0]
    assert SocketName.of(server) is None
    server.close()
    assert SocketName.of(server) is None


class FakeKernel:
    """Answers questions with what a test has put down, and sends notices when told to."""

    def __init__(self) -> None:
        self.notices, ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.questions, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        for sock in (ours, theirs):
            sock.setblocking(False)
        self.told = KernelNotices(ours, theirs)

    def close(self) -> None:
        """End both."""
        self.told.close()
        self.notices.close()
        self.questions.close()


@pytest.fixture
def fake() -> Iterator[FakeKernel]:
    with closing(FakeKernel()) as fake:
        yield fake


NAME = SocketName(4711, ("192.0.2.25", 25), ("203.0.113.9", 1024))


def refusal(number: int, *, cookie: int = NAME.cookie) -> bytes:
    return struct.pack("=IHHIIi", 36, 2, 0, cookie, 0, -number)


def test_a_kernel_that_does_not_answer_has_told_nothing(fake: FakeKernel) -> None:
    assert fake.told.ask(NAME) is Holding.UNTOLD


def test_a_kernel_that_refuses_has_told_nothing(fake: FakeKernel) -> None:
    fake.questions.send(refusal(errno.EPERM))

    assert fake.told.ask(NAME) is Holding.UNTOLD


def test_a_late_answer_is_not_taken_for_one_about_the_next(fake: FakeKernel) -> None:
    fake.questions.send(refusal(errno.EPERM, cookie=4710))
    fake.questions.send(b"")
    fake.questions.send(refusal(errno.ENOENT))

    assert fake.told.ask(NAME) is Holding.NOT_FOUND
    assert fake.questions.recv(4096) == question(NAME.cookie, NAME.local, NAME.remote)


def test_trouble_with_the_kernel_never_raises(fake: FakeKernel) -> None:
    fake.questions.close()
    fake.notices.close()
    assert fake.told.ask(NAME) is Holding.UNTOLD
    assert fake.told.ended() == []
    fake.told.close()
    assert fake.told.ask(NAME) is Holding.UNTOLD
    assert fake.told.ended() == []
    assert fake.told.lost > 0
    assert not fake.told.only_ports({25})


def test_a_short_notice_is_nobodys_end(fake: FakeKernel) -> None:
    fake.notices.send(bytes(67))
    fake.notices.send(bytes(60) + struct.pack("=II", 2, 1))

    assert fake.told.ended() == [2 + 2**32]


def test_a_kernel_without_answers_is_found_out(fake: FakeKernel) -> None:
    with pytest.raises(NoNotices, match="the kernel does not answer questions about sockets"):
        fake.told.prove()


def test_a_kernel_without_notices_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_notices, "NOTICE_GROUPS", 0)
    monkeypatch.setattr(kernel_notices, "PROOF_WITHIN", 0.02)
    before = open_descriptors()

    with pytest.raises(NoNotices, match="the kernel sends no notices of sockets that end"):
        KernelNotices.open()
    assert open_descriptors() <= before


def test_no_descriptor_is_leaked() -> None:
    before = open_descriptors()
    KernelNotices.open().close()

    assert open_descriptors() <= before
