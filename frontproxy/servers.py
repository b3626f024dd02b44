"""The bundled smtpds that a Setup asks for: started before they are needed, retired when they are not."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import trio

from frontproxy.children import Died, Smtpd
from frontproxy.core.mistakes import Mistake, Mistaken
from frontproxy.handover.pool import Endpoint
from frontproxy.local import InUseError
from frontproxy.programs import command, environment
from frontproxy.setup import SMTPD, Setup

READY_WITHIN = 30.0
"""Seconds that new smtpds have to begin to serve."""


LAST_OUTCOMES = 1.0
"""Seconds of `drain_time` that are left for what the smtpds have to tell at last."""


class Servers:
    """One smtpd for each bundled backend of each pool, and those that still finish what they began."""

    def __init__(self, report: Path, died: Died, log: Callable[..., None], raw: Callable[[str], None]) -> None:
        """`report` is the report socket as it is open now, whatever a later configuration says."""
        self._report = report
        self._died = died
        self._log = log
        self._raw = raw
        self._serving: dict[Endpoint, Smtpd] = {}
        self._leaving: list[Smtpd] = []

    async def prepare(self, setup: Setup, nursery: trio.Nursery) -> dict[Endpoint, Smtpd]:
        """The smtpds a Setup needs: those that run with the same settings already, and new ones, when they are ready.

        Nothing is given to the new ones before `adopt`. Raises Mistaken if one cannot be had; those that serve go on.
        """
        smtpds = self._open(setup)
        new = [smtpd for smtpd in smtpds.values() if smtpd not in self._serving.values()]
        for smtpd in new:
            nursery.start_soon(smtpd.run, self._log, self._died, self._raw)
        with trio.move_on_after(READY_WITHIN):
            for smtpd in new:
                await smtpd.begun.wait()
        idle = [smtpd.name for smtpd in new if not smtpd.is_ready]
        if idle:
            await self.reject(smtpds)
            what, remedy = f"{', '.join(idle)} did not begin to serve", "its last words in the log say why"
            raise Mistaken([Mistake(str(setup.path), 0, "smtpd", what, remedy)])
        return smtpds

    async def adopt(self, smtpds: dict[Endpoint, Smtpd]) -> None:
        """From now on these serve; the others finish their sessions."""
        gone = [smtpd for smtpd in self._serving.values() if smtpd not in smtpds.values()]
        self._serving = smtpds
        self._leaving = [smtpd for smtpd in self._leaving if not smtpd.ended.is_set()] + gone
        for smtpd in gone:
            await smtpd.retire()

    async def reject(self, smtpds: Mapping[Endpoint, Smtpd]) -> None:
        """Those prepared in vain end again."""
        for smtpd in smtpds.values():
            if smtpd not in self._serving.values():
                self._leaving.append(smtpd)
                await smtpd.retire()

    async def drain(self) -> None:
        """All of them end soon; returns when they have."""
        smtpds = [*self._serving.values(), *self._leaving]
        for smtpd in smtpds:
            smtpd.drain()
        for smtpd in smtpds:
            await smtpd.ended.wait()

    def status(self) -> list[dict[str, Any]]:
        """Name and process id of each that serves."""
        return [{"name": smtpd.name, "pid": smtpd.pid} for smtpd in self._serving.values()]

    def _open(self, setup: Setup) -> dict[Endpoint, Smtpd]:
        orders = {
            "smtpd": setup.config.smtpd,
            "folder": str(setup.folder),
            "report": str(self._report),
            "drain_time": max(setup.config.listen.drain_time - LAST_OUTCOMES, 0.0),
            "fingerprint": setup.fingerprint,
        }
        line = json.dumps(orders).encode() + b"\n"
        smtpds: dict[Endpoint, Smtpd] = {}
        bundled = [(pool.name, b.target) for pool in setup.config.pools for b in pool.backends if b.kind == "bundled"]
        for pool, personality in bundled:
            endpoint = (pool, f"bundled:{personality}")
            running = self._serving.get(endpoint)
            if running is not None and running.settings == line:
                smtpds[endpoint] = running
                continue
            name = f"smtpd-{pool}-{personality}"
            try:
                smtpds[endpoint] = Smtpd(
                    name, command(SMTPD, "--personality", personality), environment(), line, self._report.parent
                )
            except (OSError, InUseError) as error:
                for smtpd in smtpds.values():
                    if smtpd not in self._serving.values():
                        smtpd.abandon()
                what = f"the socket of {name} cannot be made: {error}"
                remedy = "it stands beside learn.report; give that a shorter path, or us the right to write there"
                raise Mistaken([Mistake(str(setup.path), 0, f"pool.{pool}.backends", what, remedy)]) from error
        return smtpds
