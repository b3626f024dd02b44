"""A private Postfix: its own configuration, queue, data and log in one folder; it disturbs no other instance.

Mail for user@example.test and you@example.test is accepted and discarded, so that its queue stays empty; other
recipients are unknown (5.1.1), other domains refused. It asks no DNS, runs nothing in a chroot, and needs root.

    with Postfix(passed("nice", 30), passed("hostile", 20, smtpd_hard_error_limit="1"), smtpd("plain")) as postfix:
        postfix.pass_path("nice"), postfix.port("plain"), postfix.log()
"""

import grp
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from tests.real.house import DEADLINE, is_running, wait_for
from tests.real.install import find
from tests.real.ports import Port

PROGRAMS = ("postfix", "smtp-source")
"""What `need(*PROGRAMS, root=True)` asks for."""
DOMAIN = "example.test"
_DAEMONS = Path("/usr/lib/postfix/sbin")
_QUEUE = ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved", "trace")
_MAIN = {
    "compatibility_level": "3.6",
    "myhostname": f"mx.{DOMAIN}",
    "mydestination": DOMAIN,
    "local_recipient_maps": "inline:{user=here, you=here}",
    "local_transport": "discard:silently",
    "alias_maps": "",
    "alias_database": "",
    "mynetworks": "",
    "inet_protocols": "all",
    "smtpd_relay_restrictions": "reject_unauth_destination",
    "smtpd_peername_lookup": "no",
    "smtpd_tls_security_level": "none",
    "smtp_dns_support_level": "disabled",
    "maximal_queue_lifetime": "0",
    "bounce_queue_lifetime": "0",
}
_MASTER = """\
cleanup   unix  n       -       n       -       0       cleanup
qmgr      unix  n       -       n       300     1       qmgr
rewrite   unix  -       -       n       -       -       trivial-rewrite
bounce    unix  -       -       n       -       0       bounce
defer     unix  -       -       n       -       0       bounce
trace     unix  -       -       n       -       0       bounce
proxymap  unix  -       -       n       -       -       proxymap
error     unix  -       -       n       -       -       error
retry     unix  -       -       n       -       -       error
discard   unix  -       -       n       -       -       discard
anvil     unix  -       -       n       -       1       anvil
postlog   unix-dgram n  -       n       -       1       postlogd
"""


@dataclass(frozen=True, slots=True)
class Service:
    """One smtpd or postscreen of master.cf; `host` is empty for those that listen on a UNIX socket."""

    name: str
    command: str
    host: str = ""
    private: bool = False
    processes: int = 0
    """maxproc; 0 for Postfix's default of 100."""
    options: Mapping[str, str] = field(default_factory=dict)

    def line(self, endpoint: str) -> str:
        """Its entry in master.cf, listening there."""
        kind = "inet" if self.host else "pass"
        private = "y" if self.private else "n"
        first = f"{endpoint} {kind} {private} - n - {self.processes or '-'} {self.command}"
        options = {"syslog_name": f"postfix/{self.name}", **self.options}
        return "\n".join([first, *(f"  -o {{ {name} = {value} }}" for name, value in options.items())]) + "\n"


def passed(name: str, processes: int = 0, *, private: bool = False, **options: str) -> Service:
    """An smtpd that gets descriptors; `private` for those behind postscreen."""
    return Service(name, "smtpd", "", private, processes, options)


def smtpd(name: str, processes: int = 0, *, host: str = "127.0.0.1", **options: str) -> Service:
    """An smtpd on a free port; `smtpd_upstream_proxy_protocol="haproxy"` makes it require a PROXY header."""
    return Service(name, "smtpd", host, False, processes, options)


def postscreen(name: str, behind: str, *, host: str = "127.0.0.1", **options: str) -> Service:
    """A postscreen on a free port that gives its clients to the private service `behind`."""
    return Service(name, "postscreen", host, False, 1, {"smtpd_service_name": behind, **options})


