"""Postfix' sessions, put together from lines: what is told, what is not, and that nothing grows."""

import pytest

from frontproxy.logs import postfix
from tests.logs.reading import HEAD, RELAY, UNKNOWN, read, reader, refused, session, smtpd, told

QMGR = "Nov 22 20:11:17 mx postfix/qmgr[88]: "
CLEANUP = "Nov 22 20:11:17 mx postfix/cleanup[77]: "
GOOD = " ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5"
CLIENT = "unknown[192.0.2.1]:4711"


def test_an_accepted_message_is_one_that_was_opened_and_whose_data_succeeded() -> None:
    outcome = told("5437A21E209: client=CLIENT", summary=GOOD)

    assert (outcome.messages, outcome.recipients, outcome.end) == (1, 1, "quit")
    assert told(summary=GOOD).messages == 0
    assert told("5437A21E209: client=CLIENT", summary=GOOD.replace("data=1", "data=0/1")).messages == 0


def test_more_messages_are_never_told_than_the_summary_has() -> None:
    assert told(*["5437A21E209: client=CLIENT"] * 9, summary=GOOD.replace("data=1", "data=3/9")).messages == 3


def test_what_was_refused_comes_from_the_codes_and_not_from_the_counts() -> None:
    outcome = told(refused(*UNKNOWN), refused(*RELAY), summary=" ehlo=1 mail=1 rcpt=0/99 quit=1 commands=3/101")

    assert (outcome.refused, outcome.relay, outcome.policy) == (2, 1, 0)


@pytest.mark.parametrize(
    ("codes", "words", "kinds"),
    [
        (*UNKNOWN, (1, 0, 0)),
        ("550 5.1.1", "Recipient address rejected: undeliverable address: no such user", (1, 0, 0)),
        (*RELAY, (1, 1, 0)),
        ("554 5.7.1", "Sender address rejected: Access denied", (1, 0, 1)),
        ("550 5.7.23", "Message rejected due to: SPF fail", (1, 0, 1)),
        ("550 5.1.8", "Sender address rejected: Domain not found", (1, 0, 1)),
        ("550", "User unknown", (1, 0, 1)),  # before 2.3
        ("552 5.2.2", "Recipient address rejected: mailbox full", (0, 0, 0)),
        ("450 4.7.1", "Recipient address rejected: Greylisted", (0, 0, 0)),
        ("451 4.3.5", "Server configuration error", (0, 0, 0)),
        ("450 5.1.1", "soft_bounce", (0, 0, 0)),
        ("454 4.7.1", "Relay access denied", (0, 0, 0)),
    ],
)
def test_a_refusal_is_known_by_its_codes(codes: str, words: str, kinds: tuple[int, int, int]) -> None:
    outcome = told(refused(codes, words))

    assert (outcome.refused, outcome.relay, outcome.policy) == kinds


def test_bounces_are_told_as_such_only_if_all_refused_recipients_were_theirs() -> None:
    assert told(refused(*UNKNOWN, sender=""), refused(*UNKNOWN, sender="")).null_sender
    assert not told(refused(*UNKNOWN, sender=""), refused(*UNKNOWN)).null_sender


def test_a_session_that_the_log_has_no_beginning_of_is_not_told() -> None:
    assert read(session("5437A21E209: client=CLIENT", summary=GOOD)[1:]) == []


def test_a_session_without_an_end_is_not_told() -> None:
    assert read(session("5437A21E209: client=CLIENT", summary=GOOD)[:-1]) == []


def test_a_process_that_is_used_again_begins_anew() -> None:
    killed = session(refused(*UNKNOWN))[:-1]

    (seen,) = read([*killed, *session()])

    assert seen.line.refused == 0


def test_processes_of_the_same_number_on_two_hosts_are_two() -> None:
    here = session(refused(*UNKNOWN))
    there = [line.replace(b" mx ", b" mx2 ") for line in session(client="b.example[192.0.2.2]:4712")]

    seen = read([line for pair in zip(here, [*there, b""], strict=True) for line in pair])

    assert [(each.line.client, each.line.refused, each.origin[:4].strip()) for each in seen] == [
        ("192.0.2.2", 0, "mx2"),
        ("192.0.2.1", 1, "mx p"[:4].strip()),
    ]


