"""Answers of the admin socket as people like to look at them; whatever a client supplied is escaped."""

import sys
from argparse import Namespace
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any

from rich.table import Table
from rich.text import Text

from frontproxy.doors import Address, address_text
from frontproxy.prometheus import metrics
from frontproxy.setup import Setup
from frontproxy.terminal import (
    bar,
    escaped,
    gauge,
    long_time,
    new_table,
    on_or_off,
    plain,
    points_text,
    short_time,
    show,
    until_text,
)

Answer = dict[str, Any]


def score(answer: Answer, _options: Namespace) -> None:
    """The verdict: each reason with its points and a bar, then the sum and where that leads."""
    table = new_table("evidence", "points", "", "what we know", numeric={"points"})
    for reason in answer["reasons"]:
        table.add_row(
            plain(reason["name"]), points_text(reason["points"]), bar(reason["points"]), plain(reason["text"])
        )
    if not answer["reasons"]:
        table.add_row("nothing", points_text(0), "", "never seen, on no list: a stranger")
    table.add_section()
    table.add_row(
        Text("score", "bold"), points_text(answer["score"]), bar(answer["score"]), Text(_fate(answer), "bold")
    )
    table.title = plain(answer["client"])
    show(table)
    if answer["dnslists"] or answer["name"]:
        show(_hearsay(answer))


def _hearsay(answer: Answer) -> Table:
    """What the DNS has told: every list and the name, how old that is, and what it is worth."""
    table = new_table("asked", "said", "age", "holds", "points", "", numeric={"age", "holds", "points"})
    for told in answer["dnslists"]:
        said = f"{told['said']}: {', '.join(told['codes'])}" if told["codes"] else told["said"]
        why = f"{'' if told['vote'] else 'no vote: '}{told['why']}" if told["why"] else ""
        table.add_row(plain(told["zone"]), plain(said), *_times(told), points_text(told["points"]), plain(why))
    if name := answer["name"]:
        said = " ".join(filter(None, (name["said"], name["name"], "(like an access line's)" if name["access"] else "")))
        why = name["why"] or (f"of {name['domain']}" if name["domain"] else "")
        table.add_row("its name", plain(said), *_times(name), points_text(name["points"]), plain(why))
    return table


def _times(told: Answer) -> tuple[str, str]:
    """How old an answer is, and how long it still holds."""
    if told["age"] is None:
        return "", ""
    return short_time(told["age"]), short_time(told["holds"])


def _fate(answer: Answer) -> str:
    way = f"goes to pool {answer['pool']}" if answer["pool"] else f"is told: {answer['reply']}"
    if answer["pinned"]:
        return escaped(f"{way} (pinned by {answer['pinned']})")
    if "would" in answer:
        return escaped(f"{way} (observing; the rules say: {answer['would']})")
    return escaped(f"{way} {'at once' if answer['settled'] else 'after a pause'}")


def refused(answer: Answer) -> None:
    """Why a request was refused, for those who read standard error."""
    for text in (f"frontproxy: {answer['error']}", *answer.get("mistakes", [])):
        print(escaped(text), file=sys.stderr)  # noqa: T201  one line each, however wide the terminal is


def clients(answer: Answer, _options: Namespace) -> None:
    """Who is known: three short tables."""
    for order in ("best", "worst", "busiest"):
        table = new_table(
            "client", "points", "", "good", "bad", "last seen", title=order, numeric={"points", "good", "bad"}
        )
        for row in answer[order]:
            points = row["points"]
            seen = datetime.fromtimestamp(row["last_seen"], UTC).strftime("%Y-%m-%d %H:%M")
            table.add_row(
                plain(row["client"]), points_text(points), bar(points), f"{row['good']:.1f}", f"{row['bad']:.1f}", seen
            )
        show(table if answer[order] else Text(f"{order}: nobody yet"))


