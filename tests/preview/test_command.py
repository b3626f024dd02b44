"""The command: what it prints, and what it says where there is nothing to read."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from frontproxy.core.mistakes import Mistaken
from frontproxy.memory.journal_rows import End, entry_of, entry_row
from frontproxy.memory.journal_table import Batch, JournalTable
from frontproxy.preview import command
from tests.memory.journals import session

POOLS = """
[history]
file = "history.sqlite3"
[pool.nice]
backends = ["pass:nice"]
fallback = "hostile"
[pool.hostile]
backends = ["pass:hostile"]
"""
PARTNERS = """
[[list]]
name = "partners"
kind = "points"
networks = ["192.0.2.0/24"]
points = 20
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration, and beside its history a journal: 192.0.2.1 was good and nobody known, 198.51.100.1 was bad."""
    path = tmp_path / "new.toml"
    path.write_text(POOLS)
    table = JournalTable(tmp_path / "history.journal.sqlite3")
    rows = []
    for address, end in (("192.0.2.1", End("quit", 1.0, 0.0, 1)), ("198.51.100.1", End("quit", 0.0, 1.0))):
        entry = entry_of(session(address).verdict, "hostile", 100)
        assert entry
        rows.append(entry_row(entry._replace(end=end)))
    table.write(Batch(sessions=rows, facts={"good_half_life": 30 * 86400.0}))
    table.close()
    return path


def test_it_says_who_would_go_elsewhere(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text(POOLS + PARTNERS)

    assert command.run(config, journal=None, json=False) == 0

    said, complaints = capsys.readouterr()
    assert complaints == ""
    assert "2 recorded sessions stand for 200, from 2023-11-14 22:13 to 2023-11-14 22:13" in said
    assert "hostile  nice   100    0        0" in said
    assert "192.0.2.1" in said
    assert "+list:partners:20.0" in said
    assert "of 100 good sessions 0.0% were sent to nice; 100.0% would be" in said
    assert "of 100 bad sessions 0.0% were sent to nice; 0.0% would be" in said


def test_nothing_changes_under_the_same_rules(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.run(config, journal=None, json=False) == 0

    assert "nobody would go elsewhere" in capsys.readouterr().out


@pytest.mark.parametrize("mode", ["enforce", "observe"])
def test_after_observing_it_says_what_enforcing_would_have_changed(
    config: Path, capsys: pytest.CaptureFixture[str], mode: str
) -> None:
    with closing(sqlite3.connect(config.with_name("history.journal.sqlite3"))) as connection, connection:
        connection.execute("UPDATE session SET pool = 'nice', route = NULL, would = 'hostile'")
    rules = '[[route]]\nwhen = "\'probes\' in lists"\nreply = "421 4.3.2 Later"\n[[route]]\nto = "hostile"\n'
    probes = '[[list]]\nname = "probes"\nkind = "points"\nnetworks = ["198.51.100.0/24"]\npoints = -3\n'
    config.write_text(f'mode = "{mode}"\n{POOLS}{probes}{rules}')

    assert command.run(config, journal=None, json=False) == 0

    said = " ".join(capsys.readouterr().out.split())
    assert "all of them were in observe mode, and sent to the first pool; here is where the rules would send" in said
    assert "nice 421 4.3.2 Later 0 100 0" in said
    assert "nice hostile 100 0 0" in said
    assert "of 100 good sessions 100.0% were sent to nice; 0.0% would be of 100 bad" in said
    assert "of 100 bad sessions 100.0% were sent to nice; 0.0% would be, and 100.0% would be turned away" in said


def test_scripts_read_the_same_as_json(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text(POOLS + PARTNERS)

    assert command.run(config, journal=None, json=True) == 0

    told = json.loads(capsys.readouterr().out)
    assert told["changes"] == [{"from": "hostile", "to": "nice", "good": 100, "bad": 0, "unknown": 0}]
    assert told["best_pool"]["name"] == "nice"
    assert told["best_pool"]["after"] == {"good": 100, "bad": 0, "unknown": 0}
    [better] = told["better"]
    assert (better["client"], better["score"], better["score_after"]) == ("192.0.2.1", 0.0, 20.0)
    assert (told["worse"], told["unreadable"], told["observed"], told["notes"]) == ([], 0, 0, [])
    assert told["turned_away"] == {"good": 0, "bad": 0, "unknown": 0}


def test_what_cannot_be_applied_to_the_past_is_said(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rules = '[[dnslist]]\nzone = "zen.example"\nreplies = { "127.0.0.2" = -10 }\n'
    rules += '[[route]]\nwhen = "pool_open > 3"\nto = "hostile"\n[[route]]\nto = "nice"\n'
    config.write_text(POOLS.replace("[history]", '[history]\ngood_half_life = "10d"') + rules)
    with closing(sqlite3.connect(config.with_name("history.journal.sqlite3"))) as connection, connection:
        connection.execute("UPDATE session SET facts = x'00' WHERE id = 1")

    command.run(config, journal=None, json=True)

    notes = json.loads(capsys.readouterr().out)["notes"]
    assert ["history.good_half_life" in notes[0], "zen.example" in notes[1], "pool_open" in notes[2]] == [True] * 3
    assert notes[3].startswith("1 recorded sessions cannot be read")


def test_a_bar_does_not_stand_in_the_way_of_the_answer(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "_QUIET", -1.0)
    monkeypatch.setenv("FORCE_COLOR", "1")  # standard error is a terminal

    assert command.run(config, journal=None, json=True) == 0

    said, bar = capsys.readouterr()
    assert json.loads(said)["recorded"] == 2
    assert "judging recorded sessions" in bar


def test_another_journal_can_be_named(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "history.journal.sqlite3").rename(tmp_path / "kept")

    assert command.run(config, journal=tmp_path / "kept", json=False) == 0
    assert "2 recorded sessions" in capsys.readouterr().out


def test_without_a_journal_it_says_where_it_looked(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journal = config.with_name("history.journal.sqlite3")
    journal.unlink()

    assert command.run(config, journal=None, json=False) == command.EX_NOINPUT
    assert f"journal {journal} is not there" in capsys.readouterr().err

    journal.write_bytes(b"no database" * 100)
    assert command.run(config, journal=None, json=False) == command.EX_NOINPUT
    assert "not a database" in capsys.readouterr().err


def test_an_empty_journal_is_no_failure(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    JournalTable(tmp_path / "empty").close()

    assert command.run(config, journal=tmp_path / "empty", json=False) == 0
    assert "no sessions are recorded" in capsys.readouterr().out


def test_mistakes_in_the_configuration_are_told(config: Path) -> None:
    config.write_text("[listen]\nsettled = 'no'\n")

    with pytest.raises(Mistaken):
        command.run(config, journal=None, json=False)


def test_nothing_that_was_recorded_reaches_the_terminal_unescaped(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(sqlite3.connect(config.with_name("history.journal.sqlite3"))) as connection, connection:
        connection.execute("UPDATE session SET pool = 'host\x1b[2Jile', reasons = '[red]\x07'")

    assert command.run(config, journal=None, json=False) == 0

    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "\x07" not in said
    assert "[red]" in said
