"""What the parent process tells us: one JSON object on standard input, which then stays open as a lifeline."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trio

_LIMIT = 1_000_000
"""Bytes of one object."""


_DRAIN_TIME = 18.0


class BadOrders(ValueError):
    """The object cannot be read; the text says why."""


@dataclass(frozen=True, slots=True)
class Orders:
    """What was said."""

    smtpd: dict[str, Any]
    """The `[smtpd]` table as it stands in config.toml."""
    folder: Path
    """Where relative paths start."""
    report: Path | None = None
    """The report socket."""
    personalities: tuple[str, ...] = ()
    """The names that pools use."""
    drain_time: float = _DRAIN_TIME
    """Seconds that a message under way has when we are told to end."""


def read_orders(descriptor: int, *, to_the_end: bool) -> Orders:
    """Read the object: the first line, or with `to_the_end` everything. Raises BadOrders."""
    data = b""
    while to_the_end or b"\n" not in data:
        piece = os.read(descriptor, 65536)
        data += piece
        if not piece:
            break
        if len(data) > _LIMIT:
            raise BadOrders(f"more than {_LIMIT} bytes")
    try:
        values = json.loads(data if to_the_end else data.partition(b"\n")[0])
    except (ValueError, RecursionError) as error:
        raise BadOrders(f"not an object of JSON: {error}") from None
    if not isinstance(values, dict) or not isinstance(values.get("smtpd"), dict):
        raise BadOrders('an object with "smtpd" and "folder" is expected')
    names = values.get("personalities", [])
    texts = [values.get("folder"), values.get("report", ""), *names] if isinstance(names, list) else [None]
    if not all(isinstance(text, str) for text in texts):
        raise BadOrders('"folder" and "report" are texts, "personalities" is a list of texts')
    drain_time = values.get("drain_time", _DRAIN_TIME)
    if isinstance(drain_time, bool) or not isinstance(drain_time, int | float) or not 0 <= drain_time < 1e6:
        raise BadOrders('"drain_time" is a number of seconds')
    report = Path(values["report"]) if values.get("report") else None
    return Orders(values["smtpd"], Path(values["folder"]), report, tuple(names), float(drain_time))


async def end_of_lifeline(descriptor: int) -> None:
    """Return when the other end is closed, as it is when the parent is gone; what is sent meanwhile is thrown away."""
    try:
        os.set_blocking(descriptor, False)
        while True:
            await trio.lowlevel.wait_readable(descriptor)
            if not os.read(descriptor, 65536):
                return
    except OSError:
        return  # a lifeline that cannot be watched holds nobody
