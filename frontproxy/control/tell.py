"""The verb for what is found out later: a spam filter's verdict, a trap address that was hit, a user's report."""

import time
from dataclasses import replace
from typing import Literal, NamedTuple

from frontproxy.control.words import Answer, Controls, Refused, packed_address, take_options
from frontproxy.core import address, level
from frontproxy.core.outcome import Weight, verdict_weight
from frontproxy.core.verdict import Verdict
from frontproxy.knowledge import teach
from frontproxy.proxy import Proxy

LEAST, MOST = 0.1, 8.0
"""Units that one verdict can count."""
TEXT_LIMIT = 200
"""Characters of a reason."""

Kind = Literal["good", "bad"]
_UNITS: dict[str, float] = {"good": 1.0, "bad": 2.0}  # where none are said: a message accepted, a late spam verdict
_USAGE = "usage: tell CLIENT good|bad [--weight N] [--because TEXT]"


class _Told(NamedTuple):
    """A request, understood."""

    packed: bytes
    kind: Kind
    units: float
    because: str


async def tell(controls: Controls, arguments: list[str]) -> Answer:
    told = _understood(arguments)
    proxy = controls.proxy
    client = address.client_text(address.client_of(told.packed))
    text = address.unpack(told.packed)
    before = proxy.judge(told.packed, text)
    if before.learning == "none":
        raise Refused("failed", f"{client} is on a list of kind own, relay or probe, and such are never learned")
    weight = _weigh(proxy, told, before)
    lesson = teach(proxy, told.packed, proxy.clock.now(), weight)
    good, bad = (lesson.good, lesson.bad) if lesson else (0.0, 0.0)
    after = proxy.judge(told.packed, text)
    proxy.log("told", client=client, kind=told.kind, weight=told.units, because=told.because or None)
    return {
        "client": client,
        "good": _shown(max(0.0, good)),
        "bad": _shown(bad),
        "taken_back": _shown(max(0.0, -good)),
        "score_before": _shown(before.score),
        "score": _shown(after.score),
        "standing": after.standing,
    }


def _understood(arguments: list[str]) -> _Told:
    options = take_options(arguments, {"--weight", "--because"}, _USAGE)
    if len(arguments) != 2:
        raise Refused("usage", _USAGE)
    packed, kind = packed_address(arguments[0]), _kind(arguments[1])
    because = options.get("--because", "")
    if len(because) > TEXT_LIMIT:
        raise Refused("usage", f"--because has {len(because)} characters; {TEXT_LIMIT} are the most")
    units = _units(options["--weight"]) if "--weight" in options else _UNITS[kind]
    return _Told(packed, kind, units, because)


def _kind(word: str) -> Kind:
    if word in {"good", "bad"}:
        return "good" if word == "good" else "bad"
    raise Refused("usage", f"{word[:40]!a} is neither good nor bad; {_USAGE}")


def _units(text: str) -> float:
    try:
        units = float(text)
    except ValueError:
        units = 0.0
    if not LEAST <= units <= MOST:
        raise Refused("usage", f"--weight {text[:40]!a} is no number from {LEAST:g} to {MOST:g}; {_USAGE}")
    return units


def _weigh(proxy: Proxy, told: _Told, verdict: Verdict) -> Weight:
    """What it counts. A bad word takes back, besides, what the client's last session has earned, as a filter would."""
    weight = verdict_weight(told.kind, told.units, forwarder=verdict.learning == "forwarder")
    if told.kind == "good":
        return weight
    share = weight.bad / told.units  # a forwarder answers for a tenth
    return replace(weight, taken_back=share * _take_back(proxy, address.client_of(told.packed)))


def _take_back(proxy: Proxy, client: bytes) -> float:
    """What time has left of the good that the client's latest session has earned; it can be taken only once."""
    given = proxy.pools.register.latest_that_earned(client)
    if given is None:
        return 0.0
    earned, given.earned = given.earned, 0.0
    now = time.monotonic()
    left, _ = level.left_of(earned, 0.0, given.given_at, now, proxy.setup.forgetting)
    return left


def _shown(number: float) -> float:
    return round(number, 2) + 0.0  # never -0.0
