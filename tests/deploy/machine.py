"""A machine to try the deployment on: systemd as process 1 of namespaces of its own, over a copy-on-write root.

What is written there is gone with it, and it shares no network with us. It runs the programs of the real machine, but
none of its services.
"""

import os
import subprocess
import sys
import sysconfig
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from tests.real.house import DEADLINE, wait_for

REPOSITORY = Path(__file__).parents[2]
PROGRAMS = ("systemctl", "unshare", "nsenter", "pivot_root", "useradd", "ip")
_SYSTEMD = "/lib/systemd/systemd"
_ENTER = 'echo 0 > "$1/cgroup.procs" && shift && exec "$@"'
_BOOT = r"""
set -e
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
cd "$1/root"
mount -t proc proc proc
mount --rbind /dev dev
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
units=lib/systemd/system
for folder in run tmp var/spool/postfix etc/systemd/system $units/sysinit.target.wants $units/local-fs.target.wants; do
    mount -t tmpfs tmpfs "$folder"
done
mkdir -p opt/frontproxy/bin opt/frontproxy/src opt/frontproxy/lib
mount --bind "$2" opt/frontproxy/src
mount --bind "$3" opt/frontproxy/lib
mount -o remount,bind,ro opt/frontproxy/src
mount -o remount,bind,ro opt/frontproxy/lib
cat > opt/frontproxy/bin/frontproxy << 'END'
#!/bin/sh
export PYTHONPATH=/opt/frontproxy/src:/opt/frontproxy/lib
exec /usr/bin/python3 -P -m frontproxy "$@"
END
chmod 755 opt/frontproxy/bin/frontproxy
printf '[Unit]\nDefaultDependencies=no\nWants=systemd-journald.service systemd-journald.socket\n' \
    > etc/systemd/system/trial.target
ip link set lo up
pivot_root . mnt
cd /
umount --lazy mnt
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=trial \
    /lib/systemd/systemd --system --unit=trial.target --show-status=no --log-target=journal
"""


class Machine:
    """Boots when entered, is gone when left. Use `why_not` before."""

    def __enter__(self) -> "Machine":
        self._folder = tempfile.TemporaryDirectory(prefix="fp-")
        cgroups = _cgroups()
        assert cgroups is not None
        self._cgroup = cgroups / Path(self._folder.name).name  # its processes are in no other machine's groups
        self._cgroup.mkdir()
        library = sysconfig.get_path("purelib")
        namespaces = ["--mount", "--pid", "--net", "--ipc", "--uts", "--cgroup", "--propagation", "private"]
        boot = ["unshare", *namespaces, "--fork", "--kill-child", "sh", "-c", _BOOT, "sh"]
        self._process = subprocess.Popen(
            ["sh", "-c", _ENTER, "sh", str(self._cgroup), *boot, self._folder.name, str(REPOSITORY), library],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )
        try:
            self._first = wait_for(self._systemd, "the machine's boot")
            wait_for(
                lambda: self.run("systemctl", "is-active", "trial.target", check=False) == "active\n", "trial.target"
            )
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Switch it off: with its first process all others end."""
        self._process.kill()
        self._process.wait(DEADLINE)
        if self._process.stderr:
            self._process.stderr.close()
        self._folder.cleanup()
        wait_for(
            lambda: not (self._cgroup / "cgroup.events").read_text().startswith("populated 1"), "its processes' end"
        )
        for folder, _folders, _files in os.walk(self._cgroup, topdown=False):
            Path(folder).rmdir()

    def command(self, *words: str) -> list[str]:
        """A command line that runs these words in the machine, as root."""
        enter = [
            "nsenter",
            "-t",
            str(self._first),
            "-m",
            "-p",
            "-n",
            "-i",
            "-u",
            "-C",
            f"--root=/proc/{self._first}/root",
        ]
        return [*enter, "env", "-i", "-C", "/", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", *words]

    def run(self, *words: str, check: bool = True, feed: str = "") -> str:
        """What a command says, on both its outputs; fails the test with it if the command fails."""
        done = subprocess.run(
            self.command(*words),
            input=feed,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=60,
        )
        assert not check or done.returncode == 0, f"{' '.join(words)}: {done.returncode}\n{done.stdout}"
        return done.stdout

    def python(self, program: str) -> str:
        """Run a Python program in the machine."""
        return self.run("/usr/bin/python3", "-", feed=program)

    def write(self, path: str, text: str) -> None:
        """Make a file."""
        self.run("sh", "-c", f"mkdir -p $(dirname {path}) && cat > {path}", feed=text)

    def _systemd(self) -> int:
        """Its process id as we see it, when it is systemd and no longer the script that boots it."""
        assert self._process.poll() is None, self._process.stderr and self._process.stderr.read()
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        for child in children:
            with suppress(OSError):
                if os.path.realpath(f"/proc/{child}/exe") == os.path.realpath(_SYSTEMD):
                    return int(child)
        return 0


def _cgroups() -> Path | None:
    """Where control groups (version 2) are mounted."""
    mounts = (line.split() for line in Path("/proc/self/mounts").read_text().splitlines())
    return next((Path(place) for _device, place, kind, *_rest in mounts if kind == "cgroup2"), None)


def why_not() -> str:
    """Why no such machine can be had here; empty if it can."""
    version = subprocess.run(["/usr/bin/python3", "-V"], capture_output=True, text=True, check=False).stdout
    if not version.startswith(f"Python {sys.version_info[0]}.{sys.version_info[1]}."):
        return "/usr/bin/python3 has another version than the one that runs the tests"
    if not Path(_SYSTEMD).exists():
        return "systemd is not installed"
    if _cgroups() is None:
        return "there are no control groups of version 2"
    return ""
