"""Tables, bars and times for people at a terminal; nothing reaches it unescaped that somebody else has supplied."""

from collections.abc import Container
from datetime import UTC, datetime
from typing import Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

_BAR = 10  # blocks


def new_table(
    *columns: str, title: str | None = None, numeric: Container[str] = (), whole: Container[str] = ()
) -> Table:
    """A plain table: columns in `numeric` stand to the right, and no line of those in `whole` is broken."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        justify: Literal["right", "left"] = "right" if column in numeric else "left"
        table.add_column(column, justify=justify, overflow="fold", no_wrap=column in whole)
    return table


def show(renderable: Table | Text) -> None:
    """To standard output."""
    Console(highlight=False, markup=False).print(renderable)


def plain(text: str) -> Text:
    """Escaped, and without markup."""
    return Text(escaped(text))


def escaped(text: str) -> str:
    """What a terminal might obey is spelled out."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


def points_text(points: float) -> Text:
    """With their sign, green for good and red for bad."""
    return Text(f"{points:+.1f}", _colour(points))


def bar(points: float) -> Text:
    """Ten blocks are thirty points."""
    return Text("█" * min(round(abs(points) / 3 + 0.49) if points else 0, _BAR), _colour(points))


def _colour(points: float) -> str:
    if points > 0:
        return "green"
    return "red" if points < 0 else ""


def gauge(value: int, limit: int) -> str:
    """How full something is."""
    full = min(round(_BAR * value / limit) if limit else 0, _BAR)
    return "▮" * full + "▯" * (_BAR - full)


def on_or_off(state: bool) -> Text:
    """Red when it is on."""
    return Text("on", "red") if state else Text("off")


def until_text(until: float | None) -> str:
    """A time in seconds since 1970; None is for ever."""
    return "for good" if until is None else datetime.fromtimestamp(until, UTC).strftime("until %Y-%m-%d %H:%M UTC")


def short_time(seconds: float) -> str:
    """A time in its largest unit: 12s, 34m, 5h."""
    for length, unit in ((3600, "h"), (60, "m")):
        if seconds >= length:
            return f"{seconds / length:.0f}{unit}"
    return f"{max(seconds, 0):.0f}s"


def long_time(seconds: float) -> str:
    """Days, hours and minutes."""
    days, rest = divmod(int(seconds), 86400)
    hours, rest = divmod(rest, 3600)
    return f"{days}d {hours:02}:{rest // 60:02}:{rest % 60:02}"
