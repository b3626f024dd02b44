"""The loop of the log feed: its turns are taken by hand, so nothing here waits for a clock."""

import os
import select
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from frontproxy.learn.follow import LINE_LIMIT, Follower, Piped
from frontproxy.learn.maillog_loop import PORTLESS, MaillogLoop
from frontproxy.learn.reporter import Reporter
from frontproxy.lifeline import ChildLog
from frontproxy.logs import LogReader, Seen
from frontproxy.wire.outcome_line import OutcomeLine, decode
from tests.fakes import PATIENCE, open_descriptors

NOW = 1_800_000_000.0


class Reader(LogReader):
    """Understands `SERVICE CLIENT PORT ENDED`, and nothing else."""

    def __init__(self) -> None:
        super().__init__(year=2026, now=NOW)

    def read(self, line: bytes) -> Seen | None:
        match line.decode().split():
            case [service, client, port, ended]:
                outcome = OutcomeLine(client=client, port=int(port), ended=float(ended), end="quit")
                return Seen(outcome, "", "mx 1", service)
        self.not_understood += 1
        self.examples.append(line)
        return None


class Post:
    """A loop that follows a log, with its desk, its journal and its lifeline."""

    def __init__(self, folder: Path) -> None:
        self._report = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._report.bind(str(folder / "report"))
        self._report.listen()
        self.path = folder / "mail.log"
        self.path.touch()
        self._log_end, log = os.pipe()
        lifeline, self.lifeline = os.pipe()
        os.set_blocking(self._log_end, False)
        self._open = [self._log_end, log, lifeline]
        self._reporter = Reporter(folder / "report")
        self._now = 1000.0
        self.reader = Reader()
        self.loop = MaillogLoop(
            Follower(self.path), self.reader, self._reporter, ChildLog("feed", "maillog", log), lifeline
        )
        self.loop.begin(self._now, NOW)
        self.turn()
        self._desk, _nobody = self._report.accept()
        self._desk.settimeout(PATIENCE)

    def write(self, *lines: str) -> None:
        """Lines for the log, and the turn in which they are seen."""
        with self.path.open("a") as file:
            file.writelines(line + "\n" for line in lines)
        self.turn()

    def turn(self, after: float = 0.25) -> None:
        """One turn, so many seconds later."""
        self._now += after
        self.loop.wait(self._now)
        self.loop.work(self._now, NOW)

    def hear(self) -> OutcomeLine:
        """The next outcome that was told."""
        line = b""
        while not line.endswith(b"\n"):
            line += self._desk.recv(1)
        return decode(line)

    def has_told(self) -> bool:
        """An outcome waits to be heard."""
        return bool(select.select([self._desk], [], [], 0)[0])

    def is_wanted(self) -> bool:
        """The loop would go on."""
        return self.loop.is_wanted

    def log(self) -> list[str]:
        """All it has said since the last time."""
        return os.read(self._log_end, 65536).decode().splitlines()

    def hang_up(self) -> None:
        """Close the lifeline."""
        os.close(self.lifeline)
        self.lifeline = -1

    def close(self) -> None:
        """All of it."""
        self.loop.close(self._now)
        self._reporter.close()
        self._desk.close()
        self._report.close()
        for descriptor in [*self._open, *([self.lifeline] if self.lifeline >= 0 else [])]:
            os.close(descriptor)


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Post]:
    before = open_descriptors()
    post = Post(tmp_path)
    yield post
    post.close()
    assert open_descriptors() <= before


def test_a_session_that_ended_is_told(post: Post) -> None:
    post.write("postfix/smtpd 192.0.2.1 4711 1799999999")

    assert post.hear() == OutcomeLine(client="192.0.2.1", port=4711, ended=NOW - 1, end="quit")
    assert not post.has_told()


def test_it_says_that_it_is_ready_and_that_it_lives(post: Post) -> None:
    post.turn(4)

    assert post.log() == ["event=feed_ready name=maillog"] + ["event=alive name=maillog"] * 2


def test_a_log_in_another_zone_tells_nothing_of_the_future(post: Post) -> None:
    post.write("postfix/smtpd 192.0.2.1 4711 1800007200")

    assert post.hear().ended == NOW


@pytest.mark.parametrize(
    "service", ["postfix/submission/smtpd", "postfix/submissions/smtpd", "postfix/smtps/smtpd", "mx/submission/smtpd"]
)
def test_users_who_authenticate_are_not_told(post: Post, service: str) -> None:
    post.write(f"{service} 192.0.2.1 4711 1", "postfix/submissive/smtpd 192.0.2.2 4712 1")

    assert post.hear().client == "192.0.2.2"
    assert not post.has_told()


