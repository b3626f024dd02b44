"""The bundled smtpd as a process, and the example backend: real sockets, real signals, a real full disk."""

import contextlib
import json
import os
import signal
import smtplib
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from frontproxy.wire import outcome_line, pass_protocol

_ROOT = Path(__file__).parent.parent.parent
_MESSAGE = "Subject: hello\r\n\r\nHello Ned\r\n"


@contextmanager
def _smtpd(*arguments: str, folder: Path, **options: object) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "backends.smtpd", *arguments]
    environment = os.environ | {"PYTHONPATH": str(_ROOT)}
    with subprocess.Popen(  # type: ignore[call-overload]  # options are those of Popen
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def _standalone(folder: Path, *arguments: str, **options: object) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    arguments = ("--personality", "nice", "--listen", "127.0.0.1:0", *arguments)
    with _smtpd(*arguments, folder=folder, **options) as process:
        assert process.stdout is not None
        words = process.stdout.readline().decode().split()
        assert words[:2] == ["listening", "on"]
        yield process, int(words[2].rpartition(":")[2])


def _stored(folder: Path) -> list[Path]:
    return list((folder / "var/mail/new").iterdir())


def test_smtplib_delivers_to_a_server_of_its_own(tmp_path: Path) -> None:
    with _standalone(tmp_path) as (process, port):
        with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
            assert client.sendmail("ann@b.example", ["ned@example.com", "x@y.example"], _MESSAGE) == {
                "x@y.example": (550, b"5.7.1 Relay access denied")
            }
            client.ehlo()
            assert client.has_extn("pipelining")
            assert client.has_extn("smtputf8")
        process.send_signal(signal.SIGINT)
        assert process.wait(5) == 0
    (file,) = _stored(tmp_path)
    assert b"Received: from " in file.read_bytes()
    assert file.read_bytes().endswith(_MESSAGE.encode())


def test_an_always_hostile_server_ends_at_the_first_error(tmp_path: Path) -> None:
    hostile = ("--personality", "hostile", "--stress")
    with (
        _standalone(tmp_path, *hostile) as (_process, port),
        socket.create_connection(("127.0.0.1", port), timeout=10) as client,
    ):
        client.sendall(b"FOO\r\n")
        said = b"".join(iter(lambda: client.recv(4096), b""))
    assert b"500 5.5.2" in said
    assert said.endswith(b"421 4.7.0 Too many errors\r\n")


def test_a_full_disk_is_a_452_and_leaves_nothing(tmp_path: Path) -> None:
    """The limit on the size of files stands for the disk: the kernel says EFBIG where a full one says ENOSPC."""
    options = {"preexec_fn": lambda: _limit_files(20_000)}
    with _standalone(tmp_path, **options) as (_process, port), smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
        with pytest.raises(smtplib.SMTPDataError) as refusal:
            client.sendmail("ann@b.example", ["ned@example.com"], "x" * 70 + ("\r\n" + "x" * 70) * 1000)
        assert refusal.value.smtp_code == 452
        client.sendmail("ann@b.example", ["ned@example.com"], _MESSAGE)
    assert len(_stored(tmp_path)) == 1
    assert not list((tmp_path / "var/mail/tmp").iterdir())


def _limit_files(size: int) -> None:
    import resource  # noqa: PLC0415  # in the child only

    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def test_ten_megabytes_without_a_line_end_are_cut_short(tmp_path: Path) -> None:
    with _standalone(tmp_path) as (_process, port), socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        with contextlib.suppress(ConnectionError):
            client.sendall(b"x" * 10_000_000)
        said = b""
        with contextlib.suppress(ConnectionError):
            while piece := client.recv(4096):
                said += piece
    assert not said or b"500 5.5.2 Line too long" in said or said.startswith(b"220")


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        ((), 64, "one of the arguments"),
        (("--personality", "nice", "--listen", "nowhere"), 64, "ADDRESS:PORT"),
        (("--listen", "127.0.0.1:0"), 64, "--personality is missing"),
        (("--personality", "nice", "--listen", "127.0.0.1:0", "-c", "bad.toml"), 78, "smtpd.timeout: 'soon' is not a"),
        (("--personality", "nice", "--listen", "127.0.0.1:0", "-c", "none.toml"), 78, "No such file"),
        (("--personality", "nice", "--listen", "192.0.2.1:0"), 71, "cannot listen on 192.0.2.1:0"),
    ],
)
def test_a_bad_start_says_why(tmp_path: Path, arguments: tuple[str, ...], code: int, text: str) -> None:
    (tmp_path / "bad.toml").write_text('[smtpd]\ntimeout = "soon"\n')
    with _smtpd(*arguments, folder=tmp_path) as process:
        _, errors = process.communicate(timeout=10)
    assert process.returncode == code
    assert text in errors.decode()


