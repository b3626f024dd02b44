"""What changes under another configuration, for people to look at and as JSON."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from rich.console import Console

from frontproxy.preview.changes import KINDS, ChangedClient, Changes, Sessions
from frontproxy.terminal import new_table, plain


def show(changes: Changes, notes: list[str], console: Console) -> None:
    """The table of changes, the clients most affected, and a sentence for each kind of session."""
    total = changes.total()
    span = f"{_day(changes.first)} to {_day(changes.last)}"
    console.print(plain(f"{changes.recorded} recorded sessions stand for {total.total:,.0f}, from {span}"))
    if changes.observed:
        console.print(plain(_of_observing(changes)), soft_wrap=True)
    if changed := changes.changed():
        table = new_table("from", "to", *KINDS, numeric=KINDS)
        for before, after, sessions in changed:
            table.add_row(plain(before), plain(after), *_numbers(sessions))
        console.print(table)
        _show_clients("fare better", changes.better(), console)
        _show_clients("fare worse", changes.worse(), console)
    else:
        console.print("nobody would go elsewhere")
    for sentence in sentences(changes):
        console.print(plain(sentence), style="bold", soft_wrap=True)
    for note in notes:
        console.print(plain(f"note: {note}"), style="yellow", soft_wrap=True)


def sentences(changes: Changes) -> list[str]:
    """What it means for good and for bad sessions."""
    best = changes.pools[0]
    total, before, after = changes.total(), changes.went_to(best), changes.would_go_to(best)
    away = changes.turned_away
    told = [
        ("good", total.good, before.good, after.good, away.good),
        ("bad", total.bad, before.bad, after.bad, away.bad),
    ]
    return [
        f"of {sessions:,.0f} {kind} sessions {was / sessions:.1%} were sent to {best}; {is_now / sessions:.1%} would be"
        + (f", and {away / sessions:.1%} would be turned away" if away else "")
        for kind, sessions, was, is_now, away in told
        if sessions
    ]


def as_json(changes: Changes, notes: list[str]) -> dict[str, Any]:
    """The same; numbers of sessions are weighted."""
    best = changes.pools[0]
    return {
        "recorded": changes.recorded,
        "unreadable": changes.unreadable,
        "observed": changes.observed,
        "from": changes.first,
        "to": changes.last,
        "sessions": asdict(changes.total()),
        "changes": [{"from": before, "to": after, **asdict(sessions)} for before, after, sessions in changes.changed()],
        "best_pool": {
            "name": best,
            "before": asdict(changes.went_to(best)),
            "after": asdict(changes.would_go_to(best)),
        },
        "turned_away": asdict(changes.turned_away),
        "better": [asdict(client) for client in changes.better()],
        "worse": [asdict(client) for client in changes.worse()],
        "notes": notes,
    }


def _show_clients(heading: str, clients: list[ChangedClient], console: Console) -> None:
    if not clients:
        return
    columns = ("client", "sessions", "good", "score", "now", "from", "to", "reasons (- gone, + new)")
    table = new_table(*columns, title=heading, numeric=columns[1:5])
    for one in clients:
        table.add_row(
            one.client,
            f"{one.sessions:,.0f}",
            f"{one.good:,.0f}",
            f"{one.score:+.1f}",
            f"{one.score_after:+.1f}",
            plain(one.before),
            plain(one.after),
            plain(" ".join(one.reasons)),
        )
    console.print(table)


def _of_observing(changes: Changes) -> str:
    """What sessions in observe mode are compared with."""
    share = changes.observed / changes.total().total
    who = "all of them were" if share > 1.0 - 1e-9 else f"{share:.0%} of them were"
    return f"{who} in observe mode, and sent to the first pool; here is where the rules would send them"


def _numbers(sessions: Sessions) -> tuple[str, str, str]:
    return f"{sessions.good:,.0f}", f"{sessions.bad:,.0f}", f"{sessions.unknown:,.0f}"


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
