"""One stream of lines: whose line it is, what is counted, and whole logs of real Postfix and Exim."""

import json
from datetime import timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frontproxy.logs import Seen
from frontproxy.logs.reader import EXAMPLE_LENGTH, EXAMPLES, LINE_LIMIT
from frontproxy.wire.outcome_line import encode
from tests.logs.reading import SAMPLES, read, reader, session, smtpd

CONNECT = "connect from a.example[192.0.2.1]:4711"
DISCONNECT = "disconnect from a.example[192.0.2.1]:4711 ehlo=1 quit=1 commands=2"


def shown(seen: Seen) -> str:
    """As in the files of what is expected."""
    values = json.loads(encode(seen.line))
    del values["v"]
    return " ".join([json.dumps(values), seen.name or "-", seen.origin, seen.service])


@pytest.mark.parametrize("sample", sorted(SAMPLES.glob("*.log")), ids=lambda path: path.stem)
def test_a_real_log_tells_its_sessions(sample: Path) -> None:
    seen = read(sample.read_bytes().splitlines())

    assert [shown(each) for each in seen] == sample.with_suffix(".expected").read_text().splitlines()


@pytest.mark.parametrize("name", ["postfix_with_ports", "postfix_without_ports"])
def test_every_line_of_a_real_postfix_is_known(name: str) -> None:
    log = reader()
    for line in (SAMPLES / f"{name}.log").read_bytes().splitlines():
        log.read(line)

    assert log.not_understood == 0
    assert log.understood > 100
    assert log.ignored > 10
    assert log.lines == log.understood + log.ignored


def test_both_mail_servers_can_share_a_file() -> None:
    postfix = (SAMPLES / "postfix_with_ports.log").read_bytes().splitlines()
    exim = (SAMPLES / "exim_with_ends.log").read_bytes().splitlines()
    together = [line for pair in zip(postfix, exim, strict=False) for line in pair] + postfix[len(exim) :]

    assert len(read(together)) == len(read(postfix)) + len(read(exim))


@pytest.mark.parametrize(
    "head",
    [
        "Nov 22 20:11:17 mx postfix/smtpd[123]: ",
        "Nov  2 20:11:17 mx postfix/smtpd[123]: ",
        "Nov 22 20:11:17 mx.example.org postfix/nice/smtpd[123]: ",
        "Nov 22 20:11:17 mx smtp-in/smtpd[123]: ",
        "Nov 22 20:11:17 mx postfix/smtpd[123]: [ID 197553 mail.info] ",
        "Nov 22 20:11:17 <mail.info> mx postfix/smtpd[123]: ",
        "Nov 22 20:11:17 s_net@mx postfix/smtpd[123]: ",
        "<22>Nov 22 20:11:17 mx postfix/smtpd[123]: ",
        "2026-11-22T20:11:17+00:00 mx postfix/smtpd[123]: ",
        "2026-11-22T20:11:17.123456+00:00 mx postfix/smtpd[123]: ",
        "2026-11-22T20:11:17+0000 mx postfix/smtpd[123]: ",
        "2026-11-22T20:11:17Z mx postfix/smtpd[123]: ",
        "2026-11-22T20:11:17.123Z mx postfix/smtpd 123 - - ",
        "<22>1 2026-11-22T20:11:17.123Z mx postfix/smtpd 123 - - ",
        '<22>1 2026-11-22T20:11:17.123Z mx postfix/smtpd 123 ID47 [meta sequenceId="1"] ',
    ],
)
def test_a_line_is_known_by_the_head_that_its_syslog_daemon_gave_it(head: str) -> None:
    log = reader()

    assert log.read((head + CONNECT).encode()) is None
    seen = log.read((head + DISCONNECT).encode())

    assert seen is not None
    assert (seen.line.client, seen.line.port, seen.name) == ("192.0.2.1", 4711, "a.example")
    assert seen.service in {"postfix/smtpd", "postfix/nice/smtpd", "smtp-in/smtpd"}
    assert seen.origin.endswith(f"{seen.service}[123]")
    assert log.when == seen.line.ended


@pytest.mark.parametrize(
    "line",
    [
        "",
        "-- Logs begin at Mon 2026-11-02 --",
        f"Nov 22 20:11:17 mx dovecot: {CONNECT}",
        f"Nov 22 20:11:17 mx smtpd[123]: {CONNECT}",  # OpenSMTPD
        f"Nov 22 20:11:17 mx postfix/smtp[123]: {CONNECT}",
        f"Nov 22 20:11:17 mx kernel: postfix/smtpd[123]: {CONNECT}",
        f"Nov 22 20:11:17 mx sshd[1]: Invalid user mx postfix/smtpd[123]: {CONNECT}",
        "2026-11-22 20:11:17 1xVE1F-0006JV-1M Completed",
        "2026-11-22 20:11:17 1xVE1F-0006JV-1M => user <user@example.test> R=known T=nul",
    ],
)
def test_other_lines_tell_nothing(line: str) -> None:
    log = reader()

    assert log.read(line.encode()) is None
    assert (log.lines, log.ignored, log.not_understood) == (1, 1, 0)
    assert log.when == 0.0


def test_a_line_that_should_be_known_and_is_not_is_counted_with_a_short_example() -> None:
    log = reader()
    for line in smtpd(*["something new from unknown[192.0.2.1] " + "x" * 1000] * 20):
        log.read(line)

    assert log.not_understood == 20
    assert len(log.examples) == EXAMPLES
    assert {len(example) for example in log.examples} == {EXAMPLE_LENGTH}


def test_a_huge_line_is_not_read() -> None:
    log = reader()
    for line in session():
        log.read(line[:-1] + b"x" * 1_000_000 if b" connect" in line else line)

    assert log.not_understood == 1
    assert LINE_LIMIT < 1_000_000


def test_the_sample_is_read_alike_wherever_the_clock_is() -> None:
    lines = (SAMPLES / "postfix_with_ports.log").read_bytes().splitlines()
    here, there = reader(), reader(timezone(timedelta(hours=-5)))

    differences = {a.line.ended - b.line.ended for line in lines if (a := here.read(line)) and (b := there.read(line))}

    assert differences <= {0.0, -18000.0}


ANYTHING = st.one_of(
    st.binary(max_size=300),
    st.builds(
        lambda head, rest: head + rest, st.sampled_from(smtpd("", "connect from ", "disconnect from ")), st.binary()
    ),
    st.builds(
        lambda line, at, junk: line[:at] + junk + line[at:],
        st.sampled_from([line for path in SAMPLES.glob("*.log") for line in path.read_bytes().splitlines()]),
        st.integers(0, 200),
        st.binary(max_size=20),
    ),
)


@settings(max_examples=30)
@given(st.lists(ANYTHING, max_size=20))
def test_no_line_is_too_strange(lines: list[bytes]) -> None:
    log = reader()
    seen = [seen for line in lines if (seen := log.read(line))]

    assert log.lines == len(lines)
    assert log.lines == log.understood + log.ignored + log.not_understood
    for each in [*seen, *log.flush()]:
        assert encode(each.line)