def test_a_port_in_use_says_so(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        with _smtpd("--personality", "nice", "--listen", address, folder=tmp_path) as process:
            _, errors = process.communicate(timeout=10)
    assert process.returncode == 71
    assert "in use" in errors.decode()


def test_check_tells_every_mistake(tmp_path: Path) -> None:
    table = {"timeout": "soon", "hostile": {"stress": {"hard_error_limit": "$nothing"}}}
    orders = {"smtpd": table, "folder": str(tmp_path), "personalities": ["nice", "hostile"]}
    with _smtpd("--check", folder=tmp_path, stdin=subprocess.PIPE) as process:
        answer, _ = process.communicate(json.dumps(orders).encode(), timeout=10)
    assert process.returncode == 0
    values = json.loads(answer)
    assert [it["key"] for it in values["mistakes"]] == ["smtpd.hostile.stress.hard_error_limit", "smtpd.timeout"]
    assert set(values["effective"]) == {"nice", "nice.stress", "hostile", "hostile.stress"}
    assert values["delivery"] == str(tmp_path / "var/mail")


class _Parent:
    """What frontproxy is to a bundled smtpd: its handover socket, its lifeline, its report socket."""

    def __init__(self, folder: Path) -> None:
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(folder / "handover"))
        self.listener.listen()
        self.reports = socket.socket(socket.AF_UNIX)
        self.reports.bind(str(folder / "report"))
        self.reports.listen()
        self.reports.settimeout(10)
        self._folder = folder

    @contextmanager
    def child(self, name: str = "hostile") -> Iterator[subprocess.Popen[bytes]]:
        """A bundled smtpd that was told what to do."""
        number = self.listener.fileno()
        arguments = ("--personality", name, "--handover-fd", str(number))
        options = {"stdin": subprocess.PIPE, "pass_fds": [number]}
        with _smtpd(*arguments, folder=self._folder, **options) as process:
            orders = {"smtpd": {}, "folder": str(self._folder), "report": str(self._folder / "report")}
            assert process.stdin is not None
            process.stdin.write(json.dumps(orders).encode() + b"\n")
            process.stdin.flush()
            yield process

    def hand_over(self, **extra: str) -> socket.socket:
        """A client of a passed session."""
        attributes = {"client_address": "192.0.2.1", "client_port": "4711"}
        attributes |= {"server_address": "::1", "server_port": "25"}
        with socket.socket(socket.AF_UNIX) as way:
            way.connect(str(self._folder / "handover"))
            ours, theirs = socket.socketpair()
            with theirs:
                socket.send_fds(way, [pass_protocol.encode(attributes | extra)], [theirs.fileno()])
        ours.settimeout(10)
        return ours

    def outcomes(self, number: int) -> list[outcome_line.OutcomeLine]:
        """The next outcomes; waits for them."""
        with self.reports.accept()[0] as connection, connection.makefile("rb") as lines:
            connection.settimeout(10)
            return [outcome_line.decode(lines.readline()) for _ in range(number)]

    def close(self) -> None:
        self.listener.close()
        self.reports.close()


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[_Parent]:
    it = _Parent(tmp_path)
    yield it
    it.close()


def _say(client: socket.socket, data: bytes, until: bytes) -> bytes:
    client.sendall(data)
    said = b""
    while until not in said and (piece := client.recv(4096)):
        said += piece
    return said


_ENVELOPE = b"EHLO c\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<ned@example.com>\r\nDATA\r\n"


