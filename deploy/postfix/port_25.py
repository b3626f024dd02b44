"""Postfix's services on port 25: which they are, and how they leave it and take it back.

A service leaves by becoming a comment, where it stands in master.cf, line by line; so nothing of it is lost, and taking
the mark away brings it back as it was.
"""

import socket
from collections.abc import Collection, Iterable, Iterator

from cf_files import Folder, key_of

MARK = "#frontproxy# "

_EVERY_ADDRESS = ("", "0.0.0.0", "[::]")  # noqa: S104  as master.cf says it; nothing is bound here


def on_port_25(folder: Folder) -> list[str]:
    """The keys of all services that listen on port 25, those for every address first, for this machine alone last."""
    keys = [key for key in folder.services() if _is_port_25(key)]
    return sorted(
        keys, key=lambda key: (not for_every_address(key), _host(key).startswith(("127.", "localhost", "[::1]")))
    )


def for_every_address(key: str) -> bool:
    """The service is not for one address only."""
    return _host(key) in _EVERY_ADDRESS


def _is_port_25(key: str) -> bool:
    name, _, kind = key.rpartition("/")
    port = name.rpartition(":")[2]
    return kind == "inet" and (port in {"25", "smtp"} or _number(port) == 25)


def _number(port: str) -> int:
    """The port of a name in /etc/services; 0 for an unknown one."""
    try:
        return socket.getservbyname(port, "tcp")
    except OSError:
        return 0


def _host(key: str) -> str:
    return key.rpartition("/")[0].rpartition(":")[0]


def leave(folder: Folder, keys: Collection[str]) -> None:
    """Turn these services into comments that `take_back` knows."""
    lines = _with_service(folder.texts()["master.cf"].splitlines(keepends=True))
    folder.write_master("".join(MARK + line if key in keys else line for key, line in lines))


def take_back(folder: Folder) -> list[str]:
    """Turn the comments of `leave` into services again; their keys. What is there already stays a comment."""
    there, back, lines = set(folder.services()), list[str](), list[str]()
    wanted = False
    for line in folder.texts()["master.cf"].splitlines(keepends=True):
        was = line.removeprefix(MARK)
        if line.startswith(MARK) and not was[0].isspace():
            wanted = key_of(was) not in there
            if wanted:
                there.add(key_of(was))
                back.append(key_of(was))
        lines.append(was if wanted else line)
    folder.write_master("".join(lines))
    return back


def _with_service(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Each line of master.cf with the key of the service that it belongs to; "" for comments and blank lines."""
    key = ""
    for line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            yield "", line
        else:
            key = key if line[0].isspace() else key_of(line)
            yield key, line
