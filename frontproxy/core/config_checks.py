"""What only the whole configuration shows: names that lead nowhere, pools nobody reaches, whom we trust."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from frontproxy.core.config_evidence_checks import check_evidence, check_rules
from frontproxy.core.config_learn import check_learn, feed_doors, is_loopback
from frontproxy.core.config_shapes import meant, shown
from frontproxy.core.config_sheet import Sheet
from frontproxy.core.config_values import Config, Pool, RouteSettings, TcpAddress
from frontproxy.core.toml_lines import KeyPath

_LONGEST_SOCKET = 107
"""Octets of a UNIX socket's path: sun_path of unix(7) holds 108, the last one is NUL."""


def check_whole(sheet: Sheet, config: Config) -> None:
    """Note everything in a configuration that does not fit together."""
    pools = {pool.name: pool for pool in config.pools}
    _check_pools(sheet, pools)
    _check_targets(sheet, config.routes, pools)
    _check_strangers(sheet, config.routes[-1], pools)
    _check_reached(sheet, config, pools)
    _check_sockets(sheet, config)
    _check_trust(sheet, config)
    check_learn(sheet, config)
    check_evidence(sheet, config)
    check_rules(sheet, config)


def _check_pools(sheet: Sheet, pools: Mapping[str, Pool]) -> None:
    for pool in pools.values():
        here = ("pool", pool.name)
        if pool.per_client > pool.sessions:
            what = f"one client may have {pool.per_client} of {pool.sessions} sessions"
            sheet.warn((*here, "per_client"), what, "one client can fill the pool; write a smaller number")
        if not pool.fallback:
            continue
        chain = list(_chain(pool, pools))
        if pool.fallback not in pools:
            what = f"there is no pool {shown(pool.fallback)}"
            sheet.mistake((*here, "fallback"), what, meant(pool.fallback, list(pools), _pools_text(pools)))
        elif chain[-1].fallback == pool.name:
            ways = " -> ".join([*(step.name for step in chain), pool.name])
            sheet.mistake((*here, "fallback"), f"the fallbacks go in a circle: {ways}", "let one pool have no fallback")


def _chain(pool: Pool, pools: Mapping[str, Pool]) -> Iterator[Pool]:
    """A pool, its fallback, the fallback of that, each once."""
    seen: set[str] = set()
    step: Pool | None = pool
    while step and step.name not in seen:
        seen.add(step.name)
        yield step
        step = pools.get(step.fallback)


def _pools_text(pools: Mapping[str, Pool]) -> str:
    return f"the pools are {', '.join(pools)}"


def _check_targets(sheet: Sheet, routes: tuple[RouteSettings, ...], pools: Mapping[str, Pool]) -> None:
    for index, route in enumerate(routes):
        if not route.to or route.to in pools:
            continue
        if ("route",) in sheet.lines:
            what = f"there is no pool {shown(route.to)}"
            sheet.mistake(("route", index, "to"), what, meant(route.to, list(pools), _pools_text(pools)))
        else:
            what = f"the default routes lead to a pool {shown(route.to)}, and there is none"
            sheet.mistake(("route",), what, "add [[route]] tables that lead to your pools")


def _check_strangers(sheet: Sheet, last: RouteSettings, pools: Mapping[str, Pool]) -> None:
    """A reserved pool has no place for strangers, so the last route must come to another one in the end."""
    pool = pools.get(last.to)
    if pool and all(step.reserved for step in _chain(pool, pools)):
        what = "strangers end here and find no place, now or ever"
        sheet.mistake(
            ("pool", pool.name, "reserved"), what, "add a fallback, or let the last route lead to another pool"
        )


def _check_reached(sheet: Sheet, config: Config, pools: Mapping[str, Pool]) -> None:
    targets = [pools[route.to] for route in config.routes if route.to in pools]
    reached = {step.name for target in targets for step in _chain(target, pools)}
    for pool in pools.values():
        if pool.name not in reached:
            sheet.warn(("pool", pool.name), "no route leads to this pool", "add a route, or remove the pool")


def _check_sockets(sheet: Sheet, config: Config) -> None:
    own: list[tuple[KeyPath, str]] = [
        (("admin", "socket"), str(config.admin.socket)),
        (("learn", "report"), str(config.learn.report)),
        *((("listen", "addresses"), str(path)) for path in config.listen.pass_sockets),
    ]
    own += [(here, str(door)) for here, door in feed_doors(sheet, config.learn) if isinstance(door, Path)]
    paths = list(own)
    for pool in config.pools:
        services = [backend.target for backend in pool.backends if backend.kind == "pass"]
        paths += [(("pool", pool.name, "backends"), service) for service in services]
    for here, path in paths:
        octets = len(path.encode(errors="surrogateescape"))
        if octets > _LONGEST_SOCKET:
            what = f"the path of the socket has {octets} octets: {shown(path)}"
            sheet.mistake(here, what, f"choose one of at most {_LONGEST_SOCKET}")
    taken: dict[str, str] = {}
    for here, path in own:
        key = ".".join(map(str, here))
        if path in taken:
            sheet.mistake(here, f"this is the path of {taken[path]}", "choose a path of its own")
        taken[path] = key


def _check_trust(sheet: Sheet, config: Config) -> None:
    """Whom we believe who a client is, and who believes us."""
    for network in config.listen.trusted_proxies:
        if network.endswith("/0"):
            what = f"{network} is everybody, and everybody may claim any address"
            sheet.warn(("listen", "trusted_proxies"), what, "name the addresses of your proxies")
    for pool in config.pools:
        for backend in pool.backends:
            if backend.kind == "tcp" and _is_ours(backend.server, config.listen.addresses):
                what = f"{backend.name} is where frontproxy itself listens"
                sheet.mistake(("pool", pool.name, "backends"), what, "name the address and port of the mail server")
            elif backend.kind == "tcp" and backend.proxy == "none":
                what = f"{backend.name}: the server takes our address for every client's"
                remedy = (
                    "let it expect a PROXY header (?proxy=v2); a server that trusts our address would relay for all"
                )
                sheet.warn(("pool", pool.name, "backends"), what, remedy)


def _is_ours(server: TcpAddress, addresses: Iterable[TcpAddress]) -> bool:
    """A server at one of our own addresses would be given its own sessions, for ever."""
    any_address = {"0.0.0.0", "::"}  # noqa: S104  compared, not bound
    return any(
        server == ours or (ours[0] in any_address and server[1] == ours[1] and is_loopback(server[0]))
        for ours in addresses
    )