def pins(answer: Answer, _options: Namespace) -> None:
    """All pins."""
    table = new_table("network", "pool", "until", "because")
    for pin in answer["pins"]:
        table.add_row(plain(pin["network"]), plain(pin["pool"]), until_text(pin["until"]), plain(pin["because"]))
    show(table if answer["pins"] else Text("nobody is pinned"))


def pinned(answer: Answer, _options: Namespace) -> None:
    """What was pinned."""
    show(plain(f"{answer['network']} goes to {answer['pool']}, {until_text(answer['until'])}"))


def told(answer: Answer, _options: Namespace) -> None:
    """What a verdict that came later has changed."""
    counted = ", ".join(f"{answer[kind]:g} {kind}" for kind in ("good", "bad") if answer[kind]) or "nothing"
    back = f", {answer['taken_back']:g} good taken back" if answer["taken_back"] else ""
    change = f"{answer['score_before']:+.1f} is now {answer['score']:+.1f}"
    show(plain(f"{answer['client']}: {counted} learned{back}; its score of {change}, a {answer['standing']}"))


def undone(answer: Answer, _options: Namespace) -> None:
    """What was taken back."""
    since = datetime.fromtimestamp(answer["since"], UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    show(plain(f"what {answer['sessions']} sessions of {answer['clients']} clients taught since {since} is taken back"))


def stress(answer: Answer, _options: Namespace) -> None:
    """The stress of each pool."""
    table = new_table("pool", "stress", "held")
    for pool in answer["pools"]:
        table.add_row(plain(pool["name"]), on_or_off(pool["stress"]), plain(pool["held"]))
    show(table)


def reloaded(answer: Answer, _options: Namespace) -> None:
    """A reload that worked, with its remarks."""
    show(Text("reloaded"))
    for remark in answer["remarks"]:
        show(Text(escaped(remark)))


def done(answer: Answer, _options: Namespace) -> None:
    """The fields of a plain answer."""
    show(Text(", ".join(f"{name}: {escaped(str(value))}" for name, value in answer.items() if name != "ok")))


def status(answer: Answer, options: Namespace) -> None:
    """How everything is."""
    if options.prometheus:
        print(metrics(answer))  # noqa: T201  a text format, not a picture
        return
    heading = f"frontproxy {answer['version']}, mode {answer['mode']}, up {long_time(answer['uptime'])}"
    show(Text(escaped(heading), "bold"))
    table = new_table(
        *("pool", "places taken", "waiting", "longest wait", "handover", "stress", "backends"),
        numeric={"waiting", "longest wait", "handover"},
        whole={"places taken"},
    )
    for pool in answer["pools"]:
        table.add_row(
            plain(pool["name"]),
            f"{pool['taken']}/{pool['places']} {gauge(pool['taken'], pool['places'])}",
            str(pool["waiting"]),
            f"{pool['longest_wait']:.1f} s",
            f"{pool['handover_time'] * 1000:.0f} ms",
            on_or_off(pool["stress"]),
            plain(", ".join(_backend(backend) for backend in pool["backends"])),
        )
    show(table)
    room, feeds, history = answer["waiting_room"], answer["feeds"], answer["history"]
    facts = {
        "waiting room": f"{room['waiting']}/{room['places']} {gauge(room['waiting'], room['places'])}",
        "places": _counted(answer["places"]),
        "feeds": f"{feeds['connected']} connected, {feeds['lines']} outcomes, {feeds['bad_lines']} bad lines"
        + "".join(f"; {feed['name']}: {feed['trouble'] or 'runs'}" for feed in feeds["programs"]),
        "DNS": _asked(answer["dns"]),
        "history": f"{history['clients']} clients, {history['networks']} networks; {history['unwritten']} unwritten",
        "learned": answer["readiness"]["text"],
        "longest stall": f"{answer['longest_stall'] * 1000:.1f} ms in the last minute",
        "lists": f"{answer['lists']['networks']} networks in {answer['lists']['lists']} lists",
        "databases": ", ".join(map(_database, answer["databases"])) or "none",
        "counters": ", ".join(f"{name} {value}" for name, value in answer["counters"].items()),
    }
    grid = Table.grid(padding=(0, 2))
    for name, text in facts.items():
        grid.add_row(Text(name, "bold"), plain(text))
    show(grid)
    if answer["dns"]["lists"]:
        show(_dnslists(answer["dns"]["lists"]))
    for alarm in answer["alarms"]:
        show(Text(escaped(f"ALARM: {alarm}"), "bold red"))
    for warning in answer["warnings"]:
        show(Text(escaped(f"warning: {warning}"), "yellow"))


def _database(told: Answer) -> str:
    try:
        built = datetime.fromtimestamp(told["built"], UTC).strftime("%Y-%m-%d")
    except (ValueError, OverflowError, OSError):
        built = "on a day that no calendar has"  # the file says so, whatever it may mean
    return f"{PurePath(told['file']).name} ({told['kind']}, built {built})"


def _asked(dns: Answer) -> str:
    """What the DNS was asked, and whether it can be."""
    if dns["program"] is None:
        return "asked nothing"
    counts = f"{dns['asked']} questions, {dns['no_answer']} without an answer"
    if dns["over_budget"] or dns["no_room"]:
        counts += f"; not asked: {dns['over_budget']} beyond the budget, {dns['no_room']} for want of room"
    state = "runs" if dns["program"]["pid"] else "is starting"
    if dns["program"]["trouble"]:
        state += f" again, after {dns['program']['trouble']}"
    return f"{counts}; {dns['cached']} addresses known; asking program: {state}"


def _dnslists(lists: list[Answer]) -> Table:
    """Whether each DNS list is believed."""
    table = new_table("DNS list", "vote", "asked", "listed", "no answer", "friends listed", "tested", "")
    for told in lists:
        listed, friends = told["friends"]
        tested = "" if told["tested"] is None else f"{short_time(told['tested'])} ago"
        numbers = [str(told[key]) for key in ("asked", "listed", "no_answer")]
        vote = Text("yes") if told["vote"] else Text("no", "red")
        table.add_row(plain(told["zone"]), vote, *numbers, f"{listed} of {friends}", tested, plain(told["why"] or ""))
    return table


def greeting(setup: Setup, addresses: list[Address], program: str) -> str:
    """What a person at the terminal wants to know when frontproxy has started."""
    config = setup.config
    where = ", ".join(map(address_text, addresses)) or "no address, and serves its admin socket and feeds"
    lines = [f"frontproxy listens on {where} ({config.mode})"]
    reachable = [address for address in addresses if isinstance(address, tuple)]
    if setup.mailbox and reachable:
        host, port = reachable[0]
        domain = (config.smtpd.get("domains") or ["example.com"])[0]
        mail = f"'me@example.org', 'you@{domain}', 'Subject: hello\\n\\nHello.'"
        lines += [
            f"mail goes to  {setup.mailbox} (a Maildir)",
            f"try it        python3 -c \"import smtplib; smtplib.SMTP('{host}', {port}).sendmail({mail})\"",
            f"then          {program} score {host}  (a stranger waits {config.listen.pause:g} s for its greeting)",
        ]
    return "\n".join(map(escaped, lines))


def _backend(backend: Answer) -> str:
    state = f"DOWN: {backend['down']}" if backend["down"] else str(backend["sessions"])
    brake = f"; brake on: {backend['brake']}" if backend["brake"] else ""
    return f"{backend['name']} ({state}{brake})"


def _counted(places: Answer) -> str:
    """How we know when a passed session has ended."""
    if places["why"]:
        return f"counted until a server takes the session: {places['why']}"
    lost = f"; {places['notices_lost']} times too many notices at once" if places["notices_lost"] else ""
    unseen = f"; {places['unseen']} sessions out of its sight" if places["unseen"] else ""
    return f"counted exactly, by the kernel's notices ({places['watched']} watched{lost}{unseen})"
