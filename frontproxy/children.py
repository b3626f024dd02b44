"""Supervised programs: the bundled smtpds, started, watched, started again.

We keep the listening socket, so what was handed over while a child was dead waits for the next one. The child's
standard input is its lifeline: the first line says how to work, and end-of-file says that nobody will hand it anything
any more.
"""

import contextlib
import itertools
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import trio

from frontproxy.local import Lines, bind_local, remove_local

BACKLOG = 1024
SHORTEST_PAUSE = 0.2
LONGEST_PAUSE = 30.0
SOUND_AFTER = 60.0
"""Seconds a child must live for its next pause to be the shortest again."""
READY = "event=smtpd_ready"
"""How the line begins by which a child says that it serves."""
LAST_WORDS = 0.1
"""Seconds after a child's end in which the outcomes it sent last may still arrive."""
LINE_LIMIT = 16 * 1024
_CHUNK = 16 * 1024
_generations = itertools.count(1)
P = TypeVar("P")
Died = Callable[[str, float], int]
"""Is told the socket of a process that has ended, and the seconds until the next one; returns the sessions lost."""


class Smtpd:
    """One bundled smtpd: its socket, its settings, and the process that serves them now."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        settings: bytes,
        folder: Path,
    ) -> None:
        """Open its handover socket in `folder`; `settings` is the first line it reads. Raises OSError or InUseError."""
        self.name = name
        self.settings = settings
        self.path = folder / f"{name}-{next(_generations)}.sock"
        self._command = command
        self._environment = environment
        self._door = bind_local(self.path, mode=0o600, backlog=BACKLOG)
        self._process: trio.Process | None = None
        self._retired = trio.Event()
        self.is_ready = False
        """A process has said READY."""
        self.begun = trio.Event()
        """It is ready, or its first process has ended."""
        self.ended = trio.Event()
        """Nothing serves here any more, nor will."""

    @property
    def pid(self) -> int | None:
        """Of the process that serves now."""
        return self._process.pid if self._process else None

    async def run(self, log: Callable[..., None], died: Died, raw: Callable[[str], None]) -> None:
        """Keep one process serving until `retire` or `drain`; `died` is told the socket's path each time one ends."""
        pause = SHORTEST_PAUSE
        try:
            while not self._retired.is_set():
                began = trio.current_time()
                code = await self._run_once(log, raw)
                lived = trio.current_time() - began
                self.begun.set()
                await trio.sleep(LAST_WORDS)
                pause = SHORTEST_PAUSE if lived > SOUND_AFTER else min(pause * 2, LONGEST_PAUSE)
                lost = died(str(self.path), pause)
                if self._retired.is_set():
                    break
                log("smtpd", state="died", name=self.name, code=code, lost_sessions=lost, again_in=pause)
                with trio.move_on_after(pause):
                    await self._retired.wait()
                    died(str(self.path), 0)  # and with it those who waited at its door for the next process
        finally:
            self._close_door()
            self.ended.set()

    async def retire(self) -> None:
        """Nothing more will be handed over: let it finish its sessions, with the settings they began with, and end."""
        self._stop_wanting()
        if self._process:
            await _pipe(self._process.stdin).aclose()

    def drain(self) -> None:
        """Let it end soon: sessions that wait for a command get a 421, a message under way is finished."""
        self._stop_wanting()
        if self._process:
            self._process.terminate()

    def abandon(self) -> None:
        """Close the door of one that never ran."""
        self._stop_wanting()

    def _stop_wanting(self) -> None:
        self._retired.set()
        self._close_door()

    def _close_door(self) -> None:
        remove_local(self.path, self._door)

    async def _relay_lines(self, process: trio.Process, log: Callable[..., None], raw: Callable[[str], None]) -> None:
        """What the child says goes into our log: its log lines as they are, anything else quoted."""
        lines = Lines(LINE_LIMIT)
        while data := await _pipe(process.stderr).receive_some(_CHUNK):
            for line in lines.feed(bytes(data)):
                text = "" if line is None else line.decode("utf-8", "backslashreplace")
                if text.startswith(READY):
                    self.is_ready = True
                    self.begun.set()
                if text.startswith("event=") and text.isascii() and text.isprintable():
                    raw(text)
                elif text:
                    log("smtpd", state="says", name=self.name, text=text)

    async def _run_once(self, log: Callable[..., None], raw: Callable[[str], None]) -> int | str:
        """Start a process, serve as its lifeline until it ends; its exit code, or why it could not be started."""
        try:
            with self._door.dup() as door:  # ours may be closed while the process is being started
                process = await trio.lowlevel.open_process(
                    [*self._command, "--handover-fd", str(door.fileno())],
                    stdin=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    pass_fds=[door.fileno()],
                    env=self._environment,
                )
        except OSError as error:
            return error.strerror or "cannot be started"
        self._process = process
        log("smtpd", state="started", name=self.name, pid=process.pid)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._relay_lines, process, log, raw)
                with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                    await _pipe(process.stdin).send_all(self.settings)
                    if self._retired.is_set():  # which was said before there was a process to hear it
                        await _pipe(process.stdin).aclose()
                code = await process.wait()
                nursery.cancel_scope.deadline = trio.current_time() + LAST_WORDS  # a child of its own may go on talking
                return code
        finally:
            self._process = None
            with trio.CancelScope(shield=True):
                await _pipe(process.stdin).aclose()
                await _pipe(process.stderr).aclose()


def _pipe(pipe: P | None) -> P:
    """A pipe that we asked for when we opened the process."""
    if pipe is None:
        raise RuntimeError("the process has no such pipe")
    return pipe
