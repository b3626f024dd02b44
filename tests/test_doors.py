"""The front door's sockets: how they listen, what a reload keeps, what the operator reads when one cannot be had."""

import errno
import os
import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
import trio

from frontproxy.core.config_values import Listen
from frontproxy.core.mistakes import Mistaken
from frontproxy.doors import Address, CannotListen, Door, address_text, doors_for
from tests.fakes import as_nobody, await_readable, open_descriptors

HAS_IPV6 = os.path.exists("/proc/net/if_inet6")  # noqa: PTH110
needs_ipv6 = pytest.mark.skipif(not HAS_IPV6, reason="no IPv6 here")
FILE = "/etc/frontproxy/config.toml"
ANY = ("127.0.0.1", 0)


def listen_at(*places: Address, from_systemd: bool = False) -> Listen:
    return Listen(
        addresses=tuple(place for place in places if isinstance(place, tuple)),
        pass_sockets=tuple(place for place in places if isinstance(place, Path)),
        from_systemd=from_systemd,
    )


def open_one(place: Address) -> Door:
    (door,) = doors_for(listen_at(place), FILE).values()
    return door


def tcp(door: Door) -> tuple[str, int]:
    assert isinstance(door.address, tuple)
    return door.address


async def listening_socket(door: Door) -> socket.socket:
    """What whoever serves the door gets."""
    got: list[socket.socket] = []

    async def listen(sock: socket.socket) -> None:
        got.append(sock)
        await trio.lowlevel.checkpoint()

    await door.serve(listen)
    return got[0]


@pytest.fixture
def inherited() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        sock.setblocking(False)
        yield sock


@pytest.mark.parametrize("host", ["127.0.0.1", pytest.param("::1", marks=needs_ipv6)])
async def test_a_door_accepts_connections_and_never_waits_for_one(host: str) -> None:
    with closing(open_one((host, 0))) as door:
        sock = await listening_socket(door)
        with pytest.raises(BlockingIOError):
            sock.accept()
        with socket.create_connection(tcp(door)) as client:
            await_readable(sock)
            accepted, peer = sock.accept()
            with accepted:
                assert peer[:2] == client.getsockname()[:2]


@needs_ipv6
async def test_an_ipv6_door_leaves_ipv4_to_others() -> None:
    with closing(open_one(("0.0.0.0", 0))) as others:
        port = tcp(others)[1]
        with closing(open_one(("::", port))) as door:
            assert tcp(door)[1] == port


async def test_a_door_can_be_opened_again_at_once() -> None:
    with closing(open_one(ANY)) as door:
        address = tcp(door)
        sock = await listening_socket(door)
        with socket.create_connection(address) as client:
            await_readable(sock)
            sock.accept()[0].close()  # our side closes first, so the port stays in TIME-WAIT
            assert client.recv(1) == b""
    open_one(address).close()


async def test_anybody_who_reaches_the_folder_may_pass_clients(tmp_path: Path) -> None:
    path = tmp_path / "pass"
    with closing(open_one(path)) as door:
        sock = await listening_socket(door)
        assert sock.family == socket.AF_UNIX
        assert path.stat().st_mode & 0o777 == 0o666
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            sock.accept()[0].close()
    assert not path.exists()


async def test_a_socket_file_that_nobody_listens_at_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "pass"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))

    with closing(open_one(path)) as door:
        assert door.address == path


async def test_a_reload_keeps_the_doors_that_are_still_wanted(tmp_path: Path) -> None:
    path, other = tmp_path / "pass", tmp_path / "other"
    with ExitStack() as undo:
        before = doors_for(listen_at(ANY, path), FILE)
        after = doors_for(listen_at(path, ANY, other), FILE, opened=before)
        for door in after.values():
            undo.callback(door.close)

        assert after[ANY] is before[ANY]
        assert after[path] is before[path]
        assert list(after) == [ANY, path, other]


async def test_all_are_opened_or_none(tmp_path: Path) -> None:
    path, other = tmp_path / "pass", tmp_path / "other"
    with closing(open_one(ANY)) as door, closing(open_one(path)) as kept:
        before = open_descriptors()
        wanted = listen_at(ANY, tcp(door), path, other)
        with pytest.raises(CannotListen):
            doors_for(wanted, FILE, opened={path: kept})

        assert open_descriptors() <= before
        assert path.is_socket()
        assert not other.exists()
        with socket.create_connection(tcp(door)):
            pass


