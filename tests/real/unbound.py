"""unbound: a real resolver on a free port. It knows the zones it is told of, and nobody else on the net.

with Unbound({"bl.example": rbldnsd.port}, [reverse("192.0.2.1", "mail.example.org"), ...]) as unbound:
    unbound.port
"""

import ipaddress
import os
import signal
from collections.abc import Iterable, Mapping

from tests.real.dns_questions import serial
from tests.real.house import wait_for
from tests.real.rbldnsd import DnsServer

UNBOUND = ("unbound",)
"""What `need(*UNBOUND)` asks for."""
_CONFIG = """\
server:
    interface: 127.0.0.1@{port}
    username: ""
    chroot: ""
    directory: "{folder}"
    pidfile: ""
    use-syslog: no
    logfile: ""
    do-daemonize: no
    do-not-query-localhost: no
    do-ip6: no
    num-threads: 1
    module-config: "iterator"
    infra-host-ttl: 1
    local-zone: "." static
    local-data: ". {negative_ttl} SOA ns.example. hostmaster.example. {serial} 3600 3600 604800 {negative_ttl}"
{records}
remote-control:
    control-enable: no
{zones}
"""
_ZONE = """\
server:
    local-zone: "{zone}" transparent
stub-zone:
    name: "{zone}"
    stub-addr: 127.0.0.1@{port}
"""


def reverse(address: str, name: str, ttl: int = 300) -> str:
    """The record that gives an address its reverse name."""
    return f"{ipaddress.ip_address(address).reverse_pointer}. {ttl} PTR {name}."


def forward(name: str, address: str, ttl: int = 300) -> str:
    """The record that gives a name its address."""
    return f"{name}. {ttl} {'AAAA' if ':' in address else 'A'} {address}"


def confirmed(address: str, name: str, ttl: int = 300) -> list[str]:
    """Both."""
    return [reverse(address, name, ttl), forward(name, address, ttl)]


class Unbound(DnsServer):
    """A resolver: `zones` are the DNS lists with the ports of their servers, `records` all else there is.

    What it knows nothing of does not exist, for `negative_ttl` seconds.
    """

    def __init__(self, zones: Mapping[str, int], records: Iterable[str] = (), *, negative_ttl: int = 60) -> None:
        super().__init__("unbound")
        self._zones = zones
        self._negative_ttl = negative_ttl
        self._serial = 0
        self._configure(records)

    def write(self, records: Iterable[str]) -> None:
        """Replace the records, forget all answers, and wait until that is done."""
        self._configure(records)
        os.kill(self.pid, signal.SIGHUP)
        wait_for(lambda: serial(self.port, ".") == self._serial, "the new records")

    def _configure(self, records: Iterable[str]) -> None:
        self._serial += 1
        (self.folder / "config").write_text(
            _CONFIG.format(
                port=self.port,
                folder=self.folder,
                serial=self._serial,
                negative_ttl=self._negative_ttl,
                records="".join(f'    local-data: "{record}"\n' for record in records),
                zones="".join(_ZONE.format(zone=zone, port=port) for zone, port in self._zones.items()),
            )
        )

    def _arguments(self) -> list[str]:
        return ["-d", "-c", "config"]
