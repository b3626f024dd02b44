"""How everything is: the answer to `status`, for people, scripts and Prometheus alike."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import frontproxy
from frontproxy.core import readiness
from frontproxy.handover.pool import Pool
from frontproxy.learn.report import FeedsHeard
from frontproxy.proxy import Proxy

_DAY = 86400.0
_WEEK = 7 * _DAY


@dataclass(frozen=True, slots=True)
class Watched:
    """What is told of beside the proxy's own state."""

    feeds: FeedsHeard
    servers: Callable[[], Sequence[dict[str, Any]]]
    """The bundled smtpds: name and pid (None while one is not running)."""
    programs: Callable[[], Sequence[dict[str, Any]]]
    """The feed programs: name, pid and trouble."""
    asking: Callable[[], dict[str, Any] | None]
    """The asking program: pid and trouble; None if the DNS is asked nothing."""
    longest_stall: Callable[[], float]
    """Seconds."""
    alarms: Callable[[], Sequence[str]]


def status_of(proxy: Proxy, watched: Watched) -> dict[str, Any]:
    """All of it, as JSON can hold it. Times are seconds."""
    now = time.monotonic()
    feeds = watched.feeds
    return {
        "version": frontproxy.__version__,
        "mode": proxy.setup.config.mode,
        "configuration": str(proxy.setup.path),
        "warnings": [str(warning) for warning in proxy.setup.warnings],
        "alarms": list(watched.alarms()),
        "uptime": round(proxy.clock.now() - proxy.started, 1),
        "longest_stall": round(watched.longest_stall(), 4),
        "clock_error": round(proxy.clock.error(), 3),
        "waiting_room": {"waiting": len(proxy.room), "places": proxy.room.places},
        "places": {
            "counted": "until taken" if proxy.pools.held.why_not else "exactly",
            "why": proxy.pools.held.why_not or None,
            "watched": len(proxy.pools.held),
            "unseen": proxy.pools.held.unseen,
            "notices_lost": proxy.pools.held.lost,
        },
        "pools": [_pool(pool, now) for pool in proxy.pools],
        "servers": list(watched.servers()),
        "feeds": {
            "connected": feeds.connected,
            "programs": list(watched.programs()),
            "lines": feeds.lines,
            "bad_lines": feeds.bad_lines,
            "silent_for": round(now - feeds.last_line, 1) if feeds.last_line else None,
        },
        "dns": {"program": watched.asking(), **proxy.desk.status()},
        "history": proxy.memory.status(),
        "readiness": _readiness(proxy, watched),
        "databases": proxy.setup.geo.status(),
        "lists": {"networks": proxy.setup.lists.entries, "lists": len(proxy.setup.config.lists)},
        "counters": {**dict(sorted(proxy.counters.items())), "log_lines_dropped": proxy.log.dropped_in_all},
    }


def _readiness(proxy: Proxy, watched: Watched) -> dict[str, Any]:
    """Whether history suffices to enforce; shares are from 0 to 1, or None where there was nothing to share."""
    now = proxy.clock.now()
    tallies = proxy.journal.tallies
    week = tallies.total(now - _WEEK)
    first = tallies.first_told()
    learned = readiness.Learned(
        days=round(max(0.0, now - first) / _DAY, 1) if first else 0.0,
        sessions=week.sessions,
        good=week.good,
        known_share=_share(week.known, week.sessions),
        friend_share=_share(week.friends, week.good),
        outcome_share=_share(week.told, week.handed),
        feeds_alive=watched.feeds.connected > 0 and not any(program["trouble"] for program in watched.programs()),
    )
    text = readiness.advice(learned, observing=proxy.setup.config.mode == "observe")
    return {**asdict(learned), "enough": not readiness.missing(learned), "text": text}


def _share(part: int, whole: int) -> float | None:
    return round(min(part / whole, 1.0), 3) if whole else None


def _pool(pool: Pool, now: float) -> dict[str, Any]:
    return {
        "name": pool.name,
        "taken": pool.places.taken,
        "places": pool.places.sessions,
        "waiting": len(pool.line),
        "longest_wait": round(pool.longest_wait(now), 1),
        "handover_time": round(max(pool.handover_time, pool.longest_handover(now)), 4),
        "stress": pool.stress.on,
        "backends": [
            {
                "name": backend.name,
                "sessions": backend.sessions,
                "down": backend.failed_for or None,
                "brake": str(backend.brake) if backend.brake.on else None,
            }
            for backend in pool.backends
        ],
    }
