"""The front door's sockets: how they listen, and what the operator reads when they cannot."""

import errno
import os
import resource
import socket

import pytest

from frontproxy.core.mistakes import Mistaken
from frontproxy.doors import Address, CannotListen, address_text, open_door
from tests.fakes import await_readable, open_descriptors

HAS_IPV6 = os.path.exists("/proc/net/if_inet6")  # noqa: PTH110


@pytest.mark.parametrize(
    "host", ["127.0.0.1", pytest.param("::1", marks=pytest.mark.skipif(not HAS_IPV6, reason="no IPv6 here"))]
)
def test_a_door_accepts_connections_and_never_waits_for_one(host: str) -> None:
    with open_door((host, 0), "config.toml") as door:
        with pytest.raises(BlockingIOError):
            door.accept()
        with socket.create_connection(door.getsockname()[:2]) as client:
            await_readable(door)
            accepted, peer = door.accept()
            with accepted:
                assert peer[:2] == client.getsockname()[:2]


@pytest.mark.skipif(not HAS_IPV6, reason="no IPv6 here")
def test_an_ipv6_door_leaves_ipv4_to_others() -> None:
    with open_door(("0.0.0.0", 0), "config.toml") as others:
        port = others.getsockname()[1]
        with open_door(("::", port), "config.toml") as door:
            assert door.getsockname()[1] == port


def test_a_door_can_be_opened_again_at_once() -> None:
    with open_door(("127.0.0.1", 0), "config.toml") as door:
        address = door.getsockname()
        with socket.create_connection(address) as client:
            await_readable(door)
            door.accept()[0].close()  # our side closes first, so the port stays in TIME-WAIT
            assert client.recv(1) == b""
    open_door(address, "config.toml").close()


def complaint(address: Address) -> str:
    before = open_descriptors()
    with pytest.raises(CannotListen) as caught:
        open_door(address, "/etc/frontproxy/config.toml")
    assert open_descriptors() == before
    return str(caught.value)


def test_a_port_in_use_is_told_with_its_remedy() -> None:
    with open_door(("127.0.0.1", 0), "config.toml") as door:
        port = door.getsockname()[1]

        assert complaint(("127.0.0.1", port)) == (
            "/etc/frontproxy/config.toml: listen.addresses: "
            f"cannot listen on 127.0.0.1:{port}: Address already in use; "
            "stop the program that listens there (ss -ltnp shows it), or choose another port"
        )


def test_an_address_of_another_machine_is_told_with_its_remedy() -> None:
    assert complaint(("192.0.2.1", 2525)).endswith(
        "cannot listen on 192.0.2.1:2525: Cannot assign requested address; "
        "use an address of this machine (ip addr shows them)"
    )


def test_a_machine_without_ipv6_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such a kernel does not even make the socket."""

    def refuse(*_arguments: object) -> socket.socket:
        raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")

    monkeypatch.setattr("frontproxy.doors.socket.socket", refuse)

    assert complaint(("::1", 2525)).endswith(
        "cannot listen on [::1]:2525: Address family not supported by protocol; "
        "this machine has no IPv6; remove the address"
    )


def test_without_a_free_descriptor_it_is_told_what_is_missing() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        with pytest.raises(CannotListen, match="Too many open files"):
            open_door(("127.0.0.1", 0), "config.toml")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_no_right_to_a_low_port_is_told_with_its_remedy() -> None:
    error = CannotListen(("127.0.0.1", 25), PermissionError(errno.EACCES, "Permission denied"), "config.toml")

    assert isinstance(error, Mistaken)
    assert error.number == errno.EACCES
    assert "cannot listen on 127.0.0.1:25: Permission denied; ports below 1024 need" in str(error)


def test_an_unheard_of_error_still_has_a_remedy() -> None:
    assert "strange; choose another address" in str(CannotListen(("::1", 25), OSError("strange"), "config.toml"))


@pytest.mark.parametrize(
    ("address", "text"), [(("192.0.2.1", 25), "192.0.2.1:25"), (("2001:db8::1", 25), "[2001:db8::1]:25")]
)
def test_addresses_are_written_as_people_do(address: Address, text: str) -> None:
    assert address_text(address) == text
