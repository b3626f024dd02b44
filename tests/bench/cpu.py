"""What processes cost: CPU time of a process with its threads and children, as the kernel counts it."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_TICK = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cpu:
    """Seconds of CPU. `total` is exact; how it divides is counted in clock ticks, so it takes many to tell."""

    total: float = 0.0
    user: float = 0.0
    system: float = 0.0

    def __add__(self, other: "Cpu") -> "Cpu":
        return Cpu(self.total + other.total, self.user + other.user, self.system + other.system)

    def __sub__(self, other: "Cpu") -> "Cpu":
        return Cpu(self.total - other.total, self.user - other.user, self.system - other.system)

    @property
    def system_share(self) -> float:
        """The part of it that was spent in the kernel, from 0 to 1."""
        ticks = self.user + self.system
        return self.system / ticks if ticks else 0.0


def cpu_of(pids: Iterable[int]) -> Cpu:
    """CPU of these processes so far: all threads, and the children that have ended."""
    total = Cpu()
    for pid in pids:
        with suppress(FileNotFoundError, ProcessLookupError):
            total += _of_process(Path(f"/proc/{pid}"))
    return total


def family(pid: int) -> list[int]:
    """The process and all that it started, at any remove."""
    found = [pid]
    for parent in found:
        for tasks in Path(f"/proc/{parent}/task").glob("*/children"):
            with suppress(FileNotFoundError, ProcessLookupError):
                found += map(int, tasks.read_text().split())
    return found


def _of_process(process: Path) -> Cpu:
    user, system, ended_user, ended_system = (
        int(word) * _TICK for word in (process / "stat").read_text().rpartition(")")[2].split()[11:15]
    )
    return Cpu(running_time(int(process.name)) + ended_user + ended_system, user + ended_user, system + ended_system)


def waited_for_core(pid: int) -> float:
    """Seconds so far in which threads of a process were ready to run and had no core, all threads together."""
    return sum(waited for _ran, waited in _threads(pid))


def this_thread_waited() -> float:
    """The same for the calling thread alone."""
    return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9


def running_time(pid: int) -> float:
    """Seconds of CPU so far of the threads that a process has now."""
    return sum(ran for ran, _waited in _threads(pid))


def _threads(pid: int) -> Iterator[tuple[float, float]]:
    for schedstat in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            ran, waited, _turns = schedstat.read_text().split()
            yield int(ran) / 1e9, int(waited) / 1e9
