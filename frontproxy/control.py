"""The operator's verbs as functions: what the admin socket and so the commands can ask of a running proxy.

Each takes the proxy and words, and returns the fields of its answer; `Refused` carries what the operator should know.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

import trio

from frontproxy.core import address, durations, history, level, scoring
from frontproxy.core.explained import hearsay_answer
from frontproxy.core.mistakes import Mistaken
from frontproxy.handover.pool import Pool
from frontproxy.memory.pins import Pin
from frontproxy.proxy import Proxy
from frontproxy.status import Watched, status_of

Answer = dict[str, Any]
CLIENTS_SHOWN = 10
ASK_WITHIN = 5.0
"""Seconds in which the DNS may answer when an operator asks."""
_SIGNS = {"best": 1, "worst": -1, "busiest": 0}
_LONGEST = 10 * 365 * 86400.0


class Refused(Exception):
    """A request that cannot be served; `code` is one of the codes of the admin socket."""

    def __init__(self, code: str, text: str, **fields: Any) -> None:
        self.code = code
        self.fields = fields
        super().__init__(text)


@dataclass(frozen=True, slots=True)
class Controls:
    """What the verbs act upon."""

    proxy: Proxy
    watched: Watched
    reload: Callable[[], Awaitable[list[str]]]
    """Build and swap the Setup; returns remarks, raises Mistaken."""
    drain: Callable[[], None]


async def answer(controls: Controls, words: Sequence[str]) -> Answer:
    """The answer to one request. Raises Refused."""
    verb, arguments = words[0], list(words[1:])
    if verb not in _VERBS:
        raise Refused("unknown_command", f"{verb[:40]!a} is no command; there are: {', '.join(sorted(_VERBS))}")
    try:
        return await _VERBS[verb](controls, arguments)
    except Mistaken as error:
        text = f"{verb} changed nothing, because of mistakes"
        raise Refused("failed", text, mistakes=[str(mistake) for mistake in error.mistakes]) from None


async def _score(controls: Controls, arguments: list[str]) -> Answer:
    proxy = controls.proxy
    asks = "--ask" in arguments
    packed = _address(_one([word for word in arguments if word != "--ask"], "score CLIENT [--ask]"))
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


async def _clients(controls: Controls, arguments: list[str]) -> Answer:
    _none(arguments, "clients")
    now = controls.proxy.clock.now()
    forgetting = controls.proxy.setup.forgetting
    answer: Answer = {}
    for order in ("best", "worst", "busiest"):
        rows = []
        for client, record in await controls.proxy.memory.rank(order, CLIENTS_SHOWN):
            own = level.aged(record.own, now, forgetting)
            points = history.own_points(record, now=now, forgetting=forgetting)
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


async def _pin(controls: Controls, arguments: list[str]) -> Answer:
    usage = "usage: pin CLIENT|NETWORK POOL [--for 1h] [--because TEXT]"
    options = _options(arguments, {"--for", "--because"}, usage)
    if len(arguments) != 2:
        raise Refused("usage", usage)
    network, pool = arguments
    proxy = controls.proxy
    if pool not in proxy.pools:
        names = ", ".join(known.name for known in proxy.pools)
        raise Refused("failed", f"there is no pool {pool!a}; there are: {names}")
    now = proxy.clock.now()
    until = now + _duration(options["--for"]) if "--for" in options else None
    try:
        proxy.pins.refresh()
        pin = Pin(network, pool, until=until, because=options.get("--because", ""), made=now)
        proxy.pins.add(pin)
    except ValueError as error:
        raise Refused("bad_address", str(error)) from None
    except OSError as error:
        raise Refused("failed", f"the pin could not be written: {error}") from None
    proxy.log("pin", network=pin.network, pool=pool, until=until, because=pin.because or None)
    return _shown_pin(pin)


async def _unpin(controls: Controls, arguments: list[str]) -> Answer:
    network = _one(arguments, "unpin CLIENT|NETWORK")
    try:
        controls.proxy.pins.refresh()
        removed = controls.proxy.pins.remove(network)
    except ValueError as error:
        raise Refused("bad_address", str(error)) from None
    except OSError as error:
        raise Refused("failed", f"the pins could not be written: {error}") from None
    if not removed:
        raise Refused("failed", f"{network} is not pinned; see: pins")
    controls.proxy.log("unpin", network=network)
    return {"network": network}


async def _pins(controls: Controls, arguments: list[str]) -> Answer:
    _none(arguments, "pins")
    return {"pins": [_shown_pin(pin) for pin in controls.proxy.pins.all(controls.proxy.clock.now())]}


async def _forget(controls: Controls, arguments: list[str]) -> Answer:
    packed = _address(_one(arguments, "forget CLIENT"))
    client = address.client_of(packed)
    known = controls.proxy.memory.forget(client)
    controls.proxy.log("forget", client=address.client_text(client), known=known)
    return {"client": address.client_text(client), "known": known}


async def _stress(controls: Controls, arguments: list[str]) -> Answer:
    usage = "usage: stress [POOL] [on|off|auto] [--for 1h]"
    options = _options(arguments, {"--for"}, usage)
    pools = {pool.name: pool for pool in controls.proxy.pools}
    chosen = list(pools.values())
    if arguments and arguments[0] in pools:
        chosen = [pools[arguments.pop(0)]]
    if arguments or options:
        if len(arguments) != 1 or arguments[0] not in {"on", "off", "auto"}:
            raise Refused("usage", f"{usage}; the pools are: {', '.join(pools)}")
        now = time.monotonic()
        until = now + _duration(options["--for"]) if "--for" in options else inf
        for pool in chosen:
            pool.stress.hold({"on": True, "off": False, "auto": None}[arguments[0]], until)
        controls.proxy.pools.tick(now)
    return {"pools": [_shown_stress(pool) for pool in chosen]}


async def _reload(controls: Controls, arguments: list[str]) -> Answer:
    _none(arguments, "reload")
    return {"remarks": await controls.reload()}


async def _drain(controls: Controls, arguments: list[str]) -> Answer:
    _none(arguments, "drain")
    controls.drain()
    return {"sessions": controls.proxy.pools.open_in("")}


async def _status(controls: Controls, arguments: list[str]) -> Answer:
    _none(arguments, "status")
    return status_of(controls.proxy, controls.watched)


_VERBS: dict[str, Callable[[Controls, list[str]], Awaitable[Answer]]] = {
    "score": _score,
    "clients": _clients,
    "pin": _pin,
    "unpin": _unpin,
    "pins": _pins,
    "forget": _forget,
    "status": _status,
    "stress": _stress,
    "reload": _reload,
    "drain": _drain,
}


def _none(arguments: list[str], usage: str) -> None:
    if arguments:
        raise Refused("usage", f"usage: {usage}")


def _one(arguments: list[str], usage: str) -> str:
    if len(arguments) != 1:
        raise Refused("usage", f"usage: {usage}")
    return arguments[0]


def _address(text: str) -> bytes:
    try:
        return address.pack(text)
    except address.AddressError as error:
        raise Refused("bad_address", f"{error}; give one address, without port") from None


def _options(arguments: list[str], known: set[str], usage: str) -> dict[str, str]:
    """Take `--name value` out of the arguments; the value of `--because` is all words to the next option."""
    options: dict[str, str] = {}
    rest: list[str] = []
    name = ""
    for word in arguments:
        if word.startswith("--"):
            if word not in known:
                raise Refused("usage", f"{word[:40]!a} is no option; {usage}")
            name = word
            options[name] = ""
        elif name == "--because":
            options[name] = f"{options[name]} {word}".strip()
        elif name and not options[name]:
            options[name] = word
        else:
            rest.append(word)
    arguments[:] = rest
    return options


def _duration(text: str) -> float:
    try:
        seconds = durations.parse_duration(text)
    except ValueError as error:
        raise Refused("usage", f"{error}; write 90s, 10m, 1h or 7d") from None
    if not 0 < seconds <= _LONGEST:
        raise Refused("usage", f"--for {text} makes no sense; leave it out to have it for ever")
    return seconds


def _shown_pin(pin: Pin) -> Answer:
    return {"network": pin.network, "pool": pin.pool, "until": pin.until, "because": pin.because, "made": pin.made}


def _shown_stress(pool: Pool) -> Answer:
    held = {True: "on", False: "off", None: "auto"}[pool.stress.held]
    return {"name": pool.name, "stress": pool.stress.on, "held": held}
