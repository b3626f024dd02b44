"""Old logs are learned, each session once: with a proxy and without, again and again, and after a kill -9."""

import gzip
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.real.house import CONFIG, DEADLINE, House, wait_for
from tests.real.need import need
from tests.real.postfix import PROGRAMS, Postfix, smtp_source, smtpd

FRIEND, FOE = "198.51.100.7", "203.0.113.9"
RUN = (
    "import sys; from pathlib import Path; from frontproxy.hindsight.command import run; "
    "sys.exit(run(Path('config.toml'), sys.argv[1:], json=True, dry_run={dry_run}))"
)
Rows = dict[bytes, tuple[float, ...]]


def start(
    folder: Path, *logs: str | Path, dry_run: bool = False, stdin: int = subprocess.DEVNULL
) -> subprocess.Popen[bytes]:
    """Begin to learn logs."""
    command = [sys.executable, "-c", RUN.format(dry_run=dry_run), *map(str, logs)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=folder, stdin=stdin, stdout=pipe, stderr=pipe, start_new_session=True)


def result(process: subprocess.Popen[bytes], data: bytes | None = None) -> tuple[int, dict[str, Any], str]:
    """Its exit code, what it found, and what it said; `data` goes to its standard input."""
    output, errors = process.communicate(data, timeout=DEADLINE)
    return process.returncode, json.loads(output or b"{}"), errors.decode()


def learn(folder: Path, *logs: str | Path, dry_run: bool = False, data: bytes | None = None) -> dict[str, Any]:
    """Learn logs without any trouble; what was found."""
    stdin = subprocess.PIPE if data else subprocess.DEVNULL
    code, answer, errors = result(start(folder, *logs, dry_run=dry_run, stdin=stdin), data)
    assert code == 0, errors
    return answer


def rows(folder: Path) -> Rows:
    """What the history holds, on disk."""
    with sqlite3.connect(folder / "var/history.sqlite3") as connection:
        return {row[0]: row[1:5] for row in connection.execute("SELECT key, t, n, good, bad FROM history")}


def sessions(first: int, count: int, *, hours_ago: float = 48.0) -> str:
    """Lines of sessions of a friend, a foe, and many others."""
    lines = []
    for number in range(first, first + count):
        date = time.strftime("%b %e %H:%M:%S", time.localtime(time.time() - hours_ago * 3600 + number * 2))
        client = (FRIEND, FOE, f"192.0.2.{number % 250}")[number % 3]
        at = (
            f"mx.{client}.example[{client}]:{1024 + number}"
            if client == FRIEND
            else f"unknown[{client}]:{1024 + number}"
        )
        process = f"{date} mx postfix/smtpd[{700 + number % 9}]:"
        good = client != FOE
        lines += [
            f"{process} connect from {at}",
            f"{process} A{number:09X}: client={at}"
            if good
            else f"{process} NOQUEUE: reject: RCPT from {at}: 550 5.1.1 <x@example.com>: Recipient address rejected: "
            "User unknown; from=<a@b.example> to=<x@example.com> proto=ESMTP helo=<b>",
            f"{date} mx dovecot: lmtp(7): Connect from local",
            f"{process} disconnect from {at} ehlo=1 mail=1 {'rcpt=1 data=1' if good else 'rcpt=0/1'} quit=1 "
            f"{'commands=5' if good else 'commands=3/4'}",
        ]
    return "".join(line + "\n" for line in lines)


@pytest.fixture
def home(folder: Path) -> Path:
    """A folder with a configuration, in which no proxy runs."""
    (folder / "config.toml").write_text(CONFIG.replace('recipients = "recipients"\n', ""))
    return folder


