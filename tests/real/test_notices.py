"""The kernel's notices where only root can go: other network namespaces, clients that vanish, a user without rights."""

import socket
import sys
from collections.abc import Iterator
from contextlib import closing

import pytest

from frontproxy.handover.kernel_notices import KernelNotices, NoNotices, SocketName
from frontproxy.wire.sock_diag import Holding
from tests.fakes import tcp_pair
from tests.real.elsewhere import Elsewhere, run
from tests.real.house import wait_for
from tests.real.need import need


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    need("ip", "nft", root=True)
    with closing(Elsewhere()) as elsewhere:
        yield elsewhere


def name_of(sock: socket.socket) -> SocketName:
    name = SocketName.of(sock)
    assert name is not None
    return name


def told_until(kernel: KernelNotices, cookie: int) -> set[int]:
    """All cookies told, this one being the last that we wait for."""
    told: set[int] = set()

    def has_come() -> bool:
        told.update(kernel.ended())
        return cookie in told

    wait_for(has_come, "the notice")
    return told


def test_a_session_of_another_network_namespace_is_not_seen_from_here(elsewhere: Elsewhere) -> None:
    with closing(KernelNotices.open()) as here:

        def compare() -> None:
            run("ip", "link", "set", "lo", "up")
            with closing(KernelNotices.open()) as there:
                server, client = tcp_pair()
                name = name_of(server)
                with server, client:
                    assert there.ask(name_of(server)) is Holding.HELD
                    assert here.ask(name_of(server)) is not Holding.HELD
                    assert here.ask(name) is Holding.NOT_FOUND, "as if it had ended"
                told_until(there, name.cookie)
                assert name.cookie not in here.ended()

        elsewhere.do(compare)


def test_a_client_that_vanishes_holds_no_place_once_its_server_is_done(elsewhere: Elsewhere) -> None:
    def vanish() -> None:
        run("ip", "link", "set", "lo", "up")
        with closing(KernelNotices.open()) as kernel:
            server, client = tcp_pair()
            name = name_of(server)
            run("nft", "add table inet gone; add chain inet gone in { type filter hook input priority 0; }")
            run("nft", f"add rule inet gone in tcp dport {{ {name.local[1]}, {name.remote[1]} }} drop")
            with client:
                client.send(b"never arrives")
                assert kernel.ask(name) is Holding.HELD
                server.close()
                another, its_client = tcp_pair()
                barrier = name_of(another).cookie
                another.close()
                its_client.close()

                assert name.cookie not in told_until(kernel, barrier), "its farewell is never acknowledged"
                assert kernel.ask(name) is Holding.LET_GO

    elsewhere.do(vanish)


def test_a_client_of_the_link_is_found_by_its_interface(elsewhere: Elsewhere) -> None:
    def meet() -> None:
        run("ip", "link", "set", "lo", "up")
        run("ip", "address", "add", "fe80::25/64", "dev", "lo", "nodad")
        with closing(KernelNotices.open()) as kernel, socket.socket(socket.AF_INET6) as door:
            door.bind(("fe80::25", 0, 0, socket.if_nametoindex("lo")))
            door.listen()
            with socket.socket(socket.AF_INET6) as client:
                client.connect(door.getsockname())
                with door.accept()[0] as server:
                    assert kernel.ask(name_of(server)) is Holding.HELD

    elsewhere.do(meet)


def test_a_door_that_is_bound_to_an_interface_is_no_obstacle(elsewhere: Elsewhere) -> None:
    def meet() -> None:
        run("ip", "link", "set", "lo", "up")
        with closing(KernelNotices.open()) as kernel, socket.socket() as door:
            door.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo\0")
            door.bind(("127.0.0.1", 0))
            door.listen()
            with socket.create_connection(door.getsockname()), door.accept()[0] as server:
                assert kernel.ask(name_of(server)) is Holding.HELD

    elsewhere.do(meet)


def test_where_no_connection_can_be_tried_there_are_no_notices(elsewhere: Elsewhere) -> None:
    def find_none() -> None:
        with pytest.raises(NoNotices, match=r"no connection to ourselves to try them with \(Network is unreachable\)"):
            KernelNotices.open()
        run("ip", "link", "set", "lo", "up")
        run("nft", "add table inet wall; add chain inet wall in { type filter hook input priority 0; policy drop; }")
        with pytest.raises(NoNotices, match=r"no connection to ourselves to try them with \(timed out\)"):
            KernelNotices.open()

    elsewhere.do(find_none)


WITHOUT_RIGHTS = """
import os
from contextlib import closing
from pathlib import Path
from frontproxy.handover.kernel_notices import Holding, KernelNotices, SocketName
from tests.fakes import tcp_pair

for end in tcp_pair():  # Python loads what it needs for it, which nobody may not read
    end.close()
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
assert "CapEff:\\t0000000000000000" in Path("/proc/self/status").read_text()
with closing(KernelNotices.open()) as kernel:
    server, client = tcp_pair()
    name = SocketName.of(server)
    assert kernel.only_ports({name.local[1]})
    assert kernel.ask(name) is Holding.HELD
    server.close()
    assert kernel.ask(name) is Holding.LET_GO
    client.close()
    while name.cookie not in kernel.ended():
        pass
"""


def test_a_user_without_any_rights_is_told_all_the_same() -> None:
    need(root=True)

    run(sys.executable, "-c", WITHOUT_RIGHTS)