class Postfix:
    """One Postfix instance. `main` overrides main.cf; without `folder` it has one of its own that goes with it."""

    def __init__(self, *services: Service, main: Mapping[str, str] | None = None, folder: Path | None = None) -> None:
        self._own_folder = folder is None
        self.folder = folder or Path(tempfile.mkdtemp(prefix="pf-"))
        self._services = services
        self._ports = {service.name: Port(service.host) for service in services if service.host}
        self._master: subprocess.Popen[bytes] | None = None
        self._make_folders()
        self.write_main(main or {})
        (self.folder / "etc/master.cf").write_text(
            _MASTER + "".join(service.line(str(self._ports.get(service.name, service.name))) for service in services)
        )

    def __enter__(self) -> "Postfix":
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """Of its master process."""
        assert self._master is not None, "it is not running"
        return self._master.pid

    def port(self, name: str) -> int:
        """Where an inet service listens."""
        return self._ports[name].number

    def pass_path(self, name: str) -> Path:
        """The socket of a service that gets descriptors."""
        private = next(service.private for service in self._services if service.name == name)
        return self.folder / "q" / ("private" if private else "public") / name

    def log(self) -> str:
        """All it has logged, over all its lives."""
        path = self.folder / "log"
        return path.read_text(errors="backslashreplace") if path.exists() else ""

    def smtpd_pids(self, name: str = "") -> list[int]:
        """Process ids of its smtpds, or of those of one service."""
        endpoint = str(self._ports.get(name, name))
        return [
            pid
            for pid, words in self._processes().items()
            if words[0] == "smtpd" and (not name or words[words.index("-n") + 1] == endpoint)
        ]

    def pids(self, command: str) -> list[int]:
        """Process ids of its processes with that name, such as postscreen or cleanup."""
        return [pid for pid, words in self._processes().items() if words[0] == command]

    def write_main(self, main: Mapping[str, str]) -> None:
        """Replace main.cf: these settings over the usual ones; `reload` or `start` reads it."""
        places = {
            "queue_directory": self.folder / "q",
            "data_directory": self.folder / "d",
            "daemon_directory": _DAEMONS,
            "command_directory": "/usr/sbin",
            "maillog_file": self.folder / "log",
            "maillog_file_prefixes": self.folder,
        }
        settings = {**places, **_MAIN, **main}
        path = self.folder / "etc/main.cf"
        path.write_text("".join(f"{name} = {value}\n" for name, value in settings.items()))
        os.utime(path, (0, 0))  # Postfix waits until nobody has written to it for two seconds

    def start(self) -> "Postfix":
        """Start it and wait until it listens."""
        before = self.log().count("daemon started")
        command = [str(_DAEMONS / "master"), "-c", str(self.folder / "etc"), "-d"]
        self._master = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
        wait_for(lambda: self._master_is_gone() or self.log().count("daemon started") > before, "the start of Postfix")
        assert not self._master_is_gone(), f"Postfix did not start:\n{self.log()}"
        return self

    def reload(self) -> None:
        """Have it read main.cf and master.cf again: `postfix reload`."""
        before = self.log().count("reload -- version")
        os.kill(self.pid, signal.SIGHUP)
        wait_for(lambda: self.log().count("reload -- version") > before, "Postfix' reload")

    def stop(self) -> None:
        """End it and all its processes, as `postfix stop` does; the socket files stay."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it and all its processes at once."""
        self._end(signal.SIGKILL)

    def close(self) -> None:
        """End it if it runs, and remove what is its own."""
        if self._master is not None:
            self.stop()
        for port in self._ports.values():
            port.close()
        if self._own_folder:
            shutil.rmtree(self.folder)

    def _end(self, number: int) -> None:
        assert self._master is not None, "it is not running"
        master, children = self._master, list(self._processes())
        self._master = None
        _signal_group(master.pid, number)
        try:
            master.wait(DEADLINE)
        finally:
            _signal_group(master.pid, signal.SIGKILL)
            wait_for(lambda: not any(map(is_running, children)), "the end of all of Postfix")

    def _master_is_gone(self) -> bool:
        return self._master is None or self._master.poll() is not None

    def _processes(self) -> dict[int, list[str]]:
        """The command line of each of master's children."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        lines = {int(pid): _command_line(pid) for pid in children}
        return {pid: words for pid, words in lines.items() if words}

    def _make_folders(self) -> None:
        """What `postfix set-permissions` would make, in our own folder."""
        owner, group = pwd.getpwnam("postfix").pw_uid, grp.getgrnam("postdrop").gr_gid
        self.folder.chmod(0o755)
        for name in ("etc", "q", "q/pid"):
            (self.folder / name).mkdir(exist_ok=True)
        for name in ("d", *(f"q/{name}" for name in _QUEUE)):
            path = self.folder / name
            path.mkdir(exist_ok=True, mode=0o700)
            os.chown(path, owner, -1)
        for name, mode in (("q/maildrop", 0o730), ("q/public", 0o710)):
            path = self.folder / name
            path.mkdir(exist_ok=True)
            os.chown(path, owner, group)
            path.chmod(mode)


def _command_line(pid: str) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:-1]
    except FileNotFoundError:
        return []


def _signal_group(group: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, number)


def smtp_source(port: int, *options: str) -> None:
    """Send mail with Postfix' own load generator; `options` as in smtp-source(1).

    Raises subprocess.SubprocessError if a session failed, or if all that takes two minutes.
    """
    program = find("smtp-source") or "smtp-source"
    subprocess.run([program, "-t", f"user@{DOMAIN}", *options, f"127.0.0.1:{port}"], check=True, timeout=120)
