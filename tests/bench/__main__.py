"""`make bench`: every measurement in one run."""

import subprocess
import sys
import time

BENCHES = ("rules", "lists", "geo", "memory", "decision", "reload")


def main() -> int:
    """Run each in a process of its own, so that none sees the other's memory."""
    failed = 0
    for number, name in enumerate(BENCHES, 1):
        print(f"\n[{number}/{len(BENCHES)}] {name}", flush=True)
        began = time.monotonic()
        failed += subprocess.run([sys.executable, "-m", f"tests.bench.{name}"], check=False).returncode != 0
        print(f"({time.monotonic() - began:.0f} s)", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
