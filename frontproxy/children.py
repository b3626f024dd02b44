"""Supervised programs: started, watched, started again.

We keep the listening socket, so who comes while a child is dead waits for the next one; a child that nobody connects to
has none. The child's standard input is its lifeline: the first line says how to work, and end-of-file says that nobody
wants it any more. Its standard error goes into our log.
"""

import contextlib
import itertools
import math
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from socket import socket
from typing import Literal, TypeVar

import trio

from frontproxy.local import Lines, bind_local, remove_local

BACKLOG = 1024
SHORTEST_PAUSE = 0.2
LONGEST_PAUSE = 30.0
SOUND_AFTER = 60.0
"""Seconds a child must live for its next pause to be the shortest again, and for its last death to be forgotten."""
ALIVE = "event=alive"
"""How the lines begin by which a child says that it lives; they do not go into the log. `trouble=` in them says what
keeps it from its work."""
LAST_WORDS = 0.1
"""Seconds after a child's end in which the outcomes it sent last may still arrive."""
LINE_LIMIT = 16 * 1024
_CHUNK = 16 * 1024
_generations = itertools.count(1)
P = TypeVar("P")
Died = Callable[[str, float], int | None]
"""Is told the door of a process that has ended, and the seconds until the next one; returns the sessions lost."""


@dataclass(frozen=True, slots=True)
class Program:
    """What is run: its descriptor of the door follows `command`, `settings` is the first line it reads."""

    kind: Literal["smtpd", "feed", "lookup"]
    """The event of our log lines about it; it says `event=KIND_ready` when it serves."""
    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    settings: bytes
    silence: float = math.inf
    """Seconds without a sign of life after which it hangs, and is killed."""
    outlives_us: bool = True
    """When we end, it may finish what it is doing; otherwise it is killed."""


