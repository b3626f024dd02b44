"""Installs the programs that the real tests need, when that is possible: `python -m tests.real.install`.

As root on Debian it runs apt-get; elsewhere it names what is missing, and the tests that need it are skipped by name
(in CI a missing program is a failure).
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NGINX_STREAM = "/usr/lib/nginx/modules/ngx_stream_module.so"
"""Not a program but a part of nginx that Debian packs apart."""
PACKAGES = {
    "swaks": "swaks",
    "smtp-source": "postfix",
    "postfix": "postfix",
    "haproxy": "haproxy",
    "nginx": "nginx",
    NGINX_STREAM: "libnginx-mod-stream",
    "nft": "nftables",
    "ip": "iproute2",
    "ss": "iproute2",
    "systemd-analyze": "systemd",
    "systemctl": "systemd",
    "useradd": "passwd",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "pivot_root": "util-linux",
    "rbldnsd": "rbldnsd",
    "unbound": "unbound",
}
"""The Debian package of each program."""
_SBIN = "/usr/sbin"
_POLICY = Path("/usr/sbin/policy-rc.d")


def find(program: str) -> str | None:
    """Where a program is; sbin is searched too."""
    if program == NGINX_STREAM:
        return program if Path(program).exists() else None
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
    with _services_at_rest():
        return _install(packages)


def _install(packages: list[str]) -> int:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
        done = subprocess.run(["apt-get", "--quiet", "--quiet", *command], env=environment, check=False)
        if done.returncode:
            return done.returncode
    return 0


@contextmanager
def _services_at_rest() -> Iterator[None]:
    """Debian starts what it installs unless this script says no; tests never asked for a web server on port 80."""
    if _POLICY.exists():
        yield
        return
    _POLICY.write_text("#!/bin/sh\nexit 101\n")
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink()


if __name__ == "__main__":
    sys.exit(main())
