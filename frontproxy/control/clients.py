"""Verbs about clients: their verdict, who is known, and forgetting one."""

import time

import trio

from frontproxy.control.words import Answer, Controls, Refused, no_words, one_word, packed_address
from frontproxy.core import address, history, level, scoring
from frontproxy.core.explained import hearsay_answer
from frontproxy.core.recollection import own_points
from frontproxy.proxy import Proxy

CLIENTS_SHOWN = 10
ASK_WITHIN = 5.0
"""Seconds in which the DNS may answer when an operator asks."""
_SIGNS = {"best": 1, "worst": -1, "busiest": 0}


async def score(controls: Controls, arguments: list[str]) -> Answer:
    proxy = controls.proxy
    asks = "--ask" in arguments
    packed = packed_address(one_word([word for word in arguments if word != "--ask"], "score CLIENT [--ask]"))
    if asks:
        await _ask_anew(proxy, packed)
    verdict = proxy.judge(packed, address.unpack(packed))
    now = time.monotonic()
    told = hearsay_answer(
        proxy.desk.hearsay(packed, now),
        [settings.zone for settings in proxy.setup.config.dnslists],
        verdict.reasons,
        silenced={told["zone"]: told["why"] for told in proxy.desk.status()["lists"] if not told["vote"]},
        now=now,
    )
    return {**scoring.score_answer(verdict), **told}


async def _ask_anew(proxy: Proxy, packed: bytes) -> None:
    """Have the DNS tell everything about a client, or as much as it tells in time."""
    config = proxy.setup.config
    if not config.dnslists and not config.dns.names:
        raise Refused("failed", "the DNS is asked nothing: config.toml has no [[dnslist]], and dns.names is false")
    heard = trio.Event()
    inquiry = proxy.desk.ask_all(packed, time.monotonic(), heard.set)
    if inquiry is None:
        raise Refused("failed", "the DNS cannot be asked now, as too many questions wait for answers; try again")
    try:
        with trio.move_on_after(ASK_WITHIN):
            await heard.wait()
    finally:
        inquiry.cancel()


async def clients(controls: Controls, arguments: list[str]) -> Answer:
    no_words(arguments, "clients")
    now = controls.proxy.clock.now()
    forgetting = controls.proxy.setup.forgetting
    answer: Answer = {}
    for order in ("best", "worst", "busiest"):
        rows = []
        for client, record in await controls.proxy.memory.rank(order, CLIENTS_SHOWN):
            own = level.aged(record.own, now, forgetting)
            points = own_points(record, now=now, forgetting=forgetting)
            if points * _SIGNS[order] < 0:
                continue
            rows.append(
                {
                    "client": address.client_text(client),
                    "points": round(points, 1),
                    "good": round(own.good, 2),
                    "bad": round(own.bad, 2),
                    "last_seen": round(record.own.t, 1),
                }
            )
        answer[order] = rows
    return answer


async def forget(controls: Controls, arguments: list[str]) -> Answer:
    packed = packed_address(one_word(arguments, "forget CLIENT"))
    client = address.client_of(packed)
    proxy = controls.proxy
    keys = history.Keys(client, address.network_of(packed), proxy.setup.geo.find(address.unpack(packed)).asn)
    record = proxy.memory.recall(keys).client
    if record and record.asn:  # where it was when it was learned from
        keys = keys._replace(asn=record.asn)
    proxy.memory.remember(history.forgotten(proxy.memory.recall(keys), forgetting=proxy.setup.forgetting))
    known = proxy.memory.forget(client)
    proxy.log("forget", client=address.client_text(client), known=known)
    return {"client": address.client_text(client), "known": known}