def test_the_services_name_is_told() -> None:
    head = HEAD.replace("postfix/smtpd", "postfix/submission/smtpd")
    lines = smtpd(f"connect from {CLIENT}", f"disconnect from {CLIENT} commands=0/0", head=head)

    assert [seen.service for seen in read(lines)] == ["postfix/submission/smtpd"]


@pytest.mark.parametrize(
    ("client", "address", "port", "name"),
    [
        ("mail.example.org[192.0.2.1]:4711", "192.0.2.1", 4711, "mail.example.org"),
        ("mail.example.org[192.0.2.1]", "192.0.2.1", 0, "mail.example.org"),
        ("unknown[2001:db8::7]:4711", "2001:db8::7", 4711, ""),
        ("unknown[::ffff:192.0.2.1]:4711", "192.0.2.1", 4711, ""),
        ("unknown[fe80::1%eth0]:4711", "fe80::1", 4711, ""),
        ("unknown[192.0.2.1]:unknown", "192.0.2.1", 0, ""),
        ("unknown[192.0.2.1]:99999", "192.0.2.1", 0, ""),
        ("localhost[127.0.0.1]:4711", "127.0.0.1", 4711, "localhost"),
        ("localhost[::1]", "::1", 0, "localhost"),
    ],
)
def test_a_client_is_told_as_it_was_logged(client: str, address: str, port: int, name: str) -> None:
    (seen,) = read(session(client=client))

    assert (seen.line.client, seen.line.port, seen.name) == (address, port, name)


@pytest.mark.parametrize(
    "client", ["unknown[unknown]", "unknown[unknown]:unknown", "unknown[192.0.2.999]", "unknown[1]:25"]
)
def test_a_client_without_an_address_is_not_told(client: str) -> None:
    assert read(session(client=client)) == []


@pytest.mark.parametrize(
    ("text", "end", "stage"),
    [
        ("lost connection after CONNECT from CLIENT", "lost", "connect"),
        ("lost connection after RCPT from CLIENT", "lost", "command"),
        ("lost connection after DATA (12 bytes) from CLIENT", "lost", "data"),
        ("lost connection after BDAT from CLIENT", "lost", "data"),
        ("timeout after CONNECT from CLIENT", "timeout", "connect"),
        ("timeout after EHLO from CLIENT", "timeout", "command"),
        ("timeout after END-OF-MESSAGE from CLIENT", "timeout", "data"),
        ("timeout after DATA (approximately 100 bytes) from CLIENT", "timeout", "data"),
        ("too many errors after UNKNOWN from CLIENT", "errors", "command"),
        ("warning: Connection rate limit exceeded: 9 from CLIENT for service smtp", "refused", "command"),
        (
            "NOQUEUE: reject: CONNECT from CLIENT: 554 5.7.1 <CLIENT>: Client host rejected; proto=SMTP",
            "refused",
            "command",
        ),
        ("NOQUEUE: reject: RCPT from CLIENT: 421 4.7.1 go away; from=<> to=<x> proto=SMTP", "refused", "command"),
        ("warning: non-SMTP command from CLIENT: Foo bar", "errors", "command"),
        ("", "lost", "command"),
    ],
)
def test_how_it_ended_is_told(text: str, end: str, stage: str) -> None:
    outcome = told(*[text] if text else [], summary=" ehlo=1 commands=1")

    assert (outcome.end, outcome.stage) == (end, stage)


@pytest.mark.parametrize(
    ("said", "is_http"),
    [
        ("GET / HTTP/1.1", True),
        ("POST /", True),
        ("CONNECT a:25 HTTP/1.0", True),
        ("From: x", False),
        ("getting /", False),
    ],
)
def test_http_is_known_by_its_verbs(said: str, is_http: bool) -> None:
    outcome = told(f"warning: non-SMTP command from CLIENT: {said}", summary=" unknown=0/2 commands=0/2")

    assert (outcome.http, outcome.bad_commands) == (is_http, 2)


def test_only_talk_before_the_greeting_is_early() -> None:
    assert told("improper command pipelining after CONNECT from CLIENT: EHLO x\\r\\n").early
    assert not told("improper command pipelining after EHLO from CLIENT: MAIL FROM:<>\\r\\n").early