def test_a_log_makes_friends_and_foes_and_counts_once_whatever_becomes_of_it(home: Path) -> None:
    text = sessions(0, 150)
    (home / "mail.log").write_text(text)

    answer = learn(home, "mail.log")

    total = answer["total"]
    assert (total["lines"], total["sessions"], total["learned"]) == (600, 150, 150)
    assert (total["friends"], total["bad_names"], total["clients"]) == (1, 1, 52)
    assert Path(answer["copy"]).name == "history.sqlite3.before-learn"
    before = rows(home)
    (home / "mail.log").rename(home / "mail.log.1")
    (home / "packed").write_bytes(gzip.compress(text.encode()))
    (home / "tail").write_text("".join(text.splitlines(keepends=True)[101:]))
    (home / "twice").write_text(text + text)
    again = learn(home, "mail.log.1", "packed", "tail", "twice")
    through_a_pipe = learn(home, "-", data=gzip.compress(text.encode()))
    assert again["total"]["learned"] == through_a_pipe["total"]["learned"] == 0
    assert through_a_pipe["total"]["left_out"] == {"told": 150}
    assert rows(home) == before

    (home / "mail.log").write_text(text + sessions(150, 30))
    assert learn(home, "mail.log")["total"]["learned"] == 30


def test_logs_are_learned_in_the_order_of_their_dates(home: Path) -> None:
    (home / "a").write_text(sessions(60, 60))
    (home / "b").write_bytes(gzip.compress(sessions(0, 60).encode()))

    answer = learn(home, "a", "b")

    assert [log["log"] for log in answer["logs"]] == ["b", "a"]


def test_a_dry_run_shows_what_would_be_found_and_learns_nothing(home: Path) -> None:
    (home / "mail.log").write_text(sessions(0, 60))

    answer = learn(home, "mail.log", dry_run=True)

    assert (answer["dry_run"], answer["total"]["learned"], answer["total"]["friends"]) == (True, 60, 1)
    assert not (home / "var/history.sqlite3").exists()
    assert learn(home, "mail.log")["total"]["learned"] == 60
    before = rows(home)
    (home / "mail.log").write_text(sessions(60, 60))
    assert learn(home, "mail.log", dry_run=True)["total"]["learned"] == 60
    assert rows(home) == before


def test_what_cannot_be_read_is_told_and_the_others_go_on(home: Path) -> None:
    (home / "mail.log").write_text(sessions(0, 30))
    (home / "cut.gz").write_bytes(gzip.compress(sessions(30, 3000).encode())[:-2000])
    (home / "noise").write_bytes(os.urandom(100_000))

    code, answer, errors = result(start(home, "missing", "mail.log", "cut.gz", "noise", "."))

    assert code in {65, 66}
    assert (answer["ok"], answer["total"]["learned"] > 1000) == (False, True)
    for told in ("missing: No such file", "cut.gz: it ends in the middle", "noise has no line", ". is a folder"):
        assert told in errors


def test_root_learns_a_log_that_only_root_can_read_into_a_history_that_is_anothers(home: Path) -> None:
    need(root=True)
    owner = 65534
    (home / "mail.log").write_text(sessions(0, 30))
    (home / "mail.log").chmod(0o600)
    home.chmod(0o755)
    (home / "var").mkdir(exist_ok=True)
    os.chown(home / "var", owner, owner)

    assert learn(home, "mail.log")["total"]["learned"] == 30
    assert {path.stat().st_uid for path in (home / "var").iterdir()} == {owner}


def test_what_a_log_says_reaches_a_terminal_escaped(home: Path) -> None:
    (home / "mail.log").write_text(
        sessions(0, 3) + "Nov  1 00:00:00 mx postfix/smtpd[7]: \x1b]0;boo\x07disconnect from\n"
    )

    _code, answer, errors = result(start(home, "mail.log"))

    assert "\x1b" not in errors + json.dumps(answer["logs"][0]["examples"]).replace("\\\\", "")


def close_to(expected: Rows) -> dict[bytes, Any]:
    """Rows that differ by no more than what rounding on the way to the disk and back makes of them."""
    return {key: pytest.approx(row, rel=1e-3, abs=1e-3) for key, row in expected.items()}