def test_a_passed_session_is_served_and_reported(parent: _Parent, tmp_path: Path) -> None:
    with parent.child(), parent.hand_over(session="s1") as client:
        assert b"354 " in _say(client, _ENVELOPE, b"354 ")
        assert b"221 " in _say(client, b"x\r\n.\r\nQUIT\r\n", b"221 ")
        (outcome,) = parent.outcomes(1)
    assert (outcome.client, outcome.port, outcome.session) == ("192.0.2.1", 4711, "s1")
    assert (outcome.messages, outcome.unverified, outcome.end) == (1, 1, "quit")
    assert abs(outcome.ended - time.time()) < 60
    (file,) = _stored(tmp_path)
    assert b"([192.0.2.1]:4711)" in file.read_bytes()
    assert b"(session s1)" in file.read_bytes()


def test_the_end_of_the_lifeline_finishes_sessions_and_backlog(parent: _Parent, tmp_path: Path) -> None:
    with parent.child() as process, parent.hand_over() as client:
        assert b"354 " in _say(client, _ENVELOPE, b"354 ")
        assert process.stdin is not None
        process.send_signal(signal.SIGSTOP)
        late = parent.hand_over()
        process.stdin.close()
        process.send_signal(signal.SIGCONT)
        with late:
            assert b"221 " in _say(late, b"QUIT\r\n", b"221 ")
        assert b"221 " in _say(client, b"x\r\n.\r\nQUIT\r\n", b"221 ")
        assert [outcome.end for outcome in parent.outcomes(2)] == ["quit", "quit"]
        assert process.wait(10) == 0
    assert len(_stored(tmp_path)) == 1


def test_a_drain_ends_waiting_sessions_and_lets_a_message_finish(parent: _Parent, tmp_path: Path) -> None:
    with parent.child() as process, parent.hand_over() as busy, parent.hand_over() as waiting:
        assert b"354 " in _say(busy, _ENVELOPE, b"354 ")
        assert b"220 " in _say(waiting, b"", b"220 ")
        process.send_signal(signal.SIGINT)  # the terminal's, which is not for us
        process.send_signal(signal.SIGTERM)
        assert b"421 4.3.2" in _say(waiting, b"", b"421 ")
        assert b"250 2.0.0 Ok: queued" in _say(busy, b"x\r\n.\r\n", b"421 4.3.2")
        busy.close()
        waiting.close()
        assert process.wait(10) == 0
    assert len(_stored(tmp_path)) == 1


def test_a_log_that_nobody_reads_stops_nothing(parent: _Parent, tmp_path: Path) -> None:
    with parent.child() as process:
        for _turn in range(1000):
            with socket.socket(socket.AF_UNIX) as way:
                way.connect(str(tmp_path / "handover"))
                way.send(b"garbage" * 10)
        with parent.hand_over() as client:
            assert b"221 " in _say(client, b"QUIT\r\n", b"221 ")
        assert process.poll() is None


def test_the_example_backend_takes_a_session_and_reports_it(parent: _Parent, tmp_path: Path) -> None:
    parent.listener.close()
    (tmp_path / "handover").unlink()
    command = [sys.executable, "-m", "backends.example", str(tmp_path / "handover"), str(tmp_path / "report")]
    with subprocess.Popen(command, cwd=_ROOT) as process:
        try:
            with _eventually(lambda: parent.hand_over(session="s7")) as client:
                assert client.recv(100) == b"554 5.3.2 No mail today\r\n"
            (outcome,) = parent.outcomes(1)
        finally:
            process.kill()
    assert (outcome.session, outcome.client, outcome.end) == ("s7", "192.0.2.1", "refused")


def _eventually(connect: Callable[[], socket.socket]) -> socket.socket:
    """What `connect` returns once somebody listens."""
    deadline = time.monotonic() + 10
    while True:
        try:
            return connect()
        except (FileNotFoundError, ConnectionRefusedError):
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_a_child_that_cannot_deliver_says_so_in_its_log(parent: _Parent, tmp_path: Path) -> None:
    (tmp_path / "var").write_text("a file, and no folder")
    with parent.child() as process:
        _, log = process.communicate(timeout=10)
    assert process.returncode == 78
    assert log.startswith(b"event=smtpd_error what=")
    assert b"smtpd.delivery: " in log
