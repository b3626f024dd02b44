"""A real frontproxy in a folder of its own: started, asked, spoken to as a mail client would, ended by its pid."""

import json
import os
import re
import select
import signal
import smtplib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

DEADLINE = 30.0
"""Seconds after which waiting for anything has failed; nothing here takes nearly as long."""

CONFIG = """
# pools are not stressed by a busy machine, and outcomes may come late
[listen]
addresses = ["127.0.0.1:0"]
pause = "200ms"
[pool.nice]
backends = ["bundled:nice"]
sessions = 50
per_client = 50
reserved = true
fallback = "hostile"
handover_wait = "20s"
[pool.hostile]
backends = ["bundled:hostile"]
handover_wait = "20s"
[smtpd]
hostname = "mx.example.com"
domains = ["example.com"]
recipients = "recipients"
"""


_AS_SYSTEMD = ["sh", "-c", 'exec 3<&0 </dev/null; exec env LISTEN_PID=$$ LISTEN_FDS=1 "$@"', "sh"]
"""What makes standard input the first socket of socket activation for the command that follows."""
_NOBODY = 65534, 65534
"""User and group of a program that has no rights."""


def wait_for(happened: Any, what: str, deadline: float = DEADLINE) -> Any:
    """Ask `happened` again and again until it returns something true."""
    until = time.monotonic() + deadline
    while time.monotonic() < until:
        result = happened()
        if result:
            return result
        time.sleep(0.01)
    raise AssertionError(f"did not happen in {deadline:g} s: {what}")


