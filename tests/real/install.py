"""Installs the programs that the real tests need, when that is possible: `python -m tests.real.install`.

As root on Debian it runs apt-get; elsewhere it names what is missing, and the tests that need it are skipped by name
(in CI a missing program is a failure).
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
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
    "sqlite3": "sqlite3",
}
"""The Debian package of each program."""
UNPACKED = {"exim4": "exim4-daemon-heavy"}
"""The same for those that cannot be installed beside these, because a machine has one mail server: they are unpacked
into a folder of their own, and only the libraries they need are installed."""
_APART = Path("/opt/frontproxy-tests")
_EXIM_USER = "Debian-exim"
_SBIN = "/usr/sbin"
_POLICY = Path("/usr/sbin/policy-rc.d")


def find(program: str) -> str | None:
    """Where a program is; sbin is searched too, and what was unpacked for the tests."""
    if program == NGINX_STREAM:
        return program if Path(program).exists() else None
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:{_SBIN}:{_APART}{_SBIN}")


def missing() -> list[str]:
    """Programs that are not installed."""
    return [program for program in (*PACKAGES, *UNPACKED) if find(program) is None]


def main() -> int:
    """Install what is missing, or say how."""
    lacking = missing()
    packages = sorted({PACKAGES[program] for program in lacking if program in PACKAGES})
    unpacked = [UNPACKED[program] for program in lacking if program in UNPACKED]
    if not lacking:
        return 0
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        print(f"missing: {', '.join(lacking)}; as root: apt-get install {' '.join(packages)}", file=sys.stderr)
        return 0
    print(f"installing {', '.join(packages + unpacked)} for the tests", flush=True)
    try:
        with _services_at_rest():
            _apt_get("update")
            _install(packages)
            for package in unpacked:
                _unpack(package)
    except subprocess.CalledProcessError as error:
        return error.returncode
    return 0


def _apt_get(*words: str, folder: str | None = None) -> None:
    """Raises subprocess.CalledProcessError."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "--quiet", "--quiet", *words], env=environment, cwd=folder, check=True)


def _install(packages: list[str]) -> None:
    if packages:
        _apt_get("install", "--yes", "--no-install-recommends", "--no-upgrade", *packages)


def _unpack(package: str) -> None:
    """Have a package's programs without installing it. Raises subprocess.CalledProcessError."""
    depends = subprocess.run(
        ["apt-cache", "depends", "--important", package], capture_output=True, check=True, text=True
    )
    _install(re.findall(r"Depends: (lib\S+)", depends.stdout))
    if subprocess.run(["id", _EXIM_USER], capture_output=True, check=False).returncode:
        subprocess.run(["useradd", "--system", "--no-create-home", _EXIM_USER], check=True)
    with tempfile.TemporaryDirectory() as folder:
        _apt_get("download", package, folder=folder)
        for archive in Path(folder).glob("*.deb"):
            subprocess.run(["dpkg-deb", "--extract", str(archive), str(_APART)], check=True)


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
