"""What changes under another configuration, for people to look at and as JSON."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from frontproxy.preview.changes import ChangedClient, Changes, Kind, Sessions


def show(changes: Changes, notes: list[str], console: Console) -> None:
    """The table of changes, the clients most affected, and a sentence for each kind of session."""
    total = changes.total()
    span = f"{_day(changes.first)} to {_day(changes.last)}"
    console.print(_plain(f"{changes.recorded} recorded sessions stand for {total.total:,.0f}, from {span}"))
    if changed := changes.changed():
        table = _table("from", "to", "good", "bad", "unknown")
        for before, after, sessions in changed:
            table.add_row(_plain(before), _plain(after), *_numbers(sessions))
        console.print(table)
        _show_clients("fare better", changes.better(), console)
        _show_clients("fare worse", changes.worse(), console)
    else:
        console.print("nobody would go elsewhere")
    for sentence in sentences(changes):
        console.print(_plain(sentence), style="bold")
    for note in notes:
        console.print(_plain(f"note: {note}"), style="yellow")


def sentences(changes: Changes) -> list[str]:
    """What it means for good and for bad sessions."""
    best = changes.pools[0]
    total, before, after = changes.total(), changes.went_to(best), changes.would_go_to(best)
    told: list[tuple[Kind, float, float, float]] = [
        ("good", total.good, before.good, after.good),
        ("bad", total.bad, before.bad, after.bad),
    ]
    return [
        f"of {sessions:,.0f} {kind} sessions {was / sessions:.1%} were sent to {best}; {is_now / sessions:.1%} would be"
        for kind, sessions, was, is_now in told
        if sessions
    ]


def as_json(changes: Changes, notes: list[str]) -> dict[str, Any]:
    """The same; numbers of sessions are weighted."""
    best = changes.pools[0]
    return {
        "recorded": changes.recorded,
        "unreadable": changes.unreadable,
        "from": changes.first,
        "to": changes.last,
        "sessions": asdict(changes.total()),
        "changes": [{"from": before, "to": after, **asdict(sessions)} for before, after, sessions in changes.changed()],
        "best_pool": {
            "name": best,
            "before": asdict(changes.went_to(best)),
            "after": asdict(changes.would_go_to(best)),
        },
        "better": [asdict(client) for client in changes.better()],
        "worse": [asdict(client) for client in changes.worse()],
        "notes": notes,
    }


def _show_clients(heading: str, clients: list[ChangedClient], console: Console) -> None:
    if not clients:
        return
    table = _table("client", "sessions", "score", "now", "from", "to", "reasons that change", title=heading)
    for one in clients:
        table.add_row(
            one.client,
            f"{one.sessions:,.0f}",
            f"{one.score:+.1f}",
            f"{one.score_after:+.1f}",
            _plain(one.before),
            _plain(one.after),
            _plain(" ".join(one.reasons)),
        )
    console.print(table)


def _numbers(sessions: Sessions) -> tuple[str, str, str]:
    return f"{sessions.good:,.0f}", f"{sessions.bad:,.0f}", f"{sessions.unknown:,.0f}"


def _table(*columns: str, title: str | None = None) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        is_number = column in {"good", "bad", "unknown", "sessions", "score", "now"}
        table.add_column(column, justify="right" if is_number else "left", overflow="fold")
    return table


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")


def _plain(text: str) -> Text:
    """Whatever stands in it, it is one line of characters that a terminal shows."""
    return Text("".join(character if character.isprintable() else ascii(character)[1:-1] for character in text))
