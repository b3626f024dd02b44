"""The answer to `status` in Prometheus' text format, for node_exporter's text files as for a scrape."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Answer = Mapping[str, Any]
Sample = tuple[Mapping[str, str], float]
"""Labels and a value."""

_POOL = {
    "taken": ("taken", "sessions in the pool"),
    "places": ("places", "sessions it can hold"),
    "waiting": ("waiting", "clients that wait for a place"),
    "longest_wait": ("longest_wait_seconds", "how long the eldest of them has been here"),
    "handover_time": ("handover_seconds", "how long the last handover took"),
    "stress": ("stress", "1 under stress"),
}


def metrics(answer: Answer) -> str:
    """The numbers of `status` that one watches, a line each."""
    return "\n".join(
        line for name, kind, help_, samples in _families(answer) for line in _lines(name, kind, help_, samples)
    )


def _families(answer: Answer) -> Iterator[tuple[str, str, str, Iterable[Sample]]]:
    yield "info", "gauge", "always 1", [({"version": answer["version"], "mode": answer["mode"]}, 1)]
    yield "uptime_seconds", "gauge", "since the start", [({}, answer["uptime"])]
    for key, (name, text) in _POOL.items():
        yield f"pool_{name}", "gauge", text, [({"pool": pool["name"]}, pool[key]) for pool in answer["pools"]]
    backends = [
        ({"pool": pool["name"], "backend": backend["name"]}, backend)
        for pool in answer["pools"]
        for backend in pool["backends"]
    ]
    yield "backend_up", "gauge", "0 while nobody answers", [(labels, not one["down"]) for labels, one in backends]
    yield "backend_sessions", "gauge", "sessions it has", [(labels, one["sessions"]) for labels, one in backends]
    yield (
        "backend_brake",
        "gauge",
        "1 while refusals teach nothing",
        [(labels, bool(one["brake"])) for labels, one in backends],
    )
    places, room, feeds = answer["places"], answer["waiting_room"], answer["feeds"]
    yield "places_exact", "gauge", "1 if the kernel tells when sessions end", [({}, places["counted"] == "exactly")]
    yield "notices_lost_total", "counter", "times the kernel's notices overflowed", [({}, places["notices_lost"])]
    yield "waiting_room_waiting", "gauge", "strangers being observed", [({}, room["waiting"])]
    yield "waiting_room_places", "gauge", "strangers that can be", [({}, room["places"])]
    yield "feeds_connected", "gauge", "feeds at the report socket", [({}, feeds["connected"])]
    programs = [({"feed": program["name"]}, not program["trouble"]) for program in feeds["programs"]]
    yield "feed_up", "gauge", "0 while a feed program is in trouble", programs
    yield "outcomes_total", "counter", "outcome lines heard", [({}, feeds["lines"])]
    dns = answer["dns"]
    yield "dns_questions_total", "counter", "asked of the DNS", [({}, dns["asked"])]
    yield "dns_no_answer_total", "counter", "of these, without an answer", [({}, dns["no_answer"])]
    yield "dns_over_budget_total", "counter", "inquiries that could not be asked", [({}, dns["over_budget"])]
    yield "dns_no_room_total", "counter", "inquiries without room or a program to ask", [({}, dns["no_room"])]
    votes = [({"zone": told["zone"]}, told["vote"]) for told in dns["lists"]]
    yield "dnslist_vote", "gauge", "0 while a list is not believed", votes
    listed = [({"zone": told["zone"]}, told["listed"]) for told in dns["lists"]]
    yield "dnslist_listed_total", "counter", "clients a list has listed", listed
    yield "history_clients", "gauge", "clients remembered", [({}, answer["history"]["clients"])]
    yield "longest_stall_seconds", "gauge", "of the last one to two minutes", [({}, answer["longest_stall"])]
    yield "alarms", "gauge", "things to mend", [({}, len(answer["alarms"]))]
    events = [({"event": name}, value) for name, value in answer["counters"].items()]
    yield "events_total", "counter", "what has happened", events


def _lines(name: str, kind: str, text: str, samples: Iterable[Sample]) -> Iterator[str]:
    yield f"# HELP frontproxy_{name} {text}"
    yield f"# TYPE frontproxy_{name} {kind}"
    for labels, value in samples:
        inner = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
        yield f"frontproxy_{name}{{{inner}}} {float(value):.12g}" if inner else f"frontproxy_{name} {float(value):.12g}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
