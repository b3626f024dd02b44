"""A private Exim: its own configuration, spool and log in one folder, one port with PROXY headers and one without.

Mail for user@example.test and you@example.test is accepted and stays in its queue; other recipients are unknown
(5.1.1), other domains refused. It asks no DNS, and needs root.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType

from tests.real.house import DEADLINE, wait_for
from tests.real.install import find
from tests.real.ports import Port

_CONFIG = """\
exim_path = {program}
primary_hostname = mx.example.test
spool_directory = {folder}/spool
log_file_path = {folder}/log/%slog
pid_file_path = {folder}/pid
exim_user = Debian-exim
local_interfaces = <; {interfaces}
log_selector = +incoming_port +smtp_connection
hosts_proxy = ${{if eq{{$received_port}}{{{proxied}}}{{127.0.0.1}}{{}}}}
host_lookup =
rfc1413_hosts =
dns_ipv4_lookup =
tls_advertise_hosts =
keep_environment =
queue_only = true
acl_smtp_rcpt = check_recipient

begin acl
check_recipient:
  accept domains = example.test
         local_parts = user : you
  deny   domains = example.test
         message = 550 5.1.1 Unknown user
  deny   message = relay not permitted
"""


class Exim:
    """One Exim."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ex-"))
        self.folder.chmod(0o755)
        self._plain, self._proxied = Port(), Port()
        owner = pwd.getpwnam("Debian-exim").pw_uid
        for name in ("spool", "log"):
            (self.folder / name).mkdir()
            os.chown(self.folder / name, owner, -1)
        self._program = find("exim4") or "exim4"
        (self.folder / "conf").write_text(
            _CONFIG.format(
                program=self._program,
                folder=self.folder,
                interfaces="; ".join(f"127.0.0.1.{port.number}" for port in (self._plain, self._proxied)),
                proxied=self._proxied.number,
            )
        )
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        """Where it takes no PROXY header."""
        return self._plain.number

    @property
    def proxied_port(self) -> int:
        """Where it requires one."""
        return self._proxied.number

    @property
    def mainlog(self) -> Path:
        """Its log."""
        return self.folder / "log/mainlog"

    def __enter__(self) -> "Exim":
        command = [self._program, "-C", str(self.folder / "conf"), "-bdf"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        try:
            wait_for(lambda: self._process_is_gone() or "daemon started" in self.log(), "the start of Exim")
            assert not self._process_is_gone(), self.log()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self.close()

    def log(self) -> str:
        """All it has logged."""
        return self.mainlog.read_text(errors="backslashreplace") if self.mainlog.exists() else ""

    def close(self) -> None:
        """End it, and remove what is its own."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(DEADLINE)
        for port in (self._plain, self._proxied):
            port.close()
        shutil.rmtree(self.folder)

    def _process_is_gone(self) -> bool:
        return self._process is None or self._process.poll() is not None
