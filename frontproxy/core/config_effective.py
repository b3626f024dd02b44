"""A configuration back as tables: every key with the value in force, as a file would say it."""

from dataclasses import fields
from pathlib import Path
from typing import Any

from frontproxy.core.config_values import (
    Config,
    Dns,
    DnsListSettings,
    Learn,
    ListSettings,
    NetworkEvidence,
    Pool,
    RouteSettings,
    TcpAddress,
)
from frontproxy.core.durations import duration_text


def effective(config: Config) -> dict[str, Any]:
    """What `check --print` writes as TOML; a file with these keys means the same configuration."""
    tables: dict[str, Any] = {
        "mode": config.mode,
        "listen": _listen(config),
        "admin": {"socket": str(config.admin.socket), "group": config.admin.group},
        "history": _history(config),
        "learn": _learn(config.learn),
        "pool": {pool.name: _pool(pool) for pool in config.pools},
        "smtpd": config.smtpd,
        "points": {field.name: _number(getattr(config.points, field.name)) for field in fields(config.points)},
        "list": [_list(settings) for settings in config.lists],
        "geo": [{"file": str(geo.file)} for geo in config.geo],
        "network": [_network(evidence) for evidence in config.networks],
        "dns": _dns(config.dns),
        "dnslist": [_dnslist(settings) for settings in config.dnslists],
        "route": [_route(route) for route in config.routes],
    }
    return {key: value for key, value in tables.items() if value != []}


def _listen(config: Config) -> dict[str, Any]:
    listen = config.listen
    return {
        "addresses": [
            *(_address(host, port) for host, port in listen.addresses),
            *(f"pass:{path}" for path in listen.pass_sockets),
            *(["systemd"] if listen.from_systemd else []),
        ],
        "trusted_proxies": list(listen.trusted_proxies),
        "waiting_room": listen.waiting_room,
        "pause": duration_text(listen.pause),
        "settled": _number(listen.settled),
        "drain_time": duration_text(listen.drain_time),
        "teaser": listen.teaser,
    }


def _learn(learn: Learn) -> dict[str, Any]:
    table: dict[str, Any] = {"report": str(learn.report)}
    table |= {"milter": _door(learn.milter)} if learn.milter else {}
    table |= {"maillog": str(learn.maillog)} if learn.maillog else {}
    if learn.policy:
        address, classes = _door(learn.policy.address), dict(learn.policy.classes)
        table["policy"] = {"address": address, "classes": classes} if classes else address
    return table | {"foreign": learn.foreign}


def _door(door: TcpAddress | Path) -> str:
    return f"unix:{door}" if isinstance(door, Path) else _address(*door)


def _history(config: Config) -> dict[str, Any]:
    history = config.history
    return {
        "file": str(history.file),
        "good_half_life": duration_text(history.good_half_life),
        "bad_half_life": duration_text(history.bad_half_life),
        "evidence_cap": _number(history.evidence_cap),
        "network_limit": _number(history.network_limit),
        "max_clients_remembered": history.max_clients_remembered,
    }


def _pool(pool: Pool) -> dict[str, Any]:
    table = {
        "backends": [backend.name for backend in pool.backends],
        "sessions": pool.sessions,
        "reserved": pool.reserved,
        "per_client": pool.per_client,
        "queue": pool.queue,
        "patience": duration_text(pool.patience),
        "handover_wait": duration_text(pool.handover_wait),
    }
    return table | ({"fallback": pool.fallback} if pool.fallback else {})


def _list(settings: ListSettings) -> dict[str, Any]:
    table: dict[str, Any] = {"name": settings.name, "kind": settings.kind}
    table |= {"file": str(settings.file)} if settings.file else {}
    table |= {"networks": list(settings.networks)} if settings.networks else {}
    return table | ({"points": _number(settings.points)} if settings.points else {})


def _network(evidence: NetworkEvidence) -> dict[str, Any]:
    table: dict[str, Any] = {"asn": list(evidence.asn), "country": list(evidence.country)}
    table |= {"where": {field: list(values) for field, values in evidence.where}} if evidence.where else {}
    return table | {"points": _number(evidence.points)}


def _dns(dns: Dns) -> dict[str, Any]:
    return {
        "servers": [_address(host, port) for host, port in dns.servers],
        "lookups_per_second": dns.lookups_per_second,
        "names": dns.names,
        "under_stress": dns.under_stress,
        "generic": list(dns.generic),
    }


def _dnslist(settings: DnsListSettings) -> dict[str, Any]:
    replies = {reply.pattern.text: _number(reply.points) for reply in settings.replies}
    return {"zone": settings.zone, "replies": replies}


def _route(route: RouteSettings) -> dict[str, Any]:
    table = {"when": route.rule.text} if route.rule else {}
    return table | ({"to": route.to} if route.to else {"reply": route.reply})


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _number(value: float) -> float:
    """A number as a person would write it: 5, not 5.0."""
    return int(value) if value == int(value) else value
