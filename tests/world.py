"""The world for tests of a house: what the DNS says about clients, told by a test that plays the asking program."""

import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import trio
import trio.testing

from frontproxy.lookup.messages import PACKET_LIMIT
from tests.fakes import PATIENCE
from tests.houses import House

LISTED = ["127.0.0.2"]
NO_NAME: dict[str, Any] = {"name": "", "state": "missing", "domain": "", "access": False, "ttl": 600}


def named(name: str, domain: str = "", *, access: bool = False, state: str = "confirmed") -> dict[str, Any]:
    """What the program says of a name."""
    return {"name": name, "state": state, "domain": domain, "access": access, "ttl": 3600}


class World:
    """Answers what the desk asks: lists pass their tests, and list those whom a test wants to be listed."""

    def __init__(self, house: House) -> None:
        self._desk = house.proxy.desk
        self._ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        config = house.proxy.setup.config
        self._desk.configure(config.dns, config.dnslists, self._ends[0])
        self.lists: dict[str, list[str]] = {}
        """The codes that a list has for everybody; one that is not here lists nobody."""
        self.names: dict[str, dict[str, Any]] = {}
        """By address; the others have none."""
        self.asked: list[dict[str, Any]] = []
        """About clients."""
        self.is_silent = False

    def close(self) -> None:
        """The end of it."""
        for end in self._ends:
            end.close()

    async def begin(self, nursery: trio.Nursery) -> None:
        """Answer from now on; returns when all lists are believed."""
        nursery.start_soon(self._desk.run)
        nursery.start_soon(self._serve)
        self._desk.tick(time.monotonic())
        with trio.fail_after(PATIENCE):
            while any(not told["vote"] for told in self._desk.status()["lists"]):
                await trio.testing.wait_all_tasks_blocked()

    async def _serve(self) -> None:
        program = self._ends[1]
        while True:
            await trio.lowlevel.wait_readable(program)
            question = json.loads(program.recv(PACKET_LIMIT))
            is_test = question["address"] in {"127.0.0.1", "127.0.0.2"}
            if not is_test:
                self.asked.append(question)
            if is_test or not self.is_silent:
                program.send(b"".join(json.dumps(answer).encode() + b"\n" for answer in self._answers(question)))

    def _answers(self, question: dict[str, Any]) -> Iterator[dict[str, Any]]:
        address = question["address"]
        for zone in question["zones"]:
            codes = {"127.0.0.1": [], "127.0.0.2": LISTED}.get(address, self.lists.get(zone, []))
            yield {"id": question["id"], "zone": zone, "codes": codes, "ttl": 300}
        if question["name"]:
            yield {"id": question["id"], **self.names.get(address, NO_NAME)}
