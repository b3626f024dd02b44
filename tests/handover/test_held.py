"""The sockets that servers hold for us: whose they are. What becomes of them is told in test_pools_exact."""

from collections.abc import Collection

import pytest

from frontproxy.handover.held import HeldSockets
from frontproxy.handover.kernel_notices import Endpoint, KernelNotices, SocketName
from tests.fakes import no_notices

CLIENT = "203.0.113.9", 4711


class FakeKernel(KernelNotices):
    """A kernel whose only connection has come to a certain address."""

    def __init__(self, local: Endpoint) -> None:
        self.lost = 0
        self.only = SocketName(1, local, CLIENT)

    def held_on(self, ports: Collection[int]) -> list[SocketName]:
        return [self.only] if self.only.local[1] in ports else []


@pytest.mark.parametrize(
    ("doors", "local", "is_ours"),
    [
        ([("192.0.2.25", 25)], "192.0.2.25", True),
        ([("192.0.2.25", 25)], "127.0.0.1", False),
        ([("192.0.2.25", 26), ("127.0.0.1", 25)], "192.0.2.25", False),
        ([("0.0.0.0", 25)], "192.0.2.25", True),
        ([("::", 25)], "2001:db8::25", True),
        ([("::", 25)], "::ffff:192.0.2.25", True),
        ([("2001:db8::25", 25)], "2001:db8::25", True),
        ([("2001:db8::25", 25)], "2001:db8::26", False),
        ([("::ffff:192.0.2.25", 25)], "192.0.2.25", True),
        ([("fe80::1%lo", 25)], "fe80::1", True),
        ([("0.0.0.0", 26)], "192.0.2.25", False),
        ([], "192.0.2.25", False),
    ],
)
def test_survivors_are_those_who_came_by_our_doors(doors: list[Endpoint], local: str, is_ours: bool) -> None:
    """Another server of this machine may use the port of ours on another address."""
    kernel = FakeKernel((local, 25))

    assert HeldSockets(kernel).survivors(doors) == ([kernel.only] if is_ours else [])


def test_where_the_kernel_tells_nothing_there_are_no_survivors() -> None:
    assert no_notices().survivors([("0.0.0.0", 25)]) == []
