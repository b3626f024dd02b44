"""Sessions that outlived a frontproxy before us: servers have them still, so they have places until they end."""

import time
from collections import Counter
from collections.abc import Collection
from socket import socket

from frontproxy.core import address
from frontproxy.core.networks import Networks
from frontproxy.core.session import Session
from frontproxy.core.verdict import Route, Verdict
from frontproxy.handover.kernel_notices import Endpoint, SocketName
from frontproxy.proxy import Proxy

_NOT_OURS = socket()
"""The socket of a session whose own we never had."""
_NOT_OURS.close()


def take_over(proxy: Proxy, doors: Collection[Endpoint]) -> None:
    """Count the sessions that servers have from a frontproxy before us: each has a place until it ends.

    To be called before anybody comes in by our `doors`; without doors nobody can tell whose sessions they are.
    """
    trusted = Networks(proxy.setup.config.listen.trusted_proxies)
    now = time.monotonic()
    shares: Counter[str] = Counter()
    for name in proxy.pools.held.survivors(doors):
        session = _survivor(proxy, name, trusted, now)
        pool = proxy.pools.adopt(session, name, now)
        shares[pool] += 1
        if pool:
            proxy.census.arrived(session.client, now)
    if shares:
        uncounted = shares.pop("", 0)
        by_pool = ",".join([f"{pool}:{number}" for pool, number in shares.items()])
        proxy.counters["survivors"] += shares.total()
        proxy.log("survivors", sessions=shares.total(), pools=by_pool or None, without_place=uncounted or None)


def _survivor(proxy: Proxy, name: SocketName, trusted: Networks, now: float) -> Session:
    """What can be known of a session whose socket we never had; behind a proxy not even who its client is."""
    host, port = name.remote
    packed = address.pack(host)
    text = address.unpack(packed)
    unknown = Verdict(text, 0.0, (), Route(), settled=True, learning="none")
    return Session(
        id=next(proxy.ids),
        socket=_NOT_OURS,
        packed=packed,
        client=address.client_of(packed),
        address=text,
        port=port,
        server=(address.plain(name.local[0]), name.local[1]),
        accepted=now,
        verdict=unknown if trusted.hold(packed) else proxy.judge_guarded(packed, text),
    )
