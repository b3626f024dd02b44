"""Exim's sessions, put together by address and port."""

import pytest

from frontproxy.logs import Seen, exim
from tests.logs.reading import LATER, read, reader

WHO = "(mail.example.org) [192.0.2.1]:4711"


def lines(*texts: str, time: str = "2026-11-22 20:11:17") -> list[bytes]:
    """Lines of the main log; WHO in the texts is the client."""
    return [f"{time} {text.replace('WHO', WHO)}".encode() for text in texts]


def told(*texts: str) -> Seen:
    """The one session of these lines."""
    (seen,) = read(lines(*texts))
    return seen


ACCEPTED = "1xVE1F-0006JV-1M <= s@example.org H=WHO P=esmtp S=235"
QUIT = "SMTP connection from WHO closed by QUIT"
BEGUN = "SMTP connection from [192.0.2.1]:4711 (TCP/IP connection count = 1)"


@pytest.mark.parametrize(
    ("text", "name", "authenticated"),
    [
        (ACCEPTED, "", 0),
        (ACCEPTED.replace("1xVE1F-0006JV-1M", "1xVE1F-000000006JV-1M2f"), "", 0),
        (ACCEPTED.replace("s@example.org", "<>"), "", 0),
        (ACCEPTED.replace("WHO", "mail.example.org [192.0.2.1]:4711"), "mail.example.org", 0),
        (ACCEPTED.replace("WHO", "mail.example.org (helo) [192.0.2.1]:4711"), "mail.example.org", 0),
        (ACCEPTED.replace("WHO", "([192.0.2.1]) [192.0.2.1]:4711 I=[198.51.100.25]:25"), "", 0),
        (ACCEPTED.replace("P=esmtp", "P=esmtpsa X=TLS1.3:ECDHE:256 CV=no A=plain:joe"), "", 1),
        (ACCEPTED.replace("P=esmtp", "P=esmtps X=TLS1.3:ECDHE:256 CV=no"), "", 0),
    ],
)
def test_a_message_is_told_with_its_client(text: str, name: str, authenticated: int) -> None:
    seen = told(text)

    assert (seen.line.client, seen.line.port, seen.line.messages) == ("192.0.2.1", 4711, 1)
    assert (seen.name, seen.line.auth_good, seen.service, seen.origin) == (
        name,
        authenticated,
        "exim",
        "exim [192.0.2.1]:4711",
    )


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("rejected RCPT <a@b>: Unrouteable address", (1, 0, 0)),
        ("rejected RCPT <a@b>: Unknown user", (1, 0, 0)),
        ("rejected RCPT <a@b>: relay not permitted", (1, 1, 0)),
        ("rejected RCPT <a@b>: 192.0.2.1 is listed at bl.example", (1, 0, 1)),
        ("temporarily rejected RCPT <a@b>: Unrouteable address", (0, 0, 0)),
        ("rejected after DATA: spam", (0, 0, 0)),
    ],
)
def test_a_refusal_is_known_by_exims_words(text: str, kinds: tuple[int, int, int]) -> None:
    line = told(f"H=WHO F=<s@example.org> {text}").line

    assert (line.refused, line.relay, line.policy) == kinds
    assert line.content_refused == ("DATA" in text)


@pytest.mark.parametrize(
    ("text", "end", "stage"),
    [
        (QUIT, "quit", "command"),
        ("SMTP connection from WHO lost D=0s", "lost", "command"),
        ("SMTP connection from WHO lost while reading message data", "lost", "data"),
        ("unexpected disconnection while reading SMTP command from WHO D=0s", "lost", "command"),
        ("SMTP command timeout on connection from WHO", "timeout", "command"),
        ("SMTP data timeout (message abandoned) on connection from WHO F=<a@b>", "timeout", "data"),
        ('SMTP call from WHO dropped: too many nonmail commands (last was "NOOP")', "errors", "command"),
        ('H=WHO rejected connection in "connect" ACL: go away', "refused", "connect"),
    ],
)
def test_an_end_that_is_logged_ends_the_session_at_once(text: str, end: str, stage: str) -> None:
    log = reader()
    seen = [log.read(line) for line in (*lines(ACCEPTED, text, ACCEPTED), LATER)]

    assert seen[1] is not None
    assert (seen[1].line.end, seen[1].line.stage, seen[1].line.messages) == (end, stage, 1)
    assert seen[3] is not None
    assert seen[3].line.messages == 1


def test_an_end_that_is_not_logged_is_a_minute_without_lines() -> None:
    log = reader()
    (first,), (near,), (far,) = (lines(ACCEPTED, time=f"2026-11-22 20:{time}") for time in ("11:17", "12:10", "13:10"))
    other = far.replace(b"192.0.2.1", b"192.0.2.2")

    assert [log.read(line) for line in (first, near)] == [None, None]
    seen = log.read(other)

    assert seen is not None
    assert (seen.line.client, seen.line.messages, seen.line.end) == ("192.0.2.1", 2, "quit")


def test_where_ends_are_logged_a_quiet_session_goes_on() -> None:
    log = reader()
    early, late = lines(BEGUN, ACCEPTED), lines(ACCEPTED, QUIT, time="2026-11-22 20:15:00")

    assert [log.read(line) for line in (*early, late[0])] == [None, None, None]
    seen = log.read(late[1])

    assert seen is not None
    assert seen.line.messages == 2


def test_early_talk_and_bad_manners_are_told() -> None:
    early = (
        "SMTP protocol synchronization error (input sent without waiting for greeting): rejected connection from H=WHO"
    )

    assert told(early + ' input="EHLO x\\r\\n"').line.early
    assert told("rejected EHLO from WHO: syntactically invalid argument(s): x y", QUIT).line.bad_commands == 1
    assert told('SMTP call from WHO dropped: too many unrecognized commands (last was "C: d")').line.bad_commands == 4
    assert (
        told("plain authenticator failed for WHO: 535 Incorrect authentication data (set_id=joe)").line.auth_failed == 1
    )