@pytest.mark.parametrize(
    ("service", "remedy"),
    [("postfix/smtpd", "main.cf needs: smtpd_client_port_logging = yes"), ("exim", "log_selector")],
)
def test_a_log_without_ports_is_a_trouble_and_told_once(post: Post, service: str, remedy: str) -> None:
    post.write(*[f"{service} 192.0.2.1 0 1"] * (PORTLESS - 1))
    assert post.loop.trouble == ""
    for _ in range(3):
        post.write(f"{service} 192.0.2.1 0 1")
    post.turn(4)

    assert remedy in post.loop.trouble
    assert not post.has_told()
    troubles = [line for line in post.log() if remedy in line]
    assert troubles[0].startswith("event=feed name=maillog state=trouble why=")
    assert [line.partition(" trouble=")[0] for line in troubles[1:]] == ["event=alive name=maillog"]

    post.write("postfix/smtpd 192.0.2.1 4711 1")
    assert post.loop.trouble == ""
    assert post.log() == ["event=feed name=maillog state=well"]


def test_a_log_that_is_not_to_be_had_is_a_trouble(tmp_path: Path, post: Post) -> None:
    post.path.rename(tmp_path / "gone")
    post.path.mkdir()
    for _ in range(8):
        post.turn()
    assert post.loop.trouble == f"{post.path}: neither a file nor a FIFO"

    post.path.rmdir()
    post.turn()
    post.write("postfix/smtpd 192.0.2.1 4711 1")
    assert post.loop.trouble == ""
    assert post.hear().port == 4711


def test_lines_that_are_not_understood_are_told_now_and_then_with_an_example(post: Post) -> None:
    post.write("what is this", "and\x1b[2J this")
    post.turn(4)
    post.write("this, too")
    post.turn(4)

    said = [line for line in post.log() if "not_understood" in line]
    assert said == [
        'event=feed name=maillog state=not_understood times=1 so_far=2 example="and\\x1b[2J this"',
    ]


def test_the_example_is_a_line_that_came_since_the_last_one(post: Post) -> None:
    post.write(*["old"] * 9)
    post.turn(4)
    post.turn(20)
    post.write("new")
    post.turn(4)

    assert [line.partition("example=")[2] for line in post.log() if "not_understood" in line] == ["old", "new"]
    assert post.reader.examples == []


def test_lines_that_are_too_long_are_told(post: Post) -> None:
    post.write("x" * (LINE_LIMIT + 1))
    post.turn(4)

    assert "event=feed name=maillog state=long_lines times=1 so_far=1" in post.log()


def test_it_ends_with_its_lifeline(post: Post) -> None:
    assert post.is_wanted()
    post.hang_up()
    post.turn(0)

    assert not post.is_wanted()


def test_a_pipe_on_standard_input_is_told_to_its_end(tmp_path: Path) -> None:
    source, writer = os.pipe()
    os.write(writer, b"exim 192.0.2.1 4711 1\nexim 192.0.2.1 4712 1\nexim")
    os.close(writer)
    with socket.socket(socket.AF_UNIX) as desk:
        desk.settimeout(PATIENCE)
        desk.bind(str(tmp_path / "report"))
        desk.listen()
        reporter = Reporter(tmp_path / "report")
        MaillogLoop(Piped(source), Reader(), reporter, ChildLog("feed", "maillog", source)).run()
        reporter.close()
        with desk.accept()[0] as told:
            lines = told.makefile("rb").readlines()
    os.close(source)

    assert [decode(line).port for line in lines] == [4711, 4712]


def test_what_frontproxy_has_not_taken_yet_is_told_before_the_end(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"exim 192.0.2.1 4711 1\n" * 6000)
    source = os.open(tmp_path / "log", os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as desk:
        desk.bind(str(tmp_path / "report"))
        desk.listen()
        reporter, now = Reporter(tmp_path / "report"), 1000.0
        loop = MaillogLoop(Piped(source), Reader(), reporter, ChildLog("feed", "maillog", source))
        loop.begin(now, NOW)
        told = b""
        loop.work(now, NOW)
        with desk.accept()[0] as taken:
            while loop.is_wanted:
                now += 0.25
                loop.wait(now)
                loop.work(now, NOW)
                told += taken.recv(1_000_000)
            loop.close(now)
            while data := taken.recv(1_000_000):
                told += data
    os.close(source)

    assert told.count(b"\n") == 6000