def test_after_a_kill_in_the_middle_the_next_run_ends_with_the_same_history(home: Path) -> None:
    (home / "mail.log").write_text(sessions(0, 8_000))
    whole = home / "whole"
    whole.mkdir()
    (whole / "config.toml").write_bytes((home / "config.toml").read_bytes())
    assert learn(whole, home / "mail.log")["total"]["learned"] == 8_000

    process = start(home, "mail.log")
    wait_for(lambda: told(home) > 500, "that something is on disk")
    process.kill()
    process.communicate()
    first = told(home)
    answer = learn(home, "mail.log")

    assert 500 < first < 8_000
    assert answer["total"]["learned"] == 8_000 - first
    assert answer["total"]["left_out"] == {"told": first}
    assert rows(home) == close_to(rows(whole))


def told(folder: Path) -> int:
    """Sessions that the history on disk knows to have been told."""
    try:
        with sqlite3.connect(folder / "var/history.sqlite3") as connection:
            return int(connection.execute("SELECT count(*) FROM told").fetchone()[0])
    except sqlite3.OperationalError:  # it is being made
        return 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_what_it_has_learned_and_it_goes_on(home: Path, number: int) -> None:
    (home / "mail.log").write_text(sessions(0, 8_000))
    process = start(home, "mail.log")
    wait_for(lambda: told(home) > 500, "that something is on disk")

    os.killpg(process.pid, number)  # as a terminal does
    code, answer, errors = result(process)

    assert code == 128 + number
    assert "goes on where it stopped" in errors
    assert 500 < answer["total"]["learned"] == told(home) < 8_000
    assert learn(home, "mail.log")["total"]["learned"] == 8_000 - answer["total"]["learned"]


def test_a_running_proxy_learns_while_it_serves_and_nothing_twice(build: Callable[..., House]) -> None:
    house = build().start()
    text = sessions(0, 600)
    (house.folder / "mail.log").write_text(text)

    answer = learn(house.folder, "mail.log")

    assert (answer["total"]["learned"], answer["total"]["friends"], answer["total"]["bad_names"]) == (600, 1, 1)
    assert house.score(FRIEND) > 5
    assert house.score(FOE) < -5
    house.deliver("127.1.0.1")
    house.wait_for_outcomes("127.1.0.1", 1)
    assert learn(house.folder, "mail.log")["total"]["left_out"] == {"told": 600}
    assert house.stop() == 0
    assert learn(house.folder, "-", data=text.encode())["total"]["left_out"] == {"told": 600}


def test_learning_by_hand_makes_way_for_a_proxy_that_starts(build: Callable[..., House]) -> None:
    house = build()
    text = sessions(0, 600)
    process = start(house.folder, "-", stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(text.encode())
    process.stdin.flush()  # and nothing more comes: it waits
    wait_for(lambda: told(house.folder) == 600, "that all of it is on disk")

    house.start()
    code, answer, errors = result(process)

    assert (code, answer["total"]["learned"]) == (75, 600)
    assert "frontproxy has started meanwhile" in errors
    assert house.score(FRIEND) > 5


def test_the_log_of_a_real_postfix_is_learned(home: Path) -> None:
    need(*PROGRAMS, root=True)
    main = {"smtpd_client_port_logging": "yes", "smtpd_authorized_xclient_hosts": "127.0.0.0/8"}
    with Postfix(smtpd("plain"), main=main) as postfix:
        for _session in range(3):
            smtp_source(postfix.port("plain"), "-m", "2")
        wait_for(lambda: postfix.log().count("disconnect from") >= 6, "the ends of six sessions")
        log = postfix.log()
    (home / "loopback.log").write_text(log)
    (home / "mail.log").write_text(log.replace("[127.0.0.1]", f"[{FRIEND}]"))

    answer = learn(home, "loopback.log", "mail.log")

    by_log = {log["log"]: log for log in answer["logs"]}
    assert by_log["loopback.log"]["left_out"] == {"loopback": 6}
    assert (by_log["mail.log"]["learned"], by_log["mail.log"]["friends"]) == (6, 1)
