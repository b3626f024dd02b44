"""Who is known: the best, the worst and the busiest clients, for people to look at."""

from collections.abc import Callable, Mapping

from frontproxy.core.history import ClientRecord
from frontproxy.core.level import Forgetting, aged
from frontproxy.memory.rows import CLIENT, Record, unpack
from frontproxy.memory.table import Order, Table

COUNT_LIMIT = 1000
"""The most clients that can be asked for."""


def rank(
    table: Table | None,
    fresh: Mapping[bytes, Record | None],
    order: Order,
    count: int,
    *,
    now: float,
    forgetting: Forgetting,
) -> list[tuple[bytes, ClientRecord]]:
    """Clients (packed) and their records, first things first; `fresh` is what the table does not have yet.

    Blocks: the whole table is read. Raises sqlite3.Error.
    """
    count = max(0, min(count, COUNT_LIMIT))
    known: dict[bytes, Record | None] = {}
    if table is not None:
        # Any of the fresh ones may have lost its place, so others must be at hand to take it.
        rows = table.choose(CLIENT, order, count + min(len(fresh), COUNT_LIMIT), now=now, forgetting=forgetting)
        known = {row[0]: unpack(row) for row in rows}
    known.update(fresh)
    clients = [(key[1:], record) for key, record in known.items() if isinstance(record, ClientRecord)]
    place = _places(order, now, forgetting)
    clients.sort(key=lambda client: place(client[1]))
    return clients[:count]


def _places(order: Order, now: float, forgetting: Forgetting) -> Callable[[ClientRecord], float]:
    def odds(record: ClientRecord) -> float:
        own = aged(record.own, now, forgetting)
        return (own.good + 1.0) / (own.bad + 1.0)

    if order == "best":
        return lambda record: -odds(record)
    if order == "worst":
        return odds
    return lambda record: -record.own.n
