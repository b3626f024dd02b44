"""The servers of this machine's resolv.conf, read again when the file changes."""

from pathlib import Path
from typing import Final

from frontproxy.core.address import AddressError, pack
from frontproxy.lookup.servers import Place

RESOLV_CONF: Final = Path("/etc/resolv.conf")
SERVERS_LIMIT: Final = 8
_SIZE_LIMIT: Final = 64 * 1024


class ResolvConf:
    """Reads the file, and knows whether it is still the one that was read."""

    def __init__(self, path: Path = RESOLV_CONF) -> None:
        self._path = path
        self._seen: tuple[int, ...] | None = None

    def has_changed(self) -> bool:
        """It is another one than at the last time that was asked."""
        before, self._seen = self._seen, self._look()
        return self._seen != before

    def servers(self) -> tuple[Place, ...]:
        """Its name servers; none without a file that can be read."""
        try:
            with self._path.open(errors="replace") as file:
                lines = file.read(_SIZE_LIMIT).splitlines()
        except OSError:
            return ()
        words = [line.split() for line in lines]
        found = [(word[1], 53) for word in words if len(word) > 1 and word[0] == "nameserver" and _is_address(word[1])]
        return tuple(found[:SERVERS_LIMIT])

    def _look(self) -> tuple[int, ...]:
        try:
            found = self._path.stat()
        except OSError:
            return ()
        return found.st_mtime_ns, found.st_ino, found.st_size


def _is_address(text: str) -> bool:
    try:
        pack(text)
    except AddressError:
        return False
    return True
