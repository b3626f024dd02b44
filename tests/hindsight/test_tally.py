"""What is counted by log, and how it is shown."""

import json

import pytest

from frontproxy.hindsight import shown, tally
from frontproxy.hindsight.events import LogRead
from frontproxy.hindsight.tally import Tally
from frontproxy.past import Learned


def two_logs() -> Tally:
    found = Tally()
    for name in ("mail.log.1", "mail.log"):
        found.heard(LogRead(log=name, size=100))
    found.learned(Learned(["learned", "told"], {"192.0.2.1": "stranger", "192.0.2.2": "bad name"}))
    found.heard(LogRead(log="mail.log.1", lines=9, sessions=4, loopback=2, done=True))
    found.learned(Learned(["learned", "live"], {"192.0.2.1": "friend", "192.0.2.3": "stranger"}))
    found.heard(LogRead(log="mail.log", lines=5, sessions=2, examples=["\\x1b[31m"], not_understood=1))
    return found


def answer(found: Tally, why: str = "") -> shown.Answer:
    return shown.answer_of(found, dry_run=False, copy=None, why=why)


def test_a_client_is_counted_with_the_log_that_names_it_first_as_it_is_in_the_end() -> None:
    first, second = answer(two_logs())["logs"]

    assert (first["clients"], first["friends"], first["bad_names"]) == (2, 1, 1)
    assert (second["clients"], second["friends"], second["bad_names"]) == (1, 0, 0)


def test_every_session_is_learned_or_left_out() -> None:
    found = answer(two_logs())

    for log in (*found["logs"], found["total"]):
        assert log["sessions"] == log["learned"] + sum(log["left_out"].values())
    assert found["total"]["left_out"] == {"told": 1, "live": 1, "loopback": 2}


def test_a_log_that_was_not_read_to_its_end_is_not_complete() -> None:
    assert [log["complete"] for log in answer(two_logs())["logs"]] == [True, False]
    assert not answer(two_logs(), "stopped")["ok"]


def test_clients_are_told_apart_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally, "CLIENTS_LIMIT", 2)
    found = two_logs()

    assert answer(found)["total"]["clients"] == 2
    assert not answer(found)["all_clients_counted"]


def test_the_table_holds_all_of_it_and_the_answer_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    found = answer(two_logs())
    found["logs"][0]["log"] = "mail\x1b[2J.log"

    shown.show(json.loads(json.dumps(found)))

    text = capsys.readouterr().out
    assert "\x1b" not in text
    for words in (
        "mail\\x1b[2J.log",
        "mail.log (in part)",
        "told by a log before",
        "not understood in mail.log",
        "all",
    ):
        assert words in text