class House:
    """One frontproxy process; `folder` holds its configuration, mail, history and log.

    `descriptors` is its limit of them; `first` is Python that its process runs before anything else, such as to shorten
    a limit; `environment` are variables on top of ours; `door` is a listening socket that is passed to it as systemd
    does; with `groups` it runs as the user nobody without any right, a member of these groups and of no other.
    """

    def __init__(
        self,
        folder: Path,
        config: str = CONFIG,
        *,
        descriptors: int = 0,
        first: str = "",
        environment: Mapping[str, str] | None = None,
        door: socket.socket | None = None,
        groups: Sequence[str] | None = None,
    ) -> None:
        self.folder = folder
        self._descriptors = descriptors
        self._first = first
        self._environment = {**os.environ, **(environment or {})}
        self._door = door
        self._groups = groups
        if groups is not None:
            os.chown(folder, *_NOBODY)
        self.log_path = folder / "log"
        (folder / "recipients").write_text("user\nyou\n")
        self.write_config(config)
        self.process: subprocess.Popen[str]
        self.port = self.port_of_ipv6 = 0

    def write_config(self, text: str) -> None:
        """Replace config.toml. The DNS of this machine has no part in a test; where there is one, it says so."""
        quiet = "" if "[dns]" in text else "\n[dns]\nnames = false\n"
        (self.folder / "config.toml").write_text(text + quiet)

    def start(self) -> "House":
        """Start it and wait until it listens."""
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                self._command(),
                cwd=self.folder,
                env=self._environment,
                stdin=self._input(),
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], DEADLINE)
        assert ready, self.log()
        first = self.process.stdout.readline()
        assert "listens on" in first, self.log()
        self.port, self.port_of_ipv6 = _port(r"\.\d+:(\d+)", first), _port(r"\]:(\d+)", first)
        return self

    def start_in_vain(self) -> subprocess.CompletedProcess[str]:
        """Start it and wait until it has ended by itself: its exit code, and what it said."""
        return subprocess.run(
            self._command(),
            cwd=self.folder,
            env=self._environment,
            stdin=self._input(),
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )

    def _input(self) -> int:
        return subprocess.DEVNULL if self._door is None else self._door.fileno()

    def _command(self) -> list[str]:
        command = [sys.executable, "-m", "frontproxy", "run"]
        if self._first:
            command[1:3] = ["-c", f"{self._first}\nfrom frontproxy.__main__ import main\nmain()"]
        if self._door is not None:
            command = [*_AS_SYSTEMD, *command]
        if self._groups is not None:
            user, group = _NOBODY
            groups = f"--groups={','.join(self._groups)}" if self._groups else "--clear-groups"
            command = ["setpriv", f"--reuid={user}", f"--regid={group}", groups, "--no-new-privs", *command]
        if self._descriptors:
            return ["prlimit", f"--nofile={self._descriptors}:{self._descriptors}", *command]
        return command

    def log(self) -> str:
        """All it has logged, over all its lives in this folder."""
        return self.log_path.read_text(errors="backslashreplace")

    def events(self, event: str, **values: str) -> list[str]:
        """The log lines of one event that have these values."""
        words = [f"{name}={value}" for name, value in values.items()]
        return [
            line
            for line in self.log().splitlines()
            if f"event={event} " in line and all(word in line.split() for word in words)
        ]

    def ask(self, request: str) -> dict[str, Any]:
        """One request to the admin socket, and its answer."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(DEADLINE)
            connection.connect(str(self.folder / "var/admin.sock"))
            with connection.makefile("rw") as stream:
                stream.write(request + "\n")
                stream.flush()
                answer: dict[str, Any] = json.loads(stream.readline())
        return answer

    def command(self, *words: str) -> str:
        """What a command prints: `frontproxy status --prometheus` and so on. Raises if it fails."""
        command = [sys.executable, "-m", "frontproxy", *words]
        return subprocess.run(
            command, cwd=self.folder, stdout=subprocess.PIPE, text=True, timeout=DEADLINE, check=True
        ).stdout

    def pool(self, name: str) -> dict[str, Any]:
        """What `status` tells about a pool."""
        return next(pool for pool in self.ask("status")["pools"] if pool["name"] == name)

    def score(self, client: str) -> float:
        """A client's score now."""
        return float(self.ask(f"score {client}")["score"])

    def servers(self) -> list[int]:
        """Process ids of the bundled smtpds."""
        return [server["pid"] for server in self.ask("status")["servers"]]

    def connect(self, client: str = "127.0.0.1") -> socket.socket:
        """A connection from an address of our choice; nothing is said or read yet."""
        connection = socket.create_connection(self._address_for(client), DEADLINE, source_address=(client, 0))
        connection.settimeout(DEADLINE)
        return connection

    def _address_for(self, client: str) -> tuple[str, int]:
        return ("::1", self.port_of_ipv6) if ":" in client else ("127.0.0.1", self.port)

    @contextmanager
    def smtp(self, client: str = "127.0.0.1") -> Iterator[smtplib.SMTP]:
        """An SMTP session from an address of our choice, ended with QUIT."""
        host, port = self._address_for(client)
        session = smtplib.SMTP(host, port, "client.example.org", DEADLINE, source_address=(client, 0))
        try:
            yield session
            session.quit()
        finally:
            session.close()

    def deliver(self, client: str = "127.0.0.1", recipient: str = "user@example.com") -> None:
        """One good message."""
        with self.smtp(client) as session:
            session.sendmail("me@example.org", recipient, "Subject: hello\r\n\r\nHello.\r\n")

    def befriend(self, client: str, messages: int = 10) -> None:
        """Good messages until history knows them all."""
        for _ in range(messages):
            self.deliver(client)
        self.wait_for_outcomes(client, messages)

    def wait_for_outcomes(self, client: str, count: int) -> list[str]:
        """The outcome lines of a client, when there are that many."""
        found = wait_for(
            lambda: (lines := self.events("outcome", client=client)) and len(lines) >= count and lines,
            f"{count} outcomes of {client}",
        )
        return list(found)

    def mail(self) -> list[Path]:
        """The messages that were delivered."""
        return sorted((self.folder / "var/mail/new").glob("*"))

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send it a signal."""
        os.kill(self.process.pid, number)

    def stop(self) -> int:
        """End it by SIGTERM; its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        return self.wait()

    def wait(self) -> int:
        """Wait for its end; its exit code."""
        code = self.process.wait(DEADLINE)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code


def _port(after: str, greeting: str) -> int:
    """The first port that matches; 0 if there is none."""
    found = re.search(after, greeting)
    return int(found[1]) if found else 0


def is_running(pid: int) -> bool:
    """A process with this id is there and not a zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
