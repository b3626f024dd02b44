"""The reading program: what it tells of logs, in batches that fit into a request."""

import io
import time
from pathlib import Path

import pytest

from frontproxy.hindsight.events import LogRead
from frontproxy.hindsight.names import LogNames
from frontproxy.hindsight.reading import Reading
from frontproxy.past import BATCH_LIMIT, PastSession, decode_batch

NOW = time.time()
TODAY = time.strftime("%Y-%m-%dT", time.localtime(NOW - 86400))


def session(number: int, client: str = "192.0.2.1", service: str = "smtpd", process: int = 7) -> str:
    moment = (
        f"{TODAY}{number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}+00:00 mx postfix/{service}[{process}]:"
    )
    at = f"mail.example.com[{client}]:{2000 + number}"
    return (
        f"{moment} connect from {at}\n{moment} A{number:09}: client={at}\n"
        f"{moment} disconnect from {at} ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5\n"
    )


@pytest.fixture(scope="module")
def names() -> LogNames:
    return LogNames()


def read(names: LogNames, *logs: Path) -> tuple[list[LogRead], list[PastSession]]:
    """The last word about each log, and the sessions."""
    output = io.BytesIO()
    Reading(output, now=NOW, names=names).run([str(log) for log in logs])
    told: dict[str, LogRead] = {}
    sessions: list[PastSession] = []
    for line in output.getvalue().splitlines():
        if line.startswith(b"["):
            assert len(b"learn " + line) < 4096
            sessions += decode_batch(line)
        else:
            event = LogRead.of(line)
            told[event.log] = event
    return list(told.values()), sessions


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_sessions_come_in_batches_with_their_names_and_keys(tmp_path: Path, names: LogNames) -> None:
    log = written(tmp_path / "log", "".join(map(session, range(100))))

    [told], sessions = read(names, log)

    assert (told.lines, told.sessions, told.done, told.trouble) == (300, 100, True, "")
    assert told.position == told.size == log.stat().st_size
    assert len({found.key for found in sessions}) == 100
    first = sessions[0]
    assert (first.line.client, first.line.port, first.line.messages) == ("192.0.2.1", 2000, 1)
    assert first.name is not None
    assert (first.name.domain, first.name.until) == ("example.com", first.line.ended)


def test_a_session_that_goes_on_in_the_next_log_is_one(tmp_path: Path, names: LogNames) -> None:
    lines = session(1).splitlines(keepends=True)
    lines[2] = lines[2].replace(":01+", ":09+")
    first, second = written(tmp_path / "1", "".join(lines[:2])), written(tmp_path / "2", lines[2])

    _told, parts = read(names, second, first)
    _told, whole = read(names, written(tmp_path / "0", "".join(lines)))

    assert parts == whole
    assert whole[0].line.messages == 1


def test_a_log_that_is_read_from_its_middle_gives_the_same_keys(tmp_path: Path, names: LogNames) -> None:
    text = "".join(map(session, range(20)))
    _told, whole = read(names, written(tmp_path / "whole", text))
    _told, tail = read(names, written(tmp_path / "tail", text[len(text) // 2 :]))

    assert 8 < len(tail) < 12
    assert {found.key for found in tail} < {found.key for found in whole}


def test_a_line_without_its_end_is_not_read_yet(tmp_path: Path, names: LogNames) -> None:
    [told], sessions = read(names, written(tmp_path / "log", session(1)[:-20]))

    assert (told.sessions, sessions) == (0, [])


@pytest.mark.parametrize("client", ["127.0.0.1", "127.9.9.9", "::1", "unknown"])
def test_this_machine_is_nobodys_client(tmp_path: Path, names: LogNames, client: str) -> None:
    [told], sessions = read(names, written(tmp_path / "log", session(1, client)))

    assert sessions == []
    assert told.loopback == told.sessions


@pytest.mark.parametrize("service", ["submission/smtpd", "smtps/smtpd", "submissions/smtpd"])
def test_users_who_authenticate_are_left_out(tmp_path: Path, names: LogNames, service: str) -> None:
    [told], sessions = read(names, written(tmp_path / "log", session(1, service=service)))

    assert (told.authenticated, sessions) == (1, [])


def test_a_file_that_is_no_mail_log_is_told(tmp_path: Path, names: LogNames) -> None:
    [told], _sessions = read(names, written(tmp_path / "log", "hello\nworld\n"))

    assert (told.code, told.done) == (65, True)
    assert "is it a mail log?" in told.trouble


def test_examples_of_what_was_not_understood_are_escaped(tmp_path: Path, names: LogNames) -> None:
    lines = session(1) + f"{TODAY}10:00:00+00:00 mx postfix/smtpd[7]: disconnect from \x1b[31m\u202e\n"

    [told], _sessions = read(names, written(tmp_path / "log", lines))

    assert told.not_understood == len(told.examples) == 1
    assert told.examples[0].isascii()
    assert "\\x1b[31m" in told.examples[0]


def test_examples_are_of_the_log_that_they_are_shown_with(tmp_path: Path, names: LogNames) -> None:
    odd = [f"{TODAY}10:00:{second:02}+00:00 mx postfix/smtpd[7]: disconnect from {second}\n" for second in range(20)]
    logs = (
        written(tmp_path / "1", session(1) + "".join(odd[:10])),
        written(tmp_path / "2", "".join(odd[10:]) + session(2)),
    )

    told, _sessions = read(names, *logs)

    assert [log.not_understood for log in told] == [10, 10]
    assert [[int(example.split()[-1]) for example in log.examples] for log in told] == [[0, 1, 2], [10, 11, 12]]


def test_a_log_that_has_grown_adds_only_what_is_new(tmp_path: Path, names: LogNames) -> None:
    text = "".join(
        f"{TODAY[:10]} 10:{second // 60:02}:{second % 60:02} 1xVE1F-0006JV-{second:02} <= a@example.org "
        f"H=(x) [192.0.2.{second % 7 if second < 400 else second % 2}]:4711 P=esmtp S=235\n"
        for second in range(0, 900, 9)
        if second // 100 % 2
    )
    whole = {found.key: found for found in read(names, written(tmp_path / "log", text))[1]}
    lines = text.splitlines(keepends=True)

    for end in range(1, len(lines)):
        part = read(names, written(tmp_path / "log", "".join(lines[:end])))[1]
        assert {found.key: found for found in part}.items() <= whole.items()
    assert len(whole) > 10


def test_a_line_of_any_length_costs_no_memory_and_the_next_is_read(tmp_path: Path, names: LogNames) -> None:
    [told], sessions = read(names, written(tmp_path / "log", "x" * 3_000_000 + "\n" + session(1)))

    assert (told.lines, len(sessions)) == (4, 1)


def test_a_batch_leaves_room_for_its_verb() -> None:
    assert BATCH_LIMIT + len("learn ") + 2 < 4096
