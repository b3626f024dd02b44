"""Lists: which of the operator's lists hold an address. A million networks are looked up in place, in a mapped table.

The table (`list_table`) is made by another process (`list_compiler`), in memory that has a descriptor but no name, and
mapped here; a thread gives it back (`memfile`). So neither making a book nor dropping one keeps the proxy from its
clients.
"""

import mmap
import os
import weakref
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import accumulate
from subprocess import CompletedProcess

import trio

from frontproxy.core.mistakes import Mistake, Mistaken
from frontproxy.observe.list_compiler import ListSource, Result, order_to_json
from frontproxy.observe.list_table import SECTIONS, Table
from frontproxy.observe.memfile import give_back
from frontproxy.programs import command, environment

__all__ = ["ListBook", "ListSource", "Match", "compile_lists", "empty_book"]

COMPILE_LIMIT = 120
"""Seconds that compiling may take; a million networks take a few."""

_KEPT = 4096
"""Answers kept ready; only lists that overlap everywhere make more sets than that."""


@dataclass(frozen=True, slots=True)
class Match:
    """One list that holds an address."""

    index: int
    """The list's position in the sources."""
    prefix_length: int
    """Bits of the longest network in that list that holds the address; of 32 for IPv4, of 128 for IPv6."""


class ListBook:
    """All lists, compiled. Its memory is given back with its last reference, or at `close`."""

    def __init__(self, memory: mmap.mmap | bytes, counts: Sequence[int], entries: int, descriptor: int = -1) -> None:
        """`memory` holds the sections of a table, `counts` items each; `descriptor`, if any, keeps it and is ours."""
        self.entries = entries
        """Networks in all lists, with every repetition."""
        views = _sections(memory, counts)
        self._table = Table(*views)
        self._answers: dict[int, tuple[Match, ...]] = {0: ()}
        self._finalizer = weakref.finalize(self, _release, views, memory, descriptor)
        self._finalizer.atexit = False

    def find(self, packed: bytes) -> tuple[Match, ...]:
        """The lists that hold an address (4 or 16 bytes, as `core.address.pack` gives it), in the order of the sources.

        Raises ValueError after `close`, if there was anything to find.
        """
        if not self.entries:
            return ()
        number = self._table.set_of(packed)
        answer = self._answers.get(number)
        return self._read(number) if answer is None else answer

    def close(self) -> None:
        """Give the memory back now; may be called twice."""
        self._finalizer()

    def _read(self, number: int) -> tuple[Match, ...]:
        answer = tuple(Match(member >> 8, member & 0xFF) for member in self._table.members(number))
        if len(self._answers) < _KEPT:
            self._answers[number] = answer
        return answer


def empty_book() -> ListBook:
    """A book without lists."""
    return ListBook(b"", (0,) * len(SECTIONS), 0)


async def compile_lists(sources: Sequence[ListSource]) -> ListBook:
    """Compile lists in a process of their own. Raises Mistaken with every mistake in them, or with why it failed."""
    if not any(source.file or source.networks for source in sources):
        return empty_book()
    try:
        with ExitStack() as undo:
            descriptor = os.memfd_create("frontproxy-lists")
            undo.callback(os.close, descriptor)
            result = await _compiled(order_to_json(sources), descriptor)
            memory = mmap.mmap(descriptor, 0, prot=mmap.PROT_READ)
            undo.pop_all()
    except OSError as error:
        raise _failed(error) from None
    return ListBook(memory, result.counts, result.entries, descriptor)


async def _compiled(order: bytes, descriptor: int) -> Result:
    with trio.move_on_after(COMPILE_LIMIT):
        ended = await trio.run_process(
            command("frontproxy.observe.list_compiler", str(descriptor)),
            stdin=order,
            capture_stdout=True,
            capture_stderr=True,
            check=False,
            pass_fds=(descriptor,),
            start_new_session=True,  # Ctrl-C is for the proxy
            env=environment(),
        )
        return _checked(ended)
    raise _failed(f"the compiler was not done after {COMPILE_LIMIT} seconds")


def _checked(ended: CompletedProcess[bytes]) -> Result:
    if ended.returncode:
        last_words = ended.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise _failed(f"the compiler ended with status {ended.returncode}: {last_words[:200]!a}")
    result = Result.from_json(ended.stdout)
    if result.mistakes:
        raise Mistaken(list(result.mistakes))
    return result


def _failed(why: object) -> Mistaken:
    remedy = "reload again when the machine has memory and time to spare; shorter lists need less of both"
    return Mistaken([Mistake("", 0, "list", f"the lists cannot be compiled ({why})", remedy)])


def _sections(memory: mmap.mmap | bytes, counts: Sequence[int]) -> list[memoryview]:
    """A typed view of each array of the table."""
    sizes = [count * (8 if code == "Q" else 4) for (_name, code), count in zip(SECTIONS, counts, strict=True)]
    ends = accumulate(sizes)
    with memoryview(memory) as whole:
        return [
            whole[end - size : end].cast(code) for (_name, code), size, end in zip(SECTIONS, sizes, ends, strict=True)
        ]


def _release(views: list[memoryview], memory: mmap.mmap | bytes, descriptor: int) -> None:
    for view in views:
        view.release()
    if isinstance(memory, mmap.mmap):
        give_back(descriptor, memory.close)