async def test_a_socket_of_systemd_outlives_its_door(inherited: socket.socket) -> None:
    for _ in range(2):
        (door,) = doors_for(listen_at(from_systemd=True), FILE, inherited=[inherited]).values()
        with closing(door):
            assert tcp(door) == inherited.getsockname()
            sock = await listening_socket(door)
            with socket.create_connection(tcp(door)):
                await_readable(sock)
                sock.accept()[0].close()
            with pytest.raises(BlockingIOError):
                sock.accept()


async def test_what_systemd_has_opened_is_not_opened_again(inherited: socket.socket) -> None:
    address = inherited.getsockname()
    opened = doors_for(listen_at(address, from_systemd=True), FILE, inherited=[inherited])
    try:
        assert list(opened) == [address]
        again = doors_for(listen_at(address), FILE, opened=opened, inherited=[inherited])
        assert again == opened
    finally:
        opened[address].close()


async def test_the_file_of_a_socket_of_systemd_stays(tmp_path: Path) -> None:
    path = tmp_path / "pass"
    with socket.socket(socket.AF_UNIX) as inherited:
        inherited.bind(str(path))
        inherited.listen()
        (door,) = doors_for(listen_at(from_systemd=True), FILE, inherited=[inherited]).values()
        assert door.address == path
        door.close()

    assert path.is_socket()


def test_without_a_socket_of_systemd_it_is_told_how_to_get_one() -> None:
    before = open_descriptors()
    with pytest.raises(Mistaken) as caught:
        doors_for(listen_at(ANY, from_systemd=True), FILE)

    assert str(caught.value) == (
        f"{FILE}: listen.addresses: systemd passed no listening socket; start frontproxy by frontproxy.socket"
    )
    assert open_descriptors() <= before


def complaint(place: Address) -> str:
    before = open_descriptors()
    with pytest.raises(CannotListen) as caught:
        open_one(place)
    assert open_descriptors() <= before
    return str(caught.value)


async def test_a_port_in_use_is_told_with_its_remedy() -> None:
    with closing(open_one(ANY)) as door:
        port = tcp(door)[1]

        assert complaint(("127.0.0.1", port)) == (
            f"{FILE}: listen.addresses: cannot listen on 127.0.0.1:{port}: Address already in use; "
            "stop the program that listens there (ss -ltnp shows it), or choose another port"
        )


async def test_a_path_in_use_is_told_with_its_remedy(tmp_path: Path) -> None:
    path = tmp_path / "pass"
    with closing(open_one(path)):
        assert complaint(path) == (
            f"{FILE}: listen.addresses: cannot listen on pass:{path}: Address already in use; "
            "stop the program that listens there (ss -lxp shows it), or choose another path"
        )


async def test_a_file_in_the_way_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "pass"
    path.write_text("precious")

    assert complaint(path).endswith("is in the way; move the file away, or choose another path")
    assert path.read_text() == "precious"


async def test_a_path_that_is_too_long_is_told(tmp_path: Path) -> None:
    assert complaint(tmp_path / ("x" * 110)).endswith("AF_UNIX path too long; choose another path")


@pytest.mark.skipif(os.geteuid() != 0, reason="root is needed to become somebody else")
async def test_a_folder_of_others_is_told_with_its_remedy(tmp_path: Path) -> None:
    with as_nobody():
        text = complaint(tmp_path / "pass")

    assert text.endswith(": Permission denied; let our user write in its folder, or choose another path")


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


def test_without_a_free_descriptor_it_is_told_what_is_missing(inherited: socket.socket) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        with pytest.raises(CannotListen, match="Too many open files"):
            open_one(ANY)
        with pytest.raises(CannotListen, match="Too many open files"):
            doors_for(listen_at(from_systemd=True), FILE, inherited=[inherited])
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
    ("address", "text"),
    [
        (("192.0.2.1", 25), "192.0.2.1:25"),
        (("2001:db8::1", 25), "[2001:db8::1]:25"),
        (Path("/run/pass"), "pass:/run/pass"),
    ],
)
def test_addresses_are_written_as_people_do(address: Address, text: str) -> None:
    assert address_text(address) == text
