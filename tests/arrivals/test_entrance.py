"""The entrance: whom it asks, how long it waits, and what becomes of those who do not say who they are."""

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from dataclasses import replace

import pytest
import trio

from frontproxy.arrivals import entrance as module
from frontproxy.arrivals.entrance import Entrance
from frontproxy.session import TROUBLE
from frontproxy.wire import pass_protocol
from frontproxy.wire.proxy_protocol import encode_v1, encode_v2
from tests.fakes import PATIENCE, await_readable, tcp_pair
from tests.houses import BANNED, FRIEND, QUICK, STRANGER, House, all_from, bug, house, outcome

__all__ = ["house"]

PROXY = "203.0.113.1"
SERVER = ("198.51.100.25", 25)
TRUSTING = '[listen]\ntrusted_proxies = ["203.0.113.0/24"]\n'
trusting = pytest.mark.parametrize("house", [TRUSTING], indirect=True)
LIST = pass_protocol.encode(
    {"client_address": FRIEND, "client_port": "4711", "server_address": SERVER[0], "server_port": "25"}
)


class Street:
    """What comes to one entrance."""

    def __init__(self, house: House, strangers: trio.Nursery) -> None:
        self.entrance = Entrance(house.proxy)
        self._strangers = strangers
        self._sockets = ExitStack()

    def connect(self, address: str, sent: bytes = b"") -> socket.socket:
        """A TCP connection from there that has sent something; its far end."""
        ours, far = tcp_pair()
        for sock in (ours, far):
            self._sockets.enter_context(sock)
        if sent:
            far.sendall(sent)
            await_readable(ours)
        self.entrance.connected(ours, (address, 40000), self._strangers)
        return far

    def bring(self, data: bytes, *descriptors: int) -> socket.socket:
        """A UNIX connection that has brought something; its far end."""
        ours, far = socket.socketpair()
        for sock in (ours, far):
            self._sockets.enter_context(sock)
        far.settimeout(PATIENCE)
        socket.send_fds(far, [data], descriptors)
        self.entrance.passed(ours, self._strangers)
        return far

    def client(self) -> tuple[socket.socket, socket.socket]:
        """The server's and the client's end of a connection to be passed."""
        ends = tcp_pair()
        for sock in ends:
            self._sockets.enter_context(sock)
        return ends

    def close(self) -> None:
        self._sockets.close()


@pytest.fixture
async def street(house: House) -> AsyncIterator[Street]:
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as strangers:
            street = Street(house, strangers)
            yield street
            strangers.cancel_scope.cancel()
    street.close()


async def until(happened: Callable[[], object]) -> None:
    with trio.fail_after(PATIENCE):
        while not happened():
            await trio.lowlevel.checkpoint()


async def reply_to(client: socket.socket) -> bytes:
    return await trio.to_thread.run_sync(all_from, client)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WITHIN", 0.02)


@trusting
@pytest.mark.parametrize("encode", [encode_v1, encode_v2])
async def test_a_friend_behind_a_proxy_is_a_friend_and_costs_no_task(
    house: House, street: Street, encode: Callable[..., bytes]
) -> None:
    street.connect(PROXY, encode((FRIEND, 4711), SERVER))

    taken = house.smtpds["nice"].take()
    assert {name: taken.attributes[name] for name in pass_protocol.MANDATORY} == {
        "client_address": FRIEND,
        "client_port": "4711",
        "server_address": SERVER[0],
        "server_port": "25",
    }
    assert len(street.entrance) == 0


@trusting
async def test_a_header_that_comes_later_is_waited_for(house: House, street: Street) -> None:
    header = encode_v2((FRIEND, 4711), SERVER)
    far = street.connect(PROXY, header[:5])
    assert len(street.entrance) == 1

    for octet in header[5:]:
        far.sendall(bytes([octet]))
        await trio.lowlevel.checkpoint()
    await until(lambda: house.proxy.counters["handed_over"])

    assert house.smtpds["nice"].take().attributes["client_address"] == FRIEND
    assert len(street.entrance) == 0


@trusting
async def test_the_proxy_itself_is_neither_judged_nor_counted(house: House, street: Street) -> None:
    street.connect(PROXY, encode_v1((FRIEND, 4711), SERVER))

    assert house.proxy.census.of(bytes([203, 0, 113, 1]), 0).open_sessions == 0
    assert house.proxy.census.of(bytes([192, 0, 2, 1]), 0).open_sessions == 1