def test_bounces_are_told_as_such() -> None:
    assert told("H=WHO F=<> rejected RCPT <a@b>: Unrouteable address").line.null_sender


def test_lines_of_exim_in_a_syslog_are_read_too() -> None:
    heads = ["Nov 22 20:11:17 mx exim[99]: ", "Nov 22 20:11:17 mx exim4[99]: 2026-11-22 20:11:17 "]

    for head in heads:
        (seen,) = read([(head + text.replace("WHO", WHO)).encode() for text in (ACCEPTED, QUIT)])
        assert (seen.line.messages, seen.origin) == (1, "mx exim [192.0.2.1]:4711")


def test_of_too_many_sessions_those_silent_longest_are_told_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exim, "SESSIONS", 3)
    log = reader()

    seen = [log.read(line) for port in range(1, 6) for line in lines(ACCEPTED.replace("WHO", f"[192.0.2.1]:{port}"))]

    assert [each.line.port if each else None for each in seen] == [None, None, None, 1, 2]


UNKNOWN = "H=WHO F=<s@example.org> rejected RCPT <a@b>: Unknown user"


def test_where_ends_are_not_logged_what_goes_on_is_told_in_parts() -> None:
    log = reader()

    much = [seen for line in lines(*[UNKNOWN] * 200) if (seen := log.read(line))]
    assert [seen.line.refused for seen in much] == [exim.MUCH] * 9
    times = [f"2026-11-22 21:{second // 60:02}:{second % 60:02}" for second in range(0, 3000, 50)]
    long = [seen for time in times for line in lines(ACCEPTED, time=time) if (seen := log.read(line))]
    assert [seen.line.messages for seen in long[1:]] == [12] * 4


def test_where_ends_are_logged_a_session_is_one_however_much_happens() -> None:
    (seen,) = read(lines(BEGUN, *[UNKNOWN] * 200, QUIT))

    assert seen.line.refused == 200


@pytest.mark.parametrize("seconds", ["17", "59"])
def test_a_session_that_may_go_on_is_not_told_at_the_end_of_a_log(seconds: str) -> None:
    log = reader()
    for line in lines(ACCEPTED, time="2026-11-22 20:11:17") + lines(BEGUN, time=f"2026-11-22 20:11:{seconds}"):
        assert log.read(line) is None

    assert list(log.flush()) == []


@pytest.mark.parametrize(
    ("sender", "recipient", "words", "kinds"),
    [
        ('"spam"@b.example', "x@example.test", "550 5.1.1 Unknown user", (1, 0)),
        ('"spam"@b.example', "x@other.example", "relay not permitted", (1, 1)),
        ('"a\\"> rejected RCPT <a>: list"@b.example', "x@other.example", "relay not permitted", (1, 1)),
        ('"x> rejected RCPT <a: policy H=[192.0.2.9]:5"@b.example', "x@o.example", "relay not permitted", (1, 1)),
        ("s@b.example", '"x\\"> \\\\>: "@other.example', "relay not permitted", (1, 1)),
        ("s@b.example", '"x>: Unknown user"@other.example', "relay not permitted", (1, 1)),
    ],
)
def test_quotes_in_addresses_excuse_nobody(sender: str, recipient: str, words: str, kinds: tuple[int, int]) -> None:
    seen = told(f"H=WHO F=<{sender}> rejected RCPT <{recipient}>: {words}")

    assert (seen.line.client, seen.line.refused, seen.line.relay) == ("192.0.2.1", *kinds)
    content = told(f"1xVE1F-0006JV-1M H=WHO F=<{sender}> rejected after DATA: spam")
    assert (content.line.client, content.line.content_refused) == ("192.0.2.1", 1)


@pytest.mark.parametrize(
    "recipient", ["x@o.example", '"x y"@o.example', '"a: <b>"=<x@o.example>', '<x(comment "a)@o.example>', "<@a:x@b>"]
)
def test_an_odd_recipient_excuses_nobody(recipient: str) -> None:
    line = told(f"H=WHO F=<s@b.example> rejected RCPT {recipient}: relay not permitted").line

    assert (line.refused, line.relay) == (1, 1)


DISCARDED = "H=WHO F=<s@example.org> RCPT <disc@example.test>: discarded by RCPT ACL"
AWAY = "1xVE1F-0006JV-1M => blackhole (RCPT ACL discarded recipients)"


@pytest.mark.parametrize(
    ("texts", "messages"),
    [
        ([DISCARDED, ACCEPTED, AWAY, QUIT], 0),
        ([ACCEPTED, AWAY.replace("RCPT ACL", "DATA ACL") + ": thrown away", QUIT], 0),
        ([DISCARDED, ACCEPTED, QUIT], 1),
        ([ACCEPTED.replace("-1M", "-1N"), DISCARDED, ACCEPTED, AWAY, QUIT], 1),
        ([ACCEPTED, AWAY, AWAY, ACCEPTED, QUIT], 1),
        ([ACCEPTED, AWAY.replace("-1M", "-1N"), QUIT], 1),
        ([ACCEPTED, "1xVE1F-0006JV-1M => blackhole <blackhole@example.test> R=local T=local", QUIT], 1),
    ],
)
def test_what_is_thrown_away_is_neither_good_nor_bad(texts: list[str], messages: int) -> None:
    log = reader()
    (seen,) = [seen for line in lines(*texts) if (seen := log.read(line))]

    assert (seen.line.messages, seen.line.refused, seen.line.content_refused) == (messages, 0, 0)
    assert log.not_understood == 0
    assert log._exim._messages == {}
