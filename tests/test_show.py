"""Answers as people see them: nothing a client supplied reaches the terminal unescaped, however narrow it is."""

import contextlib
import io
from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from frontproxy import show
from tests.houses import setup_of

Answer = dict[str, Any]
PLAIN = Namespace(prometheus=False)
PROMETHEUS = Namespace(prometheus=True)
HOSTILE = "\x1b]0;owned\x07\x1b[2J\u202egnp.exe\r\nforged: line\x9b31m[bold]x[/bold]"


def score_answer(
    text: str = "x", *, pinned: str | None = None, pool: str | None = "nice", points: float = 12.5
) -> Answer:
    return {
        "ok": True,
        "client": "192.0.2.1",
        "score": points,
        "route": pool or "reply",
        "pool": pool,
        "reply": None if pool else f"421 {text}",
        "settled": pool == "nice",
        "pinned": pinned,
        "reasons": [{"name": f"list:{text}", "points": points, "text": f"on your list {text}"}],
        "dnslists": [],
        "name": None,
    }


def told(zone: str, said: str, *, age: float | None = None, vote: bool = True, why: str | None = None) -> Answer:
    codes = [zone] if said == "listed" else []
    holds = None if age is None else 300.0
    return {
        "zone": zone,
        "said": said,
        "codes": codes,
        "age": age,
        "holds": holds,
        "points": 0.0,
        "vote": vote,
        "why": why,
    }


def name_told(text: str) -> Answer:
    answer = {"said": "confirmed", "name": text, "domain": text, "access": True, "age": 7300.0, "holds": 5.0}
    return {**answer, "points": -4.0, "why": None}


def pin(text: str, until: float | None = None) -> Answer:
    return {"network": text, "pool": text, "until": until, "because": text, "made": 1.7e9}


def clients_answer(text: str = "192.0.2.1") -> Answer:
    row = {"client": text, "points": -3.0, "good": 1.0, "bad": 2.0, "last_seen": 1.7e9}
    return {"ok": True, "best": [row], "worst": [row, row], "busiest": []}


def list_status(zone: str, *, why: str | None = None) -> Answer:
    numbers = {"asked": 40, "listed": 31, "no_answer": 2, "friends": [1, 12], "tested": 130.0}
    return {"zone": zone, "vote": why is None, "why": why, **numbers}


def status_answer(text: str = "nice", *, down: str | None = None) -> Answer:
    return {
        "ok": True,
        "version": text,
        "mode": text,
        "configuration": text,
        "warnings": [text],
        "alarms": [text],
        "uptime": 93784.5,
        "clock_error": 0.0,
        "longest_stall": 0.003,
        "waiting_room": {"waiting": 3, "places": 5000},
        "pools": [
            {
                "name": text,
                "taken": 45,
                "places": 50,
                "waiting": 2,
                "longest_wait": 1.5,
                "handover_time": 0.0125,
                "stress": True,
                "backends": [{"name": text, "sessions": 4, "down": down, "brake": text if down else None}],
            }
        ],
        "servers": [{"name": text, "pid": 1}],
        "places": {"counted": "exactly", "why": down, "watched": 45, "unseen": 1, "notices_lost": 2},
        "feeds": {
            "connected": 1,
            "programs": [{"name": text, "pid": 1, "trouble": down}],
            "lines": 7,
            "bad_lines": 0,
            "silent_for": None,
        },
        "dns": {
            "program": {"pid": 1, "trouble": down},
            "cached": 17,
            "asked": 99,
            "no_answer": 5,
            "over_budget": 2,
            "no_room": 4,
            "lists": [list_status("bl.example"), list_status(text, why=text)],
        },
        "history": {"file": text, "clients": 3, "networks": 2, "unwritten": 0, "troubles": [text]},
        "readiness": {"text": text},
        "databases": [{"file": f"/srv/{text}", "kind": text, "built": 1.7e9, "bytes": 9, "complete": True}],
        "lists": {"networks": 5, "lists": 2},
        "counters": {"accepted": 12, text: 7},
    }


SHOWN: dict[str, tuple[Callable[[Answer, Namespace], None], Callable[[str], Answer]]] = {
    "score": (show.score, score_answer),
    "score of a pinned one": (show.score, lambda text: score_answer(pinned=text)),
    "score of a refused one": (show.score, lambda text: score_answer(text, pool=None)),
    "hearsay": (
        show.score,
        lambda text: {**score_answer(), "dnslists": [told(text, "listed", why=text)], "name": name_told(text)},
    ),
    "clients": (show.clients, clients_answer),
    "pins": (show.pins, lambda text: {"ok": True, "pins": [pin(text), pin(text, 1.7e9)]}),
    "pinned": (show.pinned, lambda text: {"ok": True, **pin(text)}),
    "stress": (show.stress, lambda text: {"ok": True, "pools": [{"name": text, "stress": True, "held": text}]}),
    "reloaded": (show.reloaded, lambda text: {"ok": True, "remarks": [text]}),
    "done": (show.done, lambda text: {"ok": True, "network": text}),
    "status": (show.status, lambda text: status_answer(text, down=text)),
}


