"""Verbs about the whole house: how it is, stress held on or off, a new configuration, an end."""

import time
from math import inf

from frontproxy.control.words import Answer, Controls, Refused, no_words, seconds_of, take_options
from frontproxy.handover.pool import Pool
from frontproxy.status import status_of


async def stress(controls: Controls, arguments: list[str]) -> Answer:
    usage = "usage: stress [POOL] [on|off|auto] [--for 1h]"
    options = take_options(arguments, {"--for"}, usage)
    pools = {pool.name: pool for pool in controls.proxy.pools}
    chosen = list(pools.values())
    if arguments and arguments[0] in pools:
        chosen = [pools[arguments.pop(0)]]
    if arguments or options:
        if len(arguments) != 1 or arguments[0] not in {"on", "off", "auto"}:
            raise Refused("usage", f"{usage}; the pools are: {', '.join(pools)}")
        now = time.monotonic()
        until = now + seconds_of(options["--for"]) if "--for" in options else inf
        for pool in chosen:
            pool.stress.hold({"on": True, "off": False, "auto": None}[arguments[0]], until)
        controls.proxy.pools.tick(now)
    return {"pools": [_shown_stress(pool) for pool in chosen]}


async def reload(controls: Controls, arguments: list[str]) -> Answer:
    no_words(arguments, "reload")
    return {"remarks": await controls.reload()}


async def drain(controls: Controls, arguments: list[str]) -> Answer:
    no_words(arguments, "drain")
    controls.drain()
    return {"sessions": controls.proxy.pools.open_in("")}


async def status(controls: Controls, arguments: list[str]) -> Answer:
    no_words(arguments, "status")
    return status_of(controls.proxy, controls.watched)


def _shown_stress(pool: Pool) -> Answer:
    held = {True: "on", False: "off", None: "auto"}[pool.stress.held]
    return {"name": pool.name, "stress": pool.stress.on, "held": held}