@trusting
async def test_a_stranger_behind_a_proxy_is_observed(house: House, street: Street) -> None:
    far = street.connect(PROXY, encode_v1((STRANGER, 4711), SERVER))
    assert len(house.proxy.room) == 1

    far.sendall(b"EHLO early\r\n")
    await until(lambda: house.proxy.counters["handed_over"])

    taken = house.smtpds["hostile"].take()
    assert taken.attributes["client_address"] == STRANGER
    assert float(taken.attributes["score"]) <= -30
    assert taken.client.recv(100) == b"EHLO early\r\n"


@trusting
@pytest.mark.parametrize("header", [b"PROXY UNKNOWN\r\n", b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00"])
async def test_a_health_check_is_served_at_once_and_teaches_nothing(
    house: House, street: Street, header: bytes
) -> None:
    street.connect(PROXY, header)

    taken = house.smtpds["nice"].take()
    assert taken.attributes["client_address"] == PROXY
    given = house.proxy.pools.register.find(outcome(session=taken.attributes["session"], client=PROXY))
    assert given is not None
    assert given.session.verdict.learning == "none"
    assert house.proxy.counters["health_checks"] == 1


@trusting
async def test_a_header_from_anybody_else_is_early_talk(house: House, street: Street) -> None:
    header = encode_v1((FRIEND, 4711), SERVER)
    street.connect(STRANGER, header)
    await until(lambda: house.proxy.counters["handed_over"])

    taken = house.smtpds["hostile"].take()
    assert taken.attributes["client_address"] == STRANGER
    assert taken.client.recv(200) == header
    assert "pregreet:-30.0" in house.log.about("handover")[0]


@trusting
async def test_who_is_trusted_may_change_with_the_setup(house: House, street: Street) -> None:
    header = encode_v1((FRIEND, 4711), SERVER)
    first = house.proxy.setup
    for trusted, waiting in (((), 1), (("198.51.100.0/24",), 2), (("203.0.113.1/32",), 2)):
        config = replace(first.config, listen=replace(first.config.listen, trusted_proxies=trusted))
        house.proxy.setup = replace(first, config=config)
        street.connect(PROXY, header)
        assert len(house.proxy.room) == waiting

    assert house.smtpds["nice"].take().attributes["client_address"] == FRIEND


@trusting
@pytest.mark.parametrize(
    ("sent", "why"), [(b"EHLO client.example.org\r\n", "broken"), (b"PROXY TCP4 1 2 3 4\r\n", "broken")]
)
async def test_without_a_header_a_proxy_is_closed_without_a_word(
    house: House, street: Street, sent: bytes, why: str
) -> None:
    far = street.connect(PROXY, sent)

    with pytest.raises(ConnectionResetError):  # what it has sent was not read
        far.recv(100)
    (line,) = house.log.about("proxy_header")
    assert f" why={why} state=refused client={PROXY} text=" in line
    assert house.proxy.counters["refused_proxy_header"] == 1
    assert house.proxy.counters["accepted"] == 0


@trusting
async def test_a_proxy_that_hangs_up_is_closed(house: House, street: Street) -> None:
    street.connect(PROXY).close()

    await until(lambda: house.log.about("proxy_header"))
    assert " why=hung_up " in house.log.about("proxy_header")[0]


@trusting
@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("sent", [b"", b"PROXY TCP4 "])
async def test_a_silent_proxy_is_not_waited_for_longer(house: House, street: Street, sent: bytes) -> None:
    far = street.connect(PROXY, sent)

    assert await reply_to(far) == b""
    assert " why=silent " in house.log.about("proxy_header")[0]
    assert len(street.entrance) == 0


@trusting
async def test_a_dripping_proxy_gets_no_more_time(
    house: House, street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WITHIN", 0.05)
    far = street.connect(PROXY)
    began = trio.current_time()
    with pytest.raises(OSError, match=r"."):  # noqa: PT012  it drips until it is closed
        for octet in encode_v2((FRIEND, 4711), SERVER, [(0xE0, bytes(200))] * 2):
            far.sendall(bytes([octet]))
            await trio.sleep(0.005)

    assert trio.current_time() - began < 1
    assert " why=silent " in house.log.about("proxy_header")[0]


@trusting
async def test_at_the_bound_the_eldest_makes_way(house: House, street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAITING_LIMIT", 2)
    eldest, *others = [street.connect(PROXY) for _ in range(3)]

    assert await reply_to(eldest) == b""
    assert " why=crowded " in house.log.about("proxy_header")[0]
    assert len(street.entrance) == 2
    for far in others:
        far.sendall(encode_v1((FRIEND, 4711), SERVER))
    await until(lambda: house.proxy.counters["handed_over"] == 2)


@trusting
async def test_a_bug_in_reading_ends_that_connection_only(
    house: House, street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = street.connect(PROXY)
    with monkeypatch.context() as broken:
        broken.setattr("frontproxy.arrivals.proxied.parse", bug)
        at_once = street.connect(PROXY, b"PROXY ")
        later.sendall(b"PROXY ")
        await until(lambda: house.proxy.counters["bugs"] == 2)
    for far in (at_once, later):
        with pytest.raises(ConnectionResetError):
            far.recv(100)
    street.connect(PROXY, encode_v1((FRIEND, 4711), SERVER))
    assert house.proxy.counters["handed_over"] == 1


async def test_a_client_that_was_passed_comes_in(house: House, street: Street) -> None:
    served, client = street.client()
    postscreen = street.bring(LIST, served.fileno())

    taken = house.smtpds["nice"].take()
    assert {name: taken.attributes[name] for name in pass_protocol.MANDATORY} == pass_protocol.decode(LIST)
    assert taken.client.getpeername() == client.getsockname()
    assert postscreen.recv(1) == b""


@pytest.mark.parametrize("house", [QUICK], indirect=True)
async def test_a_stranger_that_was_passed_waits_its_pause(house: House, street: Street) -> None:
    served, _client = street.client()
    street.bring(LIST.replace(FRIEND.encode(), STRANGER.encode()), served.fileno())
    assert len(house.proxy.room) == 1

    await until(lambda: house.proxy.counters["handed_over"])
    assert house.smtpds["hostile"].take().attributes["client_address"] == STRANGER


async def test_who_was_passed_may_be_refused(house: House, street: Street) -> None:
    served, client = street.client()
    street.bring(LIST.replace(FRIEND.encode(), BANNED.encode()), served.fileno())
    served.close()

    assert await reply_to(client) == b"554 5.7.1 Access denied\r\n"


async def test_attributes_that_come_later_are_waited_for(house: House, street: Street) -> None:
    served, _client = street.client()
    postscreen = street.bring(LIST[:1], served.fileno())
    assert len(street.entrance) == 1

    postscreen.sendall(LIST[1:])
    await until(lambda: house.proxy.counters["handed_over"])
    assert house.smtpds["nice"].take().attributes["client_address"] == FRIEND


async def test_a_client_without_valid_attributes_gets_a_421(house: House, street: Street) -> None:
    served, client = street.client()
    postscreen = street.bring(LIST.replace(b"4711", b"0"), served.fileno())
    served.close()

    assert await reply_to(client) == TROUBLE.encode() + b"\r\n"
    assert postscreen.recv(1) == b""
    (line,) = house.log.about("passed")
    assert " why=broken state=refused " in line
    assert house.proxy.counters["refused_passed"] == 1


@pytest.mark.usefixtures("quick")
async def test_a_client_whose_attributes_never_come_gets_a_421(house: House, street: Street) -> None:
    served, client = street.client()
    street.bring(LIST[:-1], served.fileno())
    served.close()

    assert await reply_to(client) == TROUBLE.encode() + b"\r\n"
    assert " why=silent " in house.log.about("passed")[0]


@pytest.mark.usefixtures("quick")
async def test_who_brings_nothing_is_closed(house: House, street: Street) -> None:
    postscreen = street.bring(b"\0")

    assert await trio.to_thread.run_sync(postscreen.recv, 1) == b""
    assert " why=silent " in house.log.about("passed")[0]


async def test_not_even_a_farewell_that_fails_ends_the_proxy(
    house: House, street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_more_watches(*_arguments: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(house.proxy.farewell, "reply", no_more_watches)
    served, client = street.client()
    street.bring(LIST.replace(b"4711", b"0"), served.fileno())
    served.close()

    assert await reply_to(client) == b""


@trusting
async def test_when_its_door_closes_nobody_is_waited_for(house: House, street: Street) -> None:
    far = street.connect(PROXY)

    assert street.entrance.shed(len(street.entrance), "closing") == 1
    assert await reply_to(far) == b""
    assert " why=closing " in house.log.about("proxy_header")[0]


async def test_at_the_end_of_all_every_socket_is_closed(house: House) -> None:
    async with trio.open_nursery() as strangers:
        street = Street(house, strangers)
        served, _client = street.client()
        postscreen = street.bring(LIST[:-1], served.fileno())
        await trio.testing.wait_all_tasks_blocked()
        strangers.cancel_scope.cancel()

    assert postscreen.recv(1) == b""
    assert " why=closing " in house.log.about("passed")[0]
    street.close()
