"""Feeds in other languages: any program can write outcome lines to the report socket, and what it says is learned.

Each is given the socket's path and a scene of texts as JSON: it writes one text after the other, each by a write of its
own, a moment apart, and closes.
"""

import json
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.real.house import CONFIG, DEADLINE, House, wait_for
from tests.real.need import need

FOREIGN = CONFIG + "\n[learn]\nforeign = true\n"
NOBODY = 65534
WRITERS = {
    "perl": """
        use strict; use warnings; use IO::Socket::UNIX; use JSON::PP;
        $SIG{PIPE} = 'IGNORE';
        my ($path, $scene) = @ARGV;
        my $report = IO::Socket::UNIX->new(Type => SOCK_STREAM, Peer => $path) or die "connect: $!";
        for my $text (@{ decode_json($scene) }) {
            defined(syswrite($report, $text)) or exit 0;   # it was closed: we are not welcome
            select(undef, undef, undef, 0.05);
        }
    """,
    "node": """
        const [path, scene] = process.argv.slice(1);
        const report = require('net').connect(path);
        report.on('error', () => process.exit(0));
        const texts = JSON.parse(scene);
        const next = () => texts.length ? report.write(texts.shift(), () => setTimeout(next, 50)) : report.end();
        report.on('connect', next);
    """,
}
LANGUAGES = ["perl", *(["node"] if shutil.which("node") else [])]


def outcome(client: str, **said: object) -> str:
    """An outcome line, without its end, of a session that has just ended."""
    return json.dumps({"v": 1, "client": client, "port": 4711, "ended": time.time(), "end": "quit", **said})


def run(language: str, report: Path, *texts: str, as_user: int = 0) -> None:
    """Run the feed to its end."""
    command = [language, "-e", WRITERS[language], str(report), json.dumps(texts)]
    if as_user:
        command = ["setpriv", f"--reuid={as_user}", f"--regid={as_user}", "--clear-groups", *command]
    subprocess.run(command, check=True, timeout=DEADLINE, cwd="/")


def told(house: House) -> tuple[int, int]:
    """How many lines were heard, and how many bad ones."""
    feeds = house.ask("status")["feeds"]
    return feeds["lines"], feeds["bad_lines"]


def known(house: House) -> dict[str, tuple[float, float]]:
    """The good and bad of all clients that history knows."""
    answer = house.ask("clients")
    rows = [row for order in ("best", "worst", "busiest") for row in answer[order]]
    return {row["client"]: (row["good"], row["bad"]) for row in rows}


@pytest.mark.parametrize("language", LANGUAGES)
def test_exactly_the_good_lines_of_a_foreign_program_are_learned(build: Callable[..., House], language: str) -> None:
    need(language)
    house = build(FOREIGN).start()
    torn = outcome("127.1.0.2", messages=1, recipients=1) + "\n"

    run(
        language,
        house.folder / "var/report.sock",
        outcome("127.1.0.1", messages=2, recipients=2) + "\n",
        torn[:30],
        torn[30:],
        outcome("127.1.0.3", refused=3) + "\n" + outcome("127.1.0.4", messages=1, trap=1) + "\r\n",
        "{'client': '127.1.0.5', a line of Python}\n",
        "x" * 5000 + "\n",
        outcome("127.1.0.6", messages=-1) + "\n",
        outcome("127.1.0.7", messages=1, colour="green") + "\n\n",
        outcome("127.1.0.8", messages=1),
    )

    wait_for(lambda: told(house) == (5, 3), "five lines and three bad ones")
    assert known(house) == {
        "127.1.0.1": (1.25, 0),
        "127.1.0.2": (1, 0),
        "127.1.0.3": (0, 2.2),
        "127.1.0.4": (0, 8),
        "127.1.0.7": (1, 0),  # unknown keys are those of later versions
    }  # and the last line, which has no end, may be cut: it is not told
    wait_for(lambda: len(house.events("report", state="bad_line")) == 3, "the complaints in the log")


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_foreign_program_of_another_user_is_refused(build: Callable[..., House], language: str) -> None:
    """Even if the files let it in: the peer is asked, as at the admin socket."""
    need(language, "setpriv", root=True)
    house = build(FOREIGN).start()
    report = house.folder / "var/report.sock"
    for path, mode in ((house.folder, 0o711), (report.parent, 0o711), (report, 0o666)):
        path.chmod(mode)

    run(language, report, *[outcome("127.1.0.1", messages=1) + "\n"] * 3, as_user=NOBODY)

    wait_for(lambda: house.events("report", state="refused"), "the refusal")
    assert known(house) == {}
    assert told(house) == (0, 0)
    run(language, report, outcome("127.1.0.1", messages=1) + "\n")
    wait_for(lambda: known(house) == {"127.1.0.1": (1, 0)}, "what root says")
