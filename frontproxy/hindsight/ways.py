"""How batches are learned: by the proxy that runs, or in the history file while none does."""

import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol

import trio

from frontproxy.admin_client import AdminClient
from frontproxy.memory.sqlite import HistoryFile
from frontproxy.past import Learned, PastSides, decode_batch, learn_batch

EX_UNAVAILABLE: Final = 69
EX_IOERR: Final = 74
EX_TEMPFAIL: Final = 75

_FLUSH_AFTER: Final = 4000  # sessions learned; so many records fit into memory with ease
_LOOK_EVERY: Final = 0.1  # seconds between two looks whether a proxy has started
_GOES_ON: Final = "run the same command again: it goes on where it stopped"


class Broken(Exception):
    """Learning cannot go on: says why and what to do; `code` is the exit code for that."""

    def __init__(self, code: int, text: str) -> None:
        self.code = code
        super().__init__(text)


class Way(Protocol):
    """A way to learn. Both raise Broken."""

    async def learn(self, batch: bytes) -> Learned:
        """Learn a batch."""

    async def finish(self) -> None:
        """See to it that all is on disk that was learned."""


class ByProxy:
    """The proxy learns, over its admin socket, while it serves."""

    def __init__(self, client: AdminClient) -> None:
        self._client = client

    async def learn(self, batch: bytes) -> Learned:
        """Learn a batch. Raises Broken."""
        answer = await self.ask(f"learn {batch.decode()}")
        return Learned(answer["fates"], answer["standings"])

    async def finish(self) -> None:
        """The proxy writes its history itself."""

    async def ask(self, request: str) -> dict[str, Any]:
        """Its answer. Raises Broken."""
        try:
            answer = await trio.to_thread.run_sync(self._client.ask, request, abandon_on_cancel=True)
        except (OSError, ValueError) as error:
            text = f"frontproxy does not answer any more ({error}); {_GOES_ON}"
            raise Broken(EX_UNAVAILABLE, text) from None
        if not answer["ok"]:
            raise Broken(EX_IOERR, f"frontproxy cannot learn this: {answer['error']}")
        return answer


class ByHand:
    """The command itself learns, while no proxy runs."""

    def __init__(self, sides: PastSides, *, proxy_at: Path, clock: Callable[[], float] = time.time) -> None:
        """`proxy_at` is the admin socket of the proxy that may start meanwhile, see `watch`."""
        self._sides = sides
        self._memory: HistoryFile = sides.memory
        self._proxy_at = proxy_at
        self._clock = clock
        self._unwritten = 0

    async def learn(self, batch: bytes) -> Learned:
        """Learn a batch. Raises Broken; then, or when cancelled, nothing of it was learned."""
        if self._unwritten >= _FLUSH_AFTER:
            await self.finish()
        await trio.lowlevel.checkpoint()
        learned = learn_batch(self._sides, decode_batch(batch, trusted=True), now=self._clock())
        self._unwritten += learned.fates.count("learned")
        return learned

    async def finish(self) -> None:
        """Write it all. Raises Broken."""
        self._unwritten = 0
        await self._memory.flush()
        if self._memory.status()["unwritten"]:
            text = "; ".join(self._memory.current_troubles()) or "the history file cannot be written"
            raise Broken(EX_IOERR, f"{text}; then {_GOES_ON}")

    async def watch(self) -> None:
        """Raise Broken when a proxy starts: it needs the history, and two must not write one."""
        while True:
            if answers(self._proxy_at):
                text = f"frontproxy has started meanwhile and has its history for itself; {_GOES_ON}"
                raise Broken(EX_TEMPFAIL, text)
            await trio.sleep(_LOOK_EVERY)


def answers(path: Path) -> bool:
    """Whether somebody listens at a UNIX socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        try:
            probe.connect(str(path))
        except BlockingIOError:  # its backlog is full
            return True
        except OSError:
            return False
        return True
