"""The command's end of the reading program: starts it, hears what it tells, ends it."""

import os
import subprocess
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Final

import trio

from frontproxy.hindsight.events import LINE_LIMIT, STDIN, LogRead
from frontproxy.hindsight.ways import Broken
from frontproxy.local import Lines
from frontproxy.programs import command, environment

PROGRAM: Final = "frontproxy.hindsight.reading"
EX_SOFTWARE: Final = 70
EX_OSERR: Final = 71
_CHUNK: Final = 1 << 16

Event = LogRead | bytes
"""How far a log was read; or a batch of sessions of that log."""


@asynccontextmanager
async def reading(logs: Sequence[str], generic: Iterable[str]) -> AsyncIterator[AsyncIterator[Event]]:
    """What the program reads in these logs; it ends with the block. Raises Broken, as does the iterator."""
    words = command(PROGRAM, f"--generic={','.join(generic)}", "--", *logs)
    source = None if STDIN in logs else subprocess.DEVNULL
    read_end, write_end = os.pipe()
    async with trio.lowlevel.FdStream(read_end) as stream:
        try:
            program = await trio.lowlevel.open_process(words, stdin=source, stdout=write_end, env=environment())
        except OSError as error:
            raise Broken(
                EX_OSERR, f"the program that reads logs cannot be started ({words[0]}: {error.strerror})"
            ) from None
        finally:
            os.close(write_end)
        try:
            yield _events(program, stream)
        finally:
            with trio.CancelScope(shield=True):
                program.kill()
                await program.wait()


async def _events(program: trio.Process, stream: trio.lowlevel.FdStream) -> AsyncIterator[Event]:
    lines = Lines(LINE_LIMIT)
    while data := await stream.receive_some(_CHUNK):
        for line in lines.feed(bytes(data)):
            if line:
                yield line if line.startswith(b"[") else LogRead.of(line)
    if await program.wait():
        raise Broken(EX_SOFTWARE, f"the reading program ended with status {program.returncode}; run it again to go on")
