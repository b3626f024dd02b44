"""Free ports for programs that want to be told theirs."""

import socket
from types import TracebackType


class Port:
    """A TCP port of one address that nobody else is given while this is held.

    It is bound and never listened on, with SO_REUSEADDR: a server that binds with it too (all do) gets the port, while
    the kernel gives it to nobody who asks for any.
    """

    def __init__(self, host: str = "127.0.0.1") -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((host, 0))
        self.host = host
        self.number = int(self._socket.getsockname()[1])

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.number}"

    def __enter__(self) -> "Port":
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give it back."""
        self._socket.close()
