"""Verbs about the past: what old logs tell is learned while the proxy serves, a batch at a time."""

import sqlite3
from functools import partial

import trio

from frontproxy.control.words import Answer, Controls, Refused
from frontproxy.memory.soundness import Damaged
from frontproxy.memory.sqlite import HistoryFile
from frontproxy.past import BatchError, Fate, PastSides, Standing, decode_batch, keep_way_back, learn_batch
from frontproxy.proxy import Proxy

_AT_ONCE = 8  # sessions, a millisecond's work
_UNWRITTEN_LIMIT = 5_000  # records that may wait for the disk before more is learned


async def learn(controls: Controls, arguments: list[str]) -> Answer:
    """Learn a batch; without one, make sure that there is a way back, and tell where it is."""
    if not arguments:
        return await _prepare(controls.proxy)
    proxy = controls.proxy
    if _is_full(proxy.memory):
        await proxy.memory.flush()
        if _is_full(proxy.memory):
            raise Refused("failed", "; ".join(proxy.memory.current_troubles()) or "the history cannot be written")
    try:
        batch = decode_batch(" ".join(arguments))
    except BatchError as error:
        raise Refused("usage", f"usage: learn [[KEY, NAME, DOMAIN, OUTCOME], ...]; {error}") from None
    sides = PastSides(proxy.setup, proxy.memory, proxy.desk, proxy.census, rations=proxy.rations)
    fates: list[Fate] = []
    standings: dict[str, Standing] = {}
    for at in range(0, len(batch), _AT_ONCE):
        learned = learn_batch(sides, batch[at : at + _AT_ONCE], now=proxy.clock.now())
        fates += learned.fates
        standings |= learned.standings
        await trio.lowlevel.checkpoint()  # mail comes first
    return {"fates": fates, "standings": standings}


def _is_full(memory: HistoryFile) -> bool:
    unwritten = memory.status()["unwritten"]
    return isinstance(unwritten, int) and unwritten > _UNWRITTEN_LIMIT


async def _prepare(proxy: Proxy) -> Answer:
    file = proxy.setup.config.history.file
    await proxy.memory.flush()
    try:
        copy = await trio.to_thread.run_sync(partial(keep_way_back, file, proxy.clock.now()))
    except (sqlite3.Error, OSError, Damaged) as error:
        raise Refused("failed", f"the history cannot be copied first ({error}); see to that, or make room") from None
    proxy.log("learn", state="begin", copy=copy)
    return {"history": str(file), "copy": str(copy)}
