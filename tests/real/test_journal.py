"""The journal of a running frontproxy: sessions are judged anew, lessons taken back, and kill -9 leaves it readable."""

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from frontproxy.memory.journal_rows import Entry, entry_from
from frontproxy.memory.journal_table import read_sessions, summary
from frontproxy.preview import command
from tests.real.house import CONFIG, House, wait_for

FRIENDS = ["127.1.0.1", "127.1.0.2", "127.2.0.1"]
STRANGER = "127.9.0.1"


@pytest.fixture
def disk(folder: Path) -> Iterator[Path]:
    """The folder of history and journal, on a disk of 4 MB. To be named before `build`, which must end first."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    small = folder / "var"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(small)], check=True)
    yield small
    subprocess.run(["umount", str(small)], check=True)


def journal(house: House) -> Path:
    return house.folder / "var/history.journal.sqlite3"


def recorded(house: House) -> list[Entry]:
    return [entry_from(row) for rows in read_sessions(journal(house)) for row in rows]


def wait_for_sessions(house: House, count: int) -> None:
    wait_for(lambda: summary(journal(house))[0] >= count, f"{count} recorded sessions")


def preview(house: House, text: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What `frontproxy preview` tells of another configuration."""
    new = house.folder / "new.toml"
    new.write_text(text)
    assert command.run(new, journal=None, json=True) == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    return told


def scores(house: House) -> list[float]:
    return [house.score(friend) for friend in FRIENDS]


def refuse(house: House, client: str) -> None:
    """A session all of whose recipients are refused."""
    with house.smtp(client) as session:
        session.ehlo()
        session.mail("me@example.org")
        for _recipient in range(3):
            code, _text = session.rcpt("user@example.com")
            assert code == 550


def test_undo_takes_a_lost_recipient_table_back(house: House) -> None:
    for friend in FRIENDS:
        house.befriend(friend, 6)
    before = scores(house)
    moment = datetime.now(UTC).isoformat()
    (house.folder / "recipients").write_text("you\n")
    assert house.ask("reload")["ok"]
    for friend in FRIENDS:
        refuse(house, friend)
        refuse(house, friend)
        house.wait_for_outcomes(friend, 8)
    assert max(scores(house)) < min(before) - 3

    found = house.ask(f"undo --since {moment}")

    assert (found["ok"], found["sessions"], found["clients"]) == (True, 6, 3)
    assert scores(house) == pytest.approx(before, abs=0.01)
    assert house.ask(f"undo --since {moment}")["sessions"] == 0
    before_the_journal = house.ask("undo --since 1d")
    assert before_the_journal["sessions"] == 18
    assert before_the_journal["since"] > datetime.now(UTC).timestamp() - 3600
    house.deliver(FRIENDS[0], "you@example.com")


def test_preview_tells_who_would_go_elsewhere(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    for friend in FRIENDS:
        house.befriend(friend)
    house.deliver(STRANGER)
    house.wait_for_outcomes(STRANGER, 1)
    wait_for_sessions(house, 31)

    assert preview(house, CONFIG, capsys)["changes"] == []
    partners = '[[list]]\nname = "partners"\nkind = "points"\nnetworks = ["127.9.0.0/16"]\npoints = 20\n'
    told = preview(house, CONFIG + partners, capsys)
    assert told["changes"] == [{"from": "hostile", "to": "nice", "good": 1, "bad": 0, "unknown": 0}]
    assert [client["client"] for client in told["better"]] == [STRANGER]
    stern = preview(
        house, CONFIG.replace("[listen]", "[listen]\nsettled = 50", 1) + '[[route]]\nto = "hostile"\n', capsys
    )
    assert {client["client"] for client in stern["worse"]} == set(FRIENDS)
    assert stern["best_pool"]["before"]["good"] > 10
    assert stern["best_pool"]["after"]["good"] == 0


def test_after_observing_preview_tells_what_enforcing_would_have_changed(
    build: Callable[..., House], capsys: pytest.CaptureFixture[str]
) -> None:
    house = build(f'mode = "observe"\n{CONFIG}').start()
    for sessions in (10, 20):  # the last ten when the first were learned
        house.befriend(FRIENDS[0])
        wait_for_sessions(house, sessions)

    assert {entry.pool for entry in recorded(house)} == {"nice"}
    strangers = [entry for entry in recorded(house) if entry.would == "hostile"]
    assert 0 < len(strangers) <= 10
    told = preview(house, CONFIG, capsys)
    assert told["changes"] == [{"from": "nice", "to": "hostile", "good": len(strangers), "bad": 0, "unknown": 0}]
    assert told["best_pool"]["before"]["good"] == told["observed"] == 20
    assert told["best_pool"]["after"]["good"] == 20 - len(strangers)
    assert [client["client"] for client in told["worse"]] == [FRIENDS[0]]


def test_kill_9_leaves_a_journal_that_goes_on(build: Callable[..., House]) -> None:
    house = build().start()
    house.befriend(FRIENDS[0])
    wait_for_sessions(house, 10)
    house.kill(signal.SIGKILL)
    house.wait()

    house.start()
    house.deliver(STRANGER)
    house.wait_for_outcomes(STRANGER, 1)
    wait_for_sessions(house, 11)

    assert [entry.end.good > 0 for entry in recorded(house)] == [True] * 11
    readiness = house.ask("status")["readiness"]
    assert (readiness["sessions"], readiness["good"], readiness["outcome_share"]) == (11, 11, 1.0)
    assert readiness["friend_share"] == pytest.approx(0.5, abs=0.3)
    assert readiness["enough"] is False
    assert "of 7" in readiness["text"]
    assert house.ask("status")["alarms"] == []


def test_a_full_disk_costs_no_mail_and_is_told(disk: Path, build: Callable[..., House]) -> None:
    house = build(CONFIG + 'delivery = "maildir:mail"\n').start()
    house.deliver(STRANGER)
    filler = disk / "filler"
    with pytest.raises(OSError, match="No space left"):
        filler.write_bytes(bytes(8_000_000))

    house.befriend(FRIENDS[0], 5)

    wait_for(lambda: "the journal cannot be written" in str(house.ask("status")["alarms"]), "an alarm")
    filler.unlink()
    wait_for(lambda: house.events("journal", state="recovered"), "room on the disk")
    assert summary(journal(house))[0] == 6
    house.stop()


def test_a_reload_loses_nothing(house: House) -> None:
    house.befriend(FRIENDS[0], 3)
    assert house.ask("reload")["ok"]
    house.befriend(FRIENDS[0], 4)
    wait_for_sessions(house, 4)
    assert house.stop() == 0

    assert len(recorded(house)) == len(house.events("handover")) >= 4


def test_a_damaged_journal_costs_no_mail(build: Callable[..., House]) -> None:
    house = build()
    journal(house).parent.mkdir()
    journal(house).write_bytes(b"damaged" * 1000)

    house.start()
    house.befriend(FRIENDS[0], 1)

    wait_for_sessions(house, 1)
    assert "begins anew" in house.events("journal")[0]
    assert len(list(journal(house).parent.glob("*.set-aside-*"))) == 1
