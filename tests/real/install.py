"""Installs the programs that the real tests need, when that is possible: `python -m tests.real.install`.

As root on Debian it runs apt-get; elsewhere it names what is missing, and the tests that need it are skipped by name
(in CI a missing program is a failure).
"""

import os
import shutil
import subprocess
import sys

PACKAGES = {"swaks": "swaks", "smtp-source": "postfix"}
"""The Debian package of each program."""
_SBIN = "/usr/sbin"


def find(program: str) -> str | None:
    """Where a program is; sbin is searched too."""
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:{_SBIN}")


def missing() -> list[str]:
    """Programs that are not installed."""
    return [program for program in PACKAGES if find(program) is None]


def main() -> int:
    """Install what is missing, or say how."""
    packages = sorted({PACKAGES[program] for program in missing()})
    if not packages:
        return 0
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        print(f"missing: {', '.join(missing())}; as root: apt-get install {' '.join(packages)}", file=sys.stderr)
        return 0
    print(f"installing {', '.join(packages)} for the tests", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for command in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
        done = subprocess.run(["apt-get", "--quiet", "--quiet", *command], env=environment, check=False)
        if done.returncode:
            return done.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
