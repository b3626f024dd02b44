"""Another network on this machine, for tests of what the kernel tells and of clients that vanish; it needs root."""

import ctypes
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests.real.house import DEADLINE

NEW_NETWORK = 0x40000000  # CLONE_NEWNET


class Elsewhere:
    """A thread in a network namespace of its own, where only the loopback interface is; it ends with the thread."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1)
        self.do(_leave_the_network)

    def do(self, deed: Callable[[], None]) -> None:
        """Do something there: sockets that are made by it stay there, wherever they are used later."""
        self._thread.submit(deed).result()

    def close(self) -> None:
        """Leave it."""
        self._thread.shutdown()


def _leave_the_network() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(NEW_NETWORK) != 0:
        raise OSError(ctypes.get_errno(), "no network namespace can be made")


def run(*command: str) -> None:
    """Run a program, in the network of the thread that calls this."""
    subprocess.run(command, check=True, timeout=DEADLINE)