def screen(shown: Callable[[Answer, Namespace], None], answer: Answer, options: Namespace = PLAIN) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as written:
        shown(answer, options)
    return written.getvalue()


def is_safe(text: str) -> bool:
    return all(line.isprintable() for line in text.split("\n"))


@pytest.mark.parametrize("name", SHOWN)
@settings(max_examples=30)
@given(text=st.text(max_size=60) | st.just(HOSTILE))
def test_no_control_character_reaches_the_terminal(name: str, text: str) -> None:
    shown, answer = SHOWN[name]

    assert is_safe(screen(shown, answer(text)))


@pytest.mark.parametrize("name", SHOWN)
@pytest.mark.parametrize("columns", [1, 20, 40, 200])
def test_a_narrow_terminal_shows_no_line_that_is_wider(
    name: str, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    shown, answer = SHOWN[name]

    lines = screen(shown, answer("a rather long name")).splitlines()

    assert lines
    assert max(map(len, lines)) <= columns


def test_a_narrow_terminal_folds_and_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")

    address = "2001:db8:1234:5678:9abc:def0:1234:5678"
    shown = screen(show.pins, {"ok": True, "pins": [{**pin("short"), "network": address}]})

    header, *rows = shown.splitlines()
    assert "".join(row[: header.index("pool")].strip() for row in rows) == address


def test_markup_of_a_client_is_no_markup() -> None:
    assert "[bold]x[/bold]" in screen(show.reloaded, {"ok": True, "remarks": ["[bold]x[/bold]"]})


def test_a_refusal_goes_to_standard_error_escaped_and_one_line_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    show.refused({"ok": False, "code": "failed", "error": HOSTILE, "mistakes": [HOSTILE, "b" * 300]})

    out, err = capsys.readouterr()
    assert out == ""
    assert is_safe(err)
    assert err.startswith("frontproxy: \\x1b]0;owned\\x07")
    assert len(err.splitlines()) == 3


@pytest.mark.parametrize(
    ("answer", "fate"),
    [
        (score_answer(), "goes to pool nice at once"),
        (score_answer(pool="hostile"), "goes to pool hostile after a pause"),
        (score_answer("Later", pool=None), "is told: 421 Later"),
        ({**score_answer(), "would": "hostile"}, "goes to pool nice (observing; the rules say: hostile)"),
        (score_answer(pinned="192.0.2.0/24"), "goes to pool nice (pinned by 192.0.2.0/24)"),
    ],
)
def test_a_score_says_where_it_leads(answer: Answer, fate: str) -> None:
    assert fate in screen(show.score, answer)


def test_a_score_without_evidence_is_a_strangers() -> None:
    assert "never seen, on no list: a stranger" in screen(show.score, {**score_answer(points=0.0), "reasons": []})


@pytest.mark.parametrize(("points", "blocks"), [(0.0, 0), (0.1, 1), (3.0, 1), (-15.0, 5), (30.0, 10), (-999.0, 10)])
def test_ten_blocks_are_thirty_points(points: float, blocks: int) -> None:
    (line,) = [line for line in screen(show.score, score_answer(points=points)).splitlines() if "list:x" in line]

    assert line.count("█") == blocks
    assert f"{points:+.1f}" in line


def test_a_score_tells_what_every_list_said_and_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    lists = [
        {**told("bl.example", "listed", age=90.0), "codes": ["127.0.0.2"], "points": -12.5},
        told("dead.example", "no answer", age=3.0, why="timeout"),
        told("liar.example", "not asked", vote=False, why="it lists the world"),
    ]
    shown = screen(show.score, {**score_answer(), "dnslists": lists, "name": name_told("pool.example.org")})

    rows = [" ".join(line.split()) for line in shown.splitlines()]
    assert "bl.example listed: 127.0.0.2 2m 5m -12.5" in rows
    assert "dead.example no answer 3s 5m +0.0 timeout" in rows
    assert "liar.example not asked +0.0 no vote: it lists the world" in rows
    assert "its name confirmed pool.example.org (like an access line's) 2h 5s -4.0 of pool.example.org" in rows


def test_status_tells_which_dns_lists_are_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    answer = status_answer()
    answer["dns"]["lists"] = [list_status("bl.example"), list_status("liar.example", why="it lists the world")]

    rows = [" ".join(line.split()) for line in screen(show.status, answer).splitlines()]
    assert "bl.example yes 40 31 2 1 of 12 2m ago" in rows
    assert "liar.example no 40 31 2 1 of 12 2m ago it lists the world" in rows
    assert "databases nice (nice, built 2023-11-14)" in rows
    assert any(
        row.startswith("DNS 99 questions, 5 without an answer; not asked: 2 beyond the budget, 4 for want of room")
        for row in rows
    )


def test_a_database_may_claim_any_day() -> None:
    answer = status_answer()
    answer["databases"][0]["built"] = 1.7e12

    assert "built on a day that no calendar has" in " ".join(screen(show.status, answer).split())


def test_without_anything_to_ask_the_dns_is_asked_nothing() -> None:
    answer = status_answer()
    answer["dns"] |= {"program": None, "lists": []}

    assert "asked nothing" in screen(show.status, answer)


def test_what_is_not_there_is_said() -> None:
    assert screen(show.pins, {"ok": True, "pins": []}) == "nobody is pinned\n"
    assert "busiest: nobody yet" in screen(show.clients, clients_answer())


def test_a_pin_says_until_when() -> None:
    assert "for good" in screen(show.pinned, {"ok": True, **pin("x")})
    assert "until 2023-11-14 22:13 UTC" in screen(show.pinned, {"ok": True, **pin("x", 1.7e9)})


def test_done_tells_the_fields() -> None:
    assert screen(show.done, {"ok": True, "client": "192.0.2.1", "known": True}) == "client: 192.0.2.1, known: True\n"


def test_status_tells_how_everything_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")

    shown = screen(show.status, status_answer(down="Connection refused"))

    assert "up 1d 02:03:04" in shown
    assert "45/50 ▮▮▮▮▮▮▮▮▮▯" in shown
    assert "DOWN: Connection refused" in shown
    assert "12 ms" in shown
    assert "warning: nice" in shown
    assert "ALARM: nice" in shown
    assert "3 clients, 2 networks; 0 unwritten" in shown
    assert "brake on: nice" in shown
    assert "counted until a server takes the session: Connection refused" in shown
    assert "counted exactly, by the kernel's notices (45 watched" in screen(show.status, status_answer())


@given(name=st.text(max_size=30) | st.just('a"b\\c\nd\r'), down=st.none() | st.text(min_size=1))
def test_what_prometheus_reads_is_well_formed_whatever_the_names(name: str, down: str | None) -> None:
    written = screen(show.status, status_answer(name, down=down), PROMETHEUS)

    assert written.endswith("\n")
    families = {family.name: family for family in text_string_to_metric_families(written)}
    (taken,) = families["frontproxy_pool_taken"].samples
    (up,) = families["frontproxy_backend_up"].samples
    assert (taken.labels, taken.value) == ({"pool": name}, 45)
    assert (up.labels, up.value) == ({"pool": name, "backend": name}, 0 if down else 1)
    assert all(family.documentation and family.type in {"gauge", "counter"} for family in families.values())


def test_prometheus_gets_the_numbers_of_status() -> None:
    lines = screen(show.status, status_answer(), PROMETHEUS).splitlines()

    assert 'frontproxy_pool_taken{pool="nice"} 45' in lines
    assert 'frontproxy_pool_stress{pool="nice"} 1' in lines
    assert 'frontproxy_pool_handover_seconds{pool="nice"} 0.0125' in lines
    assert 'frontproxy_backend_up{pool="nice",backend="nice"} 1' in lines
    assert "frontproxy_waiting_room_waiting 3" in lines
    assert "frontproxy_places_exact 1" in lines
    assert 'frontproxy_feed_up{feed="nice"} 1' in lines
    assert 'frontproxy_events_total{event="accepted"} 12' in lines
    down = screen(show.status, status_answer(down="gone"), PROMETHEUS)
    assert 'frontproxy_backend_up{pool="nice",backend="nice"} 0' in down


def test_the_greeting_says_where_and_how_to_try_it(tmp_path: Path) -> None:
    setup = replace(setup_of(tmp_path, '[smtpd]\ndomains = ["mail.example"]\n'), mailbox="/srv/mail\x1b[2J")

    text = show.greeting(setup, [("127.0.0.1", 2525), ("::1", 2525)], "bin/frontproxy")

    assert "\x1b" not in text
    listens, mail, try_it, then = text.splitlines()
    assert listens == "frontproxy listens on 127.0.0.1:2525, [::1]:2525 (enforce)"
    assert mail == "mail goes to  /srv/mail\\x1b[2J (a Maildir)"
    program = try_it.partition(" -c ")[2].strip('"')
    compile(program, "try it", "exec")
    assert "SMTP('127.0.0.1', 2525).sendmail('me@example.org', 'you@mail.example'" in program
    assert then == "then          bin/frontproxy score 127.0.0.1  (a stranger waits 6 s for its greeting)"
    setup.close()