def test_users_that_authenticate_and_those_that_fail_are_told() -> None:
    failed = "warning: CLIENT: SASL PLAIN authentication failed: UGFzc3dvcmQ6, sasl_username=joe"
    ours = "warning: CLIENT: SASL LOGIN authentication failed: Connection lost to authentication server"

    outcome = told(failed, failed, ours, "2CF7B21E20F: client=CLIENT, sasl_method=PLAIN, sasl_username=joe")

    assert (outcome.auth_failed, outcome.auth_good) == (2, 1)


CONTENT = (
    f"{CLEANUP}5437A21E209: reject: header Subject: pills from {CLIENT}; from=<a@b> to=<c@d> proto=ESMTP: 5.7.1 no"
)
MILTER = f"{CLEANUP}5437A21E209: milter-reject: END-OF-MESSAGE from unknown[192.0.2.1]: 5.7.1 spam; from=<a@b> to=<c@d>"


@pytest.mark.parametrize(
    ("line", "summary", "refused_messages"),
    [
        (CONTENT, " data=0/1 quit=1 commands=3/4", 1),
        (CONTENT.replace("header", "body"), " data=0/1 quit=1 commands=3/4", 1),
        (MILTER, " data=0/1 quit=1 commands=3/4", 1),
        (MILTER.replace("5.7.1", "4.7.1"), " data=0/1 quit=1 commands=3/4", 0),
        (CONTENT, GOOD, 0),
        (CONTENT.replace("5437A21E209", "5437A21E208"), " data=0/1 quit=1 commands=3/4", 0),
        (CONTENT.replace(" mx ", " mx2 "), " data=0/1 quit=1 commands=3/4", 0),
    ],
)
def test_refused_content_is_joined_by_the_queue_id_if_a_data_failed(
    line: str, summary: str, refused_messages: int
) -> None:
    first, queued, last = session("5437A21E209: client=CLIENT", summary=summary)

    (seen,) = read([first, queued, line.encode(), last])

    assert seen.line.content_refused == refused_messages


OPENED = "5437A21E209: client=CLIENT"
BY_ACCESS = "NOQUEUE: discard: RCPT from CLIENT: <a@b>: Sender address odd; from=<a@b> to=<c@d> proto=ESMTP helo=<x>"
BY_HEADER = (
    f"5437A21E209: discard: header Subject: hold: it from {CLIENT}; from=<a@b> to=<c@d> proto=ESMTP helo=<x>: odd"
)
BY_MILTER = (
    "5437A21E209: milter-discard: END-OF-MESSAGE from unknown[192.0.2.1]: milter triggers DISCARD action; from=<>"
)
TWO = " ehlo=1 mail=2 rcpt=2 data=2 quit=1 commands=8"


@pytest.mark.parametrize("verb", ["discard", "hold"])
@pytest.mark.parametrize(
    ("texts", "from_cleanup", "summary", "messages"),
    [
        ([BY_ACCESS, OPENED], "", GOOD, 0),
        ([OPENED, BY_ACCESS.replace("NOQUEUE", "5437A21E209")], "", GOOD, 0),
        ([BY_ACCESS.replace("discard:", "milter-discard:"), OPENED], "", GOOD, 0),
        ([OPENED], BY_HEADER, GOOD, 0),
        ([OPENED], BY_HEADER.replace("header", "body"), GOOD, 0),
        ([OPENED], BY_MILTER, GOOD, 0),
        ([OPENED], BY_MILTER.replace("209", "208"), GOOD, 1),
        ([BY_ACCESS, OPENED, OPENED.replace("209", "208")], "", TWO, 1),
        ([OPENED, OPENED.replace("209", "208")], BY_HEADER, TWO, 1),
        ([OPENED, OPENED.replace("209", "208")], BY_HEADER, TWO.replace("data=2", "data=1/2"), 0),
    ],
)
def test_what_is_thrown_away_or_held_is_neither_good_nor_bad(
    texts: list[str], from_cleanup: str, summary: str, messages: int, verb: str
) -> None:
    *first, last = session(*[text.replace("discard:", f"{verb}:") for text in texts], summary=summary)
    content = [f"{CLEANUP}{from_cleanup}".replace("discard:", f"{verb}:").encode()] if from_cleanup else []

    (seen,) = read([*first, *content, *content, last])

    assert (seen.line.messages, seen.line.refused, seen.line.policy, seen.line.content_refused) == (messages, 0, 0, 0)


