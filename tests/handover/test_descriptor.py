"""Handover by descriptor: what arrives at the server, what is told when it does not."""

import contextlib
import os
import resource
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from frontproxy.handover.descriptor import Saturated, Unreachable, hand_over, message_for
from frontproxy.wire import pass_protocol
from tests.fakes import FakeSmtpd, Visitors, as_nobody, open_descriptors


@contextlib.contextmanager
def at_most_descriptors(free: int) -> Iterator[None]:
    """Only so many more descriptors can be opened."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.open("/dev/null", os.O_RDONLY)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def hand_over_often(sock: socket.socket, path: str) -> None:
    """More often than descriptors may be under way."""
    for _ in range(200):
        hand_over(sock, path, b"\0").close()


def test_the_message_tells_everything_about_a_session(visitors: Visitors) -> None:
    session = visitors.session("2001:db8::1", score=-12.34)

    assert pass_protocol.decode(message_for(session, stress=True)) == {
        "client_address": "2001:db8::1",
        "client_port": str(session.port),
        "server_address": "198.51.100.25",
        "server_port": "25",
        "session": session.id,
        "score": "-12.3",
        "stress": "yes",
    }


def test_without_stress_the_attribute_is_empty(visitors: Visitors) -> None:
    attributes = pass_protocol.decode(message_for(visitors.session(), stress=False))

    assert attributes is not None
    assert attributes["stress"] == ""


def test_the_server_gets_the_clients_own_connection(tmp_path: Path, visitors: Visitors) -> None:
    session = visitors.session()
    with FakeSmtpd(tmp_path / "smtpd") as smtpd:
        with hand_over(session.socket, smtpd.path, message_for(session, stress=False)):
            session.socket.close()
            taken = smtpd.take()
        taken.client.send(b"220 hello\r\n")

    assert taken.attributes["session"] == session.id
    assert visitors.far_end(session).recv(100) == b"220 hello\r\n"


def test_what_a_client_sent_too_early_goes_along(tmp_path: Path, visitors: Visitors) -> None:
    session = visitors.session()
    visitors.far_end(session).send(b"EHLO early\r\n")
    with (
        FakeSmtpd(tmp_path / "smtpd") as smtpd,
        hand_over(session.socket, smtpd.path, message_for(session, stress=False)),
    ):
        assert smtpd.take().client.recv(100) == b"EHLO early\r\n"


def test_the_end_of_the_handover_connection_tells_that_it_was_taken(tmp_path: Path, visitors: Visitors) -> None:
    session = visitors.session()
    with FakeSmtpd(tmp_path / "smtpd") as smtpd, hand_over(session.socket, smtpd.path, b"\0a\0b\0\0") as connection:
        with pytest.raises(BlockingIOError):
            connection.recv(1)
        smtpd.close()

        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(1) == b""


def test_neither_socket_is_inherited_by_children(tmp_path: Path, visitors: Visitors) -> None:
    with FakeSmtpd(tmp_path / "smtpd") as smtpd, hand_over(visitors.session().socket, smtpd.path, b"\0") as connection:
        assert not connection.get_inheritable()


def test_a_full_backlog_is_saturation_and_not_death(tmp_path: Path, visitors: Visitors) -> None:
    session = visitors.session()
    before = open_descriptors()
    with (
        FakeSmtpd(tmp_path / "smtpd", backlog=0) as smtpd,
        hand_over(session.socket, smtpd.path, b"\0"),
        pytest.raises(Saturated),
    ):
        hand_over(session.socket, smtpd.path, b"\0")

    assert open_descriptors() <= before
    assert session.socket.fileno() >= 0, "the client is still ours"


def test_without_a_free_descriptor_the_backend_is_not_blamed(tmp_path: Path, visitors: Visitors) -> None:
    session = visitors.session()
    with (
        FakeSmtpd(tmp_path / "smtpd") as smtpd,
        at_most_descriptors(0),
        pytest.raises(Saturated, match="Too many open files"),
    ):
        hand_over(session.socket, smtpd.path, b"\0")


def test_too_many_descriptors_under_way_are_not_the_backends_fault(visitors: Visitors) -> None:
    """The kernel lets an ordinary user have only so many in flight (unix(7), ETOOMANYREFS)."""
    session = visitors.session()
    with tempfile.TemporaryDirectory() as folder, FakeSmtpd(Path(folder) / "smtpd", backlog=200) as smtpd:
        Path(folder).chmod(0o711)
        Path(smtpd.path).chmod(0o666)
        with as_nobody(), at_most_descriptors(1), pytest.raises(Saturated, match="Too many references"):
            hand_over_often(session.socket, smtpd.path)


def missing(folder: Path) -> Path:
    return folder / "nothing"


def stale(folder: Path) -> Path:
    FakeSmtpd(folder / "stale").close()
    return folder / "stale"


def ordinary_file(folder: Path) -> Path:
    (folder / "file").touch()
    return folder / "file"


def datagram_socket(folder: Path) -> Path:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(folder / "datagram"))
    return folder / "datagram"


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (missing, "No such file or directory"),
        (stale, "Connection refused"),
        (ordinary_file, "Connection refused"),
        (datagram_socket, "Connection refused"),
    ],
)
def test_a_backend_that_nobody_serves_is_unreachable(
    make: Callable[[Path], Path], why: str, tmp_path: Path, visitors: Visitors
) -> None:
    session = visitors.session()
    path = make(tmp_path)
    before = open_descriptors()

    with pytest.raises(Unreachable, match=f"{path}: {why}"):
        hand_over(session.socket, str(path), b"\0")
    assert open_descriptors() <= before


def test_a_backend_that_we_may_not_connect_to_is_unreachable(tmp_path: Path, visitors: Visitors) -> None:
    with FakeSmtpd(tmp_path / "smtpd") as smtpd:
        Path(smtpd.path).chmod(0)
        with as_nobody(), pytest.raises(Unreachable, match="Permission denied"):
            hand_over(visitors.session().socket, smtpd.path, b"\0")
