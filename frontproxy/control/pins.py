"""Verbs about pins, the operator's overrides."""

from frontproxy.control.words import Answer, Controls, Refused, no_words, one_word, seconds_of, take_options
from frontproxy.memory.pins import Pin


async def pin(controls: Controls, arguments: list[str]) -> Answer:
    usage = "usage: pin CLIENT|NETWORK POOL [--for 1h] [--because TEXT]"
    options = take_options(arguments, {"--for", "--because"}, usage)
    if len(arguments) != 2:
        raise Refused("usage", usage)
    network, pool = arguments
    proxy = controls.proxy
    if pool not in proxy.pools:
        names = ", ".join(known.name for known in proxy.pools)
        raise Refused("failed", f"there is no pool {pool!a}; there are: {names}")
    now = proxy.clock.now()
    until = now + seconds_of(options["--for"]) if "--for" in options else None
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


async def unpin(controls: Controls, arguments: list[str]) -> Answer:
    network = one_word(arguments, "unpin CLIENT|NETWORK")
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


async def pins(controls: Controls, arguments: list[str]) -> Answer:
    no_words(arguments, "pins")
    return {"pins": [_shown_pin(pin) for pin in controls.proxy.pins.all(controls.proxy.clock.now())]}


def _shown_pin(pin: Pin) -> Answer:
    return {"network": pin.network, "pool": pin.pool, "until": pin.until, "because": pin.because, "made": pin.made}