class Child:
    """One program, at a door of its own if it has one, and the process that works now."""

    def __init__(self, program: Program, door: socket | None = None, path: Path | None = None) -> None:
        """Takes over the listening socket `door`, and its file at `path` if it has one."""
        self.program = program
        self._door = door
        self._path = path
        self._place = str(path or (door.getsockname() if door else ""))
        self._process: trio.Process | None = None
        self._began = 0.0
        self._hangs = False
        self._last_end = ""
        self._says_trouble = ""
        self._retired = trio.Event()
        self.is_ready = False
        """A process has said that it serves."""
        self.begun = trio.Event()
        """It is ready, or its first process has ended."""
        self.ended = trio.Event()
        """Nothing serves here any more, nor will."""

    @property
    def name(self) -> str:
        """Of the program."""
        return self.program.name

    @property
    def pid(self) -> int | None:
        """Of the process that serves now."""
        return self._process.pid if self._process else None

    @property
    def trouble(self) -> str:
        """How its last process ended, until another one has lived long enough; empty if all is well."""
        if self._process and trio.current_time() - self._began > SOUND_AFTER:
            return ""
        return self._last_end

    @property
    def complaint(self) -> str:
        """What keeps the process that works now from its work, as it says itself; empty if nothing does."""
        return self._says_trouble if self._process else ""

    async def run(self, log: Callable[..., None], died: Died, raw: Callable[[str], None]) -> None:
        """Keep one process serving until `retire` or `drain`; `died` is told the door each time one ends."""
        pause = SHORTEST_PAUSE
        try:
            while not self._retired.is_set():
                self._began = trio.current_time()
                code = await self._run_once(log, raw)
                lived = trio.current_time() - self._began
                self.begun.set()
                await trio.sleep(LAST_WORDS)
                pause = SHORTEST_PAUSE if lived > SOUND_AFTER else min(pause * 2, LONGEST_PAUSE)
                lost = died(self._place, pause)
                if self._retired.is_set():
                    break
                self._last_end = "it hung and was killed" if self._hangs else f"its process ended ({code})"
                log(self.program.kind, state="died", name=self.name, code=code, lost_sessions=lost, again_in=pause)
                with trio.move_on_after(pause):
                    await self._retired.wait()
                    died(self._place, 0)  # and with it those who waited at its door for the next process
        finally:
            self._close_door()
            self.ended.set()

    async def retire(self) -> None:
        """Nobody new will come: let it finish its sessions, with the settings they began with, and end."""
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

    def successor(self, program: Program) -> "Child":
        """One for the same door, not yet started; `make_way` then lets it have the door for good."""
        return Child(program, self._door and self._door.dup())

    async def make_way(self, successor: "Child") -> None:
        """Retire, and leave the door open and its file in place for a successor."""
        successor._path, self._path = self._path, None
        await self.retire()

    def _stop_wanting(self) -> None:
        self._retired.set()
        self._close_door()

    def _close_door(self) -> None:
        if self._door is None or self._door.fileno() < 0:  # closed already; at its path another may stand by now
            return
        if self._path is None:
            self._door.close()
        else:
            remove_local(self._path, self._door)

    async def _hear(self, process: trio.Process, log: Callable[..., None], raw: Callable[[str], None]) -> None:
        """What the child says goes into our log; one that has been silent for too long is killed."""
        lines = Lines(LINE_LIMIT)
        while True:
            with trio.move_on_after(self.program.silence) as patience:
                data = await _pipe(process.stderr).receive_some(_CHUNK)
            if patience.cancelled_caught:
                log(self.program.kind, state="hangs", name=self.name, pid=process.pid)
                self._hangs = True
                process.kill()
                return
            if not data:
                return
            for line in lines.feed(bytes(data)):
                self._take_line("" if line is None else line.decode("utf-8", "backslashreplace"), log, raw)

    def _take_line(self, text: str, log: Callable[..., None], raw: Callable[[str], None]) -> None:
        """Log lines go into the log as they are, anything else quoted."""
        if text.startswith(f"event={self.program.kind}_ready"):
            self.is_ready = True
            self.begun.set()
        if text.startswith(ALIVE):
            self._says_trouble = _unquoted(text.partition(" trouble=")[2])
            return
        if text.startswith("event=") and text.isascii() and text.isprintable():
            raw(text)
        elif text:
            log(self.program.kind, state="says", name=self.name, text=text)

    async def _open_process(self) -> trio.Process:
        """Raises OSError."""
        with contextlib.ExitStack() as stack:
            # Ours may be closed while the process is being started.
            doors = [stack.enter_context(self._door.dup()).fileno()] if self._door else []
            return await trio.lowlevel.open_process(
                [*self.program.command, *map(str, doors)],
                stdin=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=doors,
                env=self.program.environment,
                process_group=0,  # what a terminal sends to the group of its job is for us to obey
            )

    async def _run_once(self, log: Callable[..., None], raw: Callable[[str], None]) -> int | str:
        """Start a process, serve as its lifeline until it ends; its exit code, or why it could not be started."""
        try:
            process = await self._open_process()
        except OSError as error:
            return error.strerror or "cannot be started"
        self._process, self._hangs, self._says_trouble = process, False, ""
        log(self.program.kind, state="started", name=self.name, pid=process.pid)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._hear, process, log, raw)
                with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                    await _pipe(process.stdin).send_all(self.program.settings)
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
                if process.returncode is None and not self.program.outlives_us:
                    process.kill()
                    await process.wait()


class Smtpd(Child):
    """One bundled smtpd: a child at a handover socket that is made for it."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        settings: bytes,
        folder: Path,
    ) -> None:
        """Open its handover socket in `folder`; `settings` is the first line it reads. Raises OSError or InUseError."""
        self.path = folder / f"{name}-{next(_generations)}.sock"
        self.settings = settings
        door = bind_local(self.path, mode=0o600, backlog=BACKLOG)
        super().__init__(Program("smtpd", name, [*command, "--handover-fd"], environment, settings), door, self.path)


def _unquoted(value: str) -> str:
    """A value of a log line that a child wrote, as it was before it was quoted."""
    if not value.startswith('"'):
        return value
    return value.removeprefix('"').removesuffix('"').encode("ascii", "replace").decode("unicode_escape", "replace")


def _pipe(pipe: P | None) -> P:
    """A pipe that we asked for when we opened the process."""
    if pipe is None:
        raise RuntimeError("the process has no such pipe")
    return pipe
