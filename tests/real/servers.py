"""HAProxy, nginx and smtp-sink as the world has them, each in a folder of its own, on a free port, ended by its pid.

Both start as an ordinary user would start them; what they log can be read. HAProxy is a sender of PROXY headers and a
rival in benchmarks, nginx either of these and a receiver that tells which client a header named.
"""

import os
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.real.house import DEADLINE, wait_for
from tests.real.install import NGINX_STREAM, find
from tests.real.ports import Port

HAPROXY = ("haproxy",)
"""What `need(*HAPROXY)` asks for."""
NGINX = ("nginx", NGINX_STREAM)


class Server:
    """A process with a configuration file and a log, in a folder with a short path."""

    def __init__(self, program: str, host: str = "127.0.0.1") -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="sv-"))
        self.address = Port(host)
        self.port = self.address.number
        self._program = find(program) or program
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
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
        """Of its first process; its workers are children of it."""
        assert self._process is not None, "it is not running"
        return self._process.pid

    def log(self) -> str:
        """All it has written."""
        return (self.folder / "log").read_text(errors="backslashreplace")

    def start(self) -> Self:
        """Start it and wait until it listens."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, *self._arguments()],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_for(lambda: self._listens() or self._has_ended(), f"the start of {self._program}:\n{self.log()}")
        assert not self._has_ended(), self.log()
        return self

    def stop(self) -> None:
        """End it; its sessions end with it."""
        assert self._process is not None, "it is not running"
        process, self._process = self._process, None
        process.terminate()
        try:
            process.wait(DEADLINE)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    def close(self) -> None:
        """End it if it runs, and remove its folder."""
        if self._process is not None:
            self.stop()
        self.address.close()
        shutil.rmtree(self.folder)

    def _arguments(self) -> list[str]:
        raise NotImplementedError

    def _has_ended(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    def _listens(self) -> bool:
        """Asked of the kernel and not by a connection, which would count as a session."""
        table = "tcp6" if ":" in self.address.host else "tcp"
        wanted = f":{self.port:04X} "
        lines = Path(f"/proc/net/{table}").read_text().splitlines()[1:]
        return any(wanted in line.split(maxsplit=1)[1][:45] and line.split()[3] == "0A" for line in lines)


class HaProxy(Server):
    """HAProxy in TCP mode.

    `send_proxy` is "v1", "v2" or "" for the header it sends; `accept_proxy` has it require one; `smtp_check` makes it
    ask the backend every 200 ms as its `option smtpchk` does; `stick_table` has it count connections by client address;
    `extra` are further lines of its `listen` section.
    """

    def __init__(
        self,
        backend: int | str,
        *,
        host: str = "127.0.0.1",
        send_proxy: str = "v2",
        accept_proxy: bool = False,
        smtp_check: bool = False,
        stick_table: bool = True,
        extra: tuple[str, ...] = (),
    ) -> None:
        super().__init__("haproxy", host)
        target = f"127.0.0.1:{backend}" if isinstance(backend, int) else backend
        server = ["server", "backend", target]
        server += {"": [], "v1": ["send-proxy"], "v2": ["send-proxy-v2"]}[send_proxy]
        if smtp_check:
            server += ["check", "inter", "200ms", *(["check-send-proxy"] if send_proxy else [])]
        lines = [
            f"bind {self.address}{' accept-proxy' if accept_proxy else ''}",
            *(["option smtpchk EHLO haproxy.example.org"] if smtp_check else []),
            *(_STICK_TABLE if stick_table else ()),
            *extra,
            " ".join(server),
        ]
        (self.folder / "config").write_text(_HAPROXY + "".join(f"    {line}\n" for line in lines))

    def _arguments(self) -> list[str]:
        return ["-db", "-f", "config"]


_STICK_TABLE = (
    "stick-table type ipv6 size 100k expire 10m store conn_cur,conn_rate(60s)",
    "tcp-request connection track-sc0 src",
)
_HAPROXY = """\
global
    nbthread 1
    log stderr format raw daemon
defaults
    mode tcp
    timeout connect 5s
    timeout client 5m
    timeout server 5m
listen smtp
"""


class Nginx(Server):
    """nginx passing TCP streams on: to the port `backend`, with a PROXY header (v1, its only one) if `send_proxy`."""

    def __init__(self, backend: int, *, host: str = "127.0.0.1", send_proxy: bool = True) -> None:
        super().__init__("nginx", host)
        self._configure(
            f"listen {self.address}; proxy_pass 127.0.0.1:{backend}; proxy_protocol {'on' if send_proxy else 'off'};"
        )

    def _configure(self, server: str) -> None:
        (self.folder / "config").write_text(_NGINX.format(module=NGINX_STREAM, folder=self.folder, server=server))

    def _arguments(self) -> list[str]:
        return ["-p", str(self.folder), "-c", "config", "-g", "daemon off;"]


class NginxReceiver(Nginx):
    """nginx requiring a PROXY header, v1 or v2, and passing what follows to `backend`; it tells whom they named."""

    def __init__(self, backend: int, *, host: str = "127.0.0.1") -> None:
        super().__init__(backend, host=host)
        self._configure(
            f"listen {self.address} proxy_protocol; proxy_pass 127.0.0.1:{backend}; access_log clients named;"
        )

    def clients(self) -> list[tuple[str, int]]:
        """The client address and port that each ended session's header named, in order of their ends."""
        words = (line.split() for line in (self.folder / "clients").read_text().splitlines())
        return [(address, int(port)) for address, port in words]


_NGINX = """\
load_module {module};
worker_processes 1;
pid {folder}/pid;
error_log stderr;
events {{ worker_connections 8000; }}
stream {{
    log_format named "$proxy_protocol_addr $proxy_protocol_port";
    access_log off;
    server {{ {server} }}
}}
"""


class Sink(Server):
    """Postfix' smtp-sink: accepts all mail at little cost and keeps none; it knows no PROXY protocol."""

    def __init__(self) -> None:
        super().__init__("smtp-sink")

    def _arguments(self) -> list[str]:
        as_user = ["-u", "nobody"] if os.geteuid() == 0 else []
        return [*as_user, "-m", "1000", str(self.address), "1000"]
