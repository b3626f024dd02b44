"""An admin socket for feeds to ask: it answers when a test says so, and what a test says."""

import json
import socket
from pathlib import Path

from tests.fakes import PATIENCE


class AdminSocket:
    """The frontproxy end of it; one connection at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._door = socket.socket(socket.AF_UNIX)
        self._door.bind(str(path))
        self._door.listen()
        self._door.settimeout(PATIENCE)
        self._connection: socket.socket | None = None

    @property
    def connection(self) -> socket.socket:
        """The one that asks."""
        if self._connection is None:
            self._connection = self._door.accept()[0]
            self._connection.settimeout(PATIENCE)
        return self._connection

    def hear(self) -> str:
        """The next request."""
        line = b""
        while not line.endswith(b"\n"):
            line += self.connection.recv(1)
        return line.decode().strip()

    def answer(self, client: str, pool: str | None = None, reply: str | None = None, *, stress: bool = False) -> None:
        """As the verb `route` answers."""
        self.say({"ok": True, "client": client, "pool": pool, "reply": reply, "stress": stress})

    def say(self, answer: object) -> None:
        """One line of JSON."""
        self.connection.sendall(json.dumps(answer).encode() + b"\n")

    def hang_up(self) -> None:
        """Close the connection; the next one may come."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def close(self) -> None:
        """Go away."""
        self.hang_up()
        self._door.close()
        self.path.unlink()
