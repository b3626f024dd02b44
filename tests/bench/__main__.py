"""`make bench`: every measurement in one run; `python -m tests.bench --quick` is a short run of each.

`python -m tests.bench NAME [ARGUMENTS]` is one of them alone.
"""

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

BENCHES: Mapping[str, Sequence[str]] = {
    "rules": (),
    "lists": (),
    "geo": (),
    "memory": ("100000",),
    "decision": ("100000", "100000"),
    "session_cost": ("--rounds", "1", "--sessions", "500"),
    "bulk": ("--rounds", "1", "--messages", "2"),
    "held": ("--strangers", "2000"),
    "reload": ("--reloads", "2", "--sessions", "1000", "--networks", "100000"),
    "lookups": ("20000",),
    "lookup_loop": ("--strangers", "500"),
    "lookup_cost": ("--strangers", "120", "--rounds", "2"),
    "dns_dead": ("--rounds", "3"),
    "strangers": ("--strangers", "4500"),
    "flood": ("--strangers", "300", "--seconds", "10"),
    "flood_lists": ("--seconds", "10", "--only", "always"),
    "learn_log": ("--lines", "100000", "--rounds", "1"),
    "simulate": ("--seeds", "1", "--scale", "0.05"),
}
"""In this order; with what a quick run of each is asked for."""


def main() -> int:
    """Run each in its own process, so that none sees the other's memory, or the one named; 1 if one of them failed."""
    if set(sys.argv[1:2]) & set(BENCHES):
        return run(sys.argv[1], sys.argv[2:])
    quick = "--quick" in sys.argv[1:]
    failed = []
    for number, (name, less) in enumerate(BENCHES.items(), 1):
        print(f"\n[{number}/{len(BENCHES)}] {name}", flush=True)
        began = time.monotonic()
        if run(name, less if quick else ()):
            failed.append(name)
        print(f"({time.monotonic() - began:.0f} s)", flush=True)
    if failed:
        print(f"\nfailed, or over its budget: {', '.join(failed)}")
    return 1 if failed else 0


def run(name: str, arguments: Sequence[str]) -> int:
    """One of them in a process of its own; its exit code."""
    command = [sys.executable, "-m", f"tests.bench.{name}", *arguments]
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
