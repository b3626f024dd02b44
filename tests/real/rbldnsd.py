"""rbldnsd: the DNS list server of the world, on a free UDP port, with zones that a test may change while it runs.

with Rbldnsd({"bl.example": {"192.0.2.1": "127.0.0.4", "2001:db8::/32": "127.0.0.2"}}) as rbldnsd:
    rbldnsd.port
    rbldnsd.write("bl.example", {"0.0.0.0/0": "127.0.0.2"})
"""

import os
import pwd
import signal
import socket
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Self

from tests.real.dns_questions import serial
from tests.real.house import wait_for
from tests.real.servers import Server

RBLDNSD = ("rbldnsd",)
"""What `need(*RBLDNSD)` asks for."""
Listings = Mapping[str, str]
"""What a zone lists: networks, and the addresses it answers for each (several are separated by spaces)."""
TEST_POINT: Listings = MappingProxyType({"127.0.0.2": "127.0.0.2"})
"""What every IPv4 list has to list (RFC 5782 section 5)."""
_USER = "rbldns"


class DnsServer(Server):
    """A server that listens on a UDP port; it is free until it starts."""

    def __init__(self, program: str) -> None:
        super().__init__(program)
        self._held: socket.socket | None = _hold_udp(self.port)

    def start(self) -> Self:
        """Start it and wait until it listens."""
        if self._held is not None:
            self._held.close()
            self._held = None
        return super().start()

    def stop(self) -> None:
        """End it; its port is held for the next start."""
        super().stop()
        self._held = _hold_udp(self.port)

    def close(self) -> None:
        """End it if it runs, and remove its folder."""
        super().close()
        if self._held is not None:
            self._held.close()

    def _listens(self) -> bool:
        wanted = f":{self.port:04X} "
        return any(wanted in line[:25] for line in Path("/proc/net/udp").read_text().splitlines()[1:])


def _hold_udp(port: int) -> socket.socket:
    held = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    held.bind(("127.0.0.1", port))
    return held


class Rbldnsd(DnsServer):
    """The server of these zones. `ttl` is that of listings, `negative_ttl` that of everything else, in seconds.

    Every zone has the test point of RFC 5782 unless `test_point` is false.
    """

    def __init__(
        self, zones: Mapping[str, Listings], *, ttl: int = 300, negative_ttl: int = 60, test_point: bool = True
    ) -> None:
        super().__init__("rbldnsd")
        self.folder.chmod(0o755)
        self._times = ttl, negative_ttl
        self._always = TEST_POINT if test_point else {}
        self._serials = dict.fromkeys(zones, 0)
        for zone, listings in zones.items():
            self._write_files(zone, listings)

    def write(self, zone: str, listings: Listings) -> None:
        """Replace what a zone lists, and wait until it is served."""
        self._write_files(zone, listings)
        os.kill(self.pid, signal.SIGHUP)
        wait_for(lambda: serial(self.port, zone) == self._serials[zone], f"the new {zone}")

    def _write_files(self, zone: str, listings: Listings) -> None:
        ttl, negative_ttl = self._times
        self._serials[zone] += 1
        number = self._serials[zone]
        soa = f"$SOA {negative_ttl} ns.example. hostmaster.example. {number} 1h 1h 1w {negative_ttl}\n$TTL {ttl}\n"
        listings = {**self._always, **listings}
        lines = [f"{network} :{code}:\n" for network, codes in listings.items() for code in codes.split()]
        for version, is_ipv6 in (("4", False), ("6", True)):
            path = self.folder / f"{zone}.{version}"
            path.write_text(soa + "".join(line for line in lines if (":" in line.split()[0]) is is_ipv6))
            os.utime(path, (number, number))  # it looks at whole seconds

    def _arguments(self) -> list[str]:
        user = ["-u", pwd.getpwnam(_USER).pw_name] if os.geteuid() == 0 else []
        zones = [
            f"{zone}:{kind}:{zone}.{version}"
            for zone in self._serials
            for kind, version in (("ip4set", 4), ("ip6trie", 6))
        ]
        return ["-n", *user, "-w", str(self.folder), "-b", f"127.0.0.1/{self.port}", "-c", "0", *zones]