def test_a_session_does_not_wait_for_chunks_that_were_thrown_away() -> None:
    log = reader()
    *first, last = session(OPENED, summary=CHUNKS)

    seen = [log.read(line) for line in (*first, f"{CLEANUP}{BY_HEADER}".encode(), last)]

    assert seen[-1] is not None
    assert seen[-1].line.messages == 0


def test_a_milter_that_refuses_a_recipient_is_policy() -> None:
    text = "NOQUEUE: milter-reject: RCPT from CLIENT: 550 5.1.1 no; from=<a@b> to=<c@d> proto=ESMTP"

    outcome = told(text, text.replace("550 5.1.1", "451 4.7.1"))

    assert (outcome.refused, outcome.policy) == (1, 1)


QUEUED = f"{QMGR}5437A21E209: from=<a@b>, size=199, nrcpt=1 (queue active)".encode()
CHUNKS = " ehlo=1 mail=1 rcpt=1 bdat=2 quit=1 commands=6"


def test_chunks_are_a_message_when_the_queue_manager_has_it() -> None:
    first, opened, last = session("5437A21E209: client=CLIENT", summary=CHUNKS)

    assert [seen.line.messages for seen in read([first, opened, QUEUED, last])] == [1]
    assert [seen.line.messages for seen in read([first, opened, last, QUEUED])] == [1]
    assert [seen.line.messages for seen in read([first, opened, last])] == [0]


def test_a_session_waits_only_a_little_for_the_queue_manager() -> None:
    log = reader()
    lines = session("5437A21E209: client=CLIENT", summary=CHUNKS)
    later = "Nov 22 20:11:{} mx postfix/smtpd[9]: connect from b.example[192.0.2.2]"

    assert [log.read(line) for line in lines] == [None, None, None]
    assert log.read(later.format(20).encode()) is None
    seen = log.read(later.format(22).encode())

    assert seen is not None
    assert seen.line.ended == read([*session()])[0].line.ended
    assert list(log.flush()) == []


def test_a_postfix_without_summaries_is_believed_by_the_queue_manager() -> None:
    first, opened, last = session("5437A21E209: client=CLIENT", summary="")

    assert [seen.line.messages for seen in read([first, opened, QUEUED, last])] == [1]
    assert [seen.line.messages for seen in read([first, opened, last])] == [0]


def test_behind_xclient_the_client_is_the_one_that_the_proxy_named() -> None:
    lines = smtpd(
        "connect from proxy.example[192.0.2.200]:4030",
        "36B4721E210: client=a.example[198.51.100.4]:1234",
        "disconnect from a.example[198.51.100.4]:1234 ehlo=2 xclient=0/1 mail=1 rcpt=1 data=1 quit=1 commands=6/7",
    )

    (seen,) = read(lines)
    assert (seen.line.client, seen.line.messages) == ("198.51.100.4", 1)
    assert read([line.replace(b" xclient=0/1", b"") for line in lines]) == []


def test_sessions_that_never_end_are_dropped_oldest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postfix, "SESSIONS", 3)
    log = postfix.PostfixLog()
    for number in range(5):
        origin = b"mx postfix/smtpd[%d]" % number
        log.read(b"smtpd", b"connect from a[192.0.2.1]", 0, origin, 0.0)
        log.read(b"smtpd", b"%X: client=a[192.0.2.1]" % (0xABCDE00 + number), 0, origin, 0.0)

    kept = [bool(log._open.get(b"mx postfix/smtpd[%d]" % number)) for number in range(5)]

    assert kept == [False, False, True, True, True]
    assert len(log._messages) == 3


def test_messages_are_forgotten_with_their_session() -> None:
    log = reader()
    for _ in range(3):
        for line in session(*[f"{number:010X}: client=CLIENT" for number in range(1000)], summary=GOOD):
            log.read(line)

    assert log._postfix._messages == {}
    assert len(log._postfix._open) == 0
