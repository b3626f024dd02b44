"""A frontproxy without rights in front of a real Postfix, which it reaches by descriptors alone.

Clients of 127.1.0.0/16 and ::1 are pinned to the pool nice and so as good as friends; all others are strangers.
"""

import functools
import os
import smtplib
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Self

import pytest

from tests.real.house import DEADLINE, House, wait_for
from tests.real.need import need
from tests.real.postfix import DOMAIN, PROGRAMS, Postfix

FRIEND, OTHER_FRIEND, STRANGER = "127.1.0.1", "127.1.0.2", "127.64.0.9"
USER = f"user@{DOMAIN}"
MESSAGE = "Subject: hello\r\n\r\nHello.\r\n"
GROUP = "postdrop"
"""Who is in it may enter Postfix' folder of public sockets."""
_CONFIG = """
[listen]
addresses = ["{address}"]
pause = "{pause}"
[pool.nice]
backends = ["pass:{nice}"]
reserved = true
per_client = 50
handover_wait = "20s"
{nice_lines}
[pool.hostile]
backends = ["pass:{hostile}"]
per_client = 50
handover_wait = "20s"
patience = "1s"
{more}
"""


def config(
    postfix: Postfix, nice: str = "", *, address: str = "127.0.0.1:0", pause: str = "200ms", more: str = ""
) -> str:
    """A pool for each of the services nice and hostile; `nice` are further lines of the first, `more` of the file."""
    paths = {name: postfix.pass_path(name) for name in ("nice", "hostile")}
    return _CONFIG.format(address=address, pause=pause, nice_lines=nice, more=more, **paths)


def move_in(build: Callable[..., House], text: str, *, groups: Sequence[str] = (GROUP,), **options: Any) -> House:
    """A running frontproxy without rights, in these groups; `options` as for a House."""
    house = build(text, groups=groups, **options).start()
    for friends in ("127.1.0.0/16", "::1"):
        assert house.ask(f"pin {friends} nice")["ok"]
    return house


def need_street() -> None:
    """End the test here unless this machine can have such a street."""
    need(*PROGRAMS, "setpriv", root=True)
    if not _nobody_can_run_us():
        (pytest.fail if os.environ.get("CI") else pytest.skip)("the user nobody may not read this Python")


@functools.cache
def _nobody_can_run_us() -> bool:
    command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable, "-c", "import frontproxy"]
    return subprocess.run(command, cwd="/", capture_output=True, check=False).returncode == 0


def pool(house: House, name: str = "nice") -> dict[str, Any]:
    """A pool as `status` tells it."""
    pools = house.ask("status")["pools"]
    return dict(next(pool for pool in pools if pool["name"] == name))


def wait_for_taken(house: House, number: int, name: str = "nice") -> None:
    """Wait until so many places of a pool are taken."""
    wait_for(lambda: pool(house, name)["taken"] == number, f"{number} places taken in {name}")


def alarms(house: House) -> str:
    """What `status` warns of."""
    return "\n".join(house.ask("status")["alarms"])


def send(house: House, client: str = FRIEND) -> None:
    """One good message, which must be accepted."""
    house.deliver(client, USER)


def assert_well(house: House) -> None:
    """It lives, and no bug has befallen it."""
    assert house.process.poll() is None
    assert "Traceback" not in house.log()
    assert house.ask("status")["counters"].get("bugs", 0) == 0


@contextmanager
def dialog(house: House, client: str = FRIEND) -> Iterator[smtplib.SMTP]:
    """A session that stands before DATA; it is closed without a word."""
    session = smtplib.SMTP("127.0.0.1", house.port, "client.example.org", DEADLINE, source_address=(client, 0))
    try:
        session.ehlo()
        session.mail("me@example.org")
        assert session.rcpt(USER)[0] == 250
        yield session
    finally:
        session.close()


@contextmanager
def crowd(house: House, clients: Sequence[str]) -> Iterator[list[socket.socket]]:
    """Connections, one from each address, which say nothing."""
    with ExitStack() as stack:
        yield [stack.enter_context(house.connect(client)) for client in clients]


def farewell(client: socket.socket) -> bytes:
    """Say QUIT to whoever greets; all that was read, to the end."""
    said = client.recv(4096)
    client.sendall(b"QUIT\r\n")
    while data := client.recv(4096):
        said += data
    return said


class Sender(threading.Thread):
    """A friend who sends one message after the other until it is told to stop, whatever happens."""

    def __init__(self, house: House, client: str = FRIEND) -> None:
        super().__init__(daemon=True)
        self._house = house
        self._client = client
        self._enough = threading.Event()
        self.accepted = 0
        self.troubles: list[str] = []
        """What became of each message that was not accepted: "421", or the kind of exception."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._enough.set()
        self.join(DEADLINE * 2)
        assert not self.is_alive()

    def sends(self, number: int = 5) -> None:
        """Wait until so many more messages were accepted."""
        before = self.accepted
        wait_for(lambda: self.accepted >= before + number, f"{number} more messages of {self._client}")

    def run(self) -> None:
        """Send."""
        while not self._enough.is_set():
            try:
                self._send()
            except smtplib.SMTPConnectError as error:
                self._fails(str(error.smtp_code))
            except (smtplib.SMTPException, OSError) as error:
                self._fails(type(error).__name__)

    def _send(self) -> None:
        source = (self._client, 0)
        with smtplib.SMTP(
            "127.0.0.1", self._house.port, "client.example.org", DEADLINE, source_address=source
        ) as session:
            session.sendmail("me@example.org", USER, MESSAGE)
            self.accepted += 1

    def _fails(self, trouble: str) -> None:
        self.troubles.append(trouble)
        self._enough.wait(0.02)
