"""What was learned, as a table for people and as JSON for scripts. Whatever a log supplied is escaped."""

from collections import Counter
from pathlib import Path
from typing import Any, Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from frontproxy.hindsight.tally import LEFT_OUT, LogTally, Tally
from frontproxy.past import Standing
from frontproxy.terminal import escaped

Answer = dict[str, Any]
_WIDE: Final = 120


def answer_of(tally: Tally, *, dry_run: bool, copy: Path | None, why: str) -> Answer:
    """All that was found, as JSON can hold it; `why` it was broken off, if it was."""
    clients = tally.clients()
    logs = [_log(log, found) for log, found in zip(tally.logs, clients, strict=True)]
    return {
        "ok": not why and not any(log["trouble"] for log in logs),
        "dry_run": dry_run,
        "stopped": why or None,
        "copy": str(copy) if copy else None,
        "all_clients_counted": tally.has_all_clients,
        "total": _sum(logs),
        "logs": logs,
    }


def _log(log: LogTally, clients: Counter[Standing]) -> Answer:
    read = log.read
    return {
        "log": read.log,
        "trouble": read.trouble or None,
        "complete": read.done and not read.trouble,
        "lines": read.lines,
        "lines_ignored": read.ignored,
        "lines_not_understood": read.not_understood,
        "examples": list(read.examples),
        "sessions": read.sessions,
        "learned": log.fates["learned"],
        "left_out": dict(log.left_out()),
        "clients": clients.total(),
        "friends": clients["friend"],
        "bad_names": clients["bad name"],
    }


def _sum(logs: list[Answer]) -> Answer:
    names = "lines", "lines_ignored", "lines_not_understood", "sessions", "learned", "clients", "friends", "bad_names"
    left_out: Counter[str] = Counter()
    for log in logs:
        left_out.update(log["left_out"])
    return {**{name: sum(log[name] for log in logs) for name in names}, "left_out": dict(left_out)}


def show(answer: Answer) -> None:
    """Print the tables."""
    console = Console()
    if not console.is_terminal:
        console.width = _WIDE  # a file has no width
    for table in (_logs(answer), _lines(answer), _left_out(answer["total"]["left_out"])):
        if table.row_count:
            console.print(table)
    for log in answer["logs"]:
        if log["examples"]:
            console.print(Text(escaped(f"not understood in {log['log']}, for example:")), soft_wrap=True)
            for example in log["examples"]:
                console.print(Text(f"  {example}"), soft_wrap=True)  # escaped by the reading program
    for line in _remarks(answer):
        console.print(Text(escaped(line)), soft_wrap=True)


def _logs(answer: Answer) -> Table:
    """Clients are counted with the log that names them first, so that the columns add up."""
    columns = {"sessions": "sessions", "learned": "learned", "clients": "clients"}
    columns |= {"friends": "friends", "bad_names": "bad names"}
    return _table(answer, "dry run: nothing was learned" if answer["dry_run"] else "learned", columns)


def _lines(answer: Answer) -> Table:
    columns = {"lines": "lines", "lines_ignored": "of no interest", "lines_not_understood": "not understood"}
    return _table(answer, "read", columns)


def _table(answer: Answer, title: str, columns: dict[str, str]) -> Table:
    """A row for each log; `columns` are names of numbers, with their headings."""
    table = Table("log", title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for heading in columns.values():
        table.add_column(heading, justify="right", no_wrap=True)
    for log in answer["logs"]:
        how_far = "" if log["complete"] else " (in part)" if log["lines"] else " (not read)"
        name = Text(escaped(log["log"]) + how_far, "yellow" if how_far else "")
        table.add_row(name, *(f"{log[name]:,}" for name in columns))
    if len(answer["logs"]) > 1:
        table.add_section()
        table.add_row(Text("all", "bold"), *(f"{answer['total'][name]:,}" for name in columns))
    return table


def _left_out(left_out: dict[str, int]) -> Table:
    table = Table("sessions left out", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("", justify="right", no_wrap=True)
    for why, words in LEFT_OUT.items():
        if why in left_out:
            table.add_row(words, f"{left_out[why]:,}")
    return table


def _remarks(answer: Answer) -> list[str]:
    remarks = []
    if answer["total"]["bad_names"]:
        remarks.append(
            "A bad name is a history as bad as a friend's is good; it takes other evidence, too, to be a foe."
        )
    if answer["copy"] and answer["total"]["learned"]:
        remarks.append(
            f"The history as it was before is in {answer['copy']}; to go back, end frontproxy, "
            "remove the history with its -wal and -shm files, and give the copy its name. "
            "(`learn undo` takes back what was learned as it happened, and nothing of this.)"
        )
    if not answer["all_clients_counted"]:
        remarks.append("There are more clients than were counted here; all of them were learned.")
    return remarks
