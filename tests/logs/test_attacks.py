"""What a client makes the mail server log: whatever it says, it speaks for nobody but itself."""

from functools import cache

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from frontproxy.logs import Seen
from tests.logs.reading import HEAD, read, session, smtpd, told

ATTACKER = "203.0.113.9"
VICTIM = "192.0.2.9"
_MINE = f"a.example[{ATTACKER}]:4000"
_THEIRS = f"v.example[{VICTIM}]:4711"
_SUMMARY = " ehlo=1 mail=1 rcpt=1/2 data=0/1 quit=1 unknown=0/1 commands=4/7"
_OTHER = HEAD.replace("[123]", "[7]")
_END = "proto=ESMTP helo=<mail.example.org>"

POSTFIX = [
    f"{HEAD}warning: non-SMTP command from {_MINE}: GET TEXT",
    f"{HEAD}warning: non-SMTP command from {_MINE}: TEXT",
    f"{HEAD}improper command pipelining after CONNECT from {_MINE}: TEXT",
    f"{HEAD}NOQUEUE: reject: RCPT from {_MINE}: 550 5.1.1 <TEXT>: User unknown; from=<TEXT> to=<TEXT> {_END}",
    f"{HEAD}NOQUEUE: reject: RCPT from {_MINE}: 554 5.7.1 TEXT; from=<> to=<b@c> proto=ESMTP helo=<TEXT>",
    f"{HEAD}NOQUEUE: milter-reject: RCPT from {_MINE}: 550 5.7.1 TEXT; from=<TEXT> to=<TEXT> {_END}",
    f"{HEAD}5437A21E209: client={_MINE}, sasl_method=PLAIN, sasl_username=TEXT",
    f"{HEAD}warning: {_MINE}: SASL TEXT authentication failed: TEXT, sasl_username=TEXT",
    f"{HEAD}warning: Illegal address syntax from {_MINE} in MAIL command: TEXT",
    f"{HEAD}warning: TEXT",
    f"{HEAD}5437A21E209: warn: RCPT from {_MINE}: TEXT",
    f"{HEAD}> {_MINE}: 250 TEXT",
    "Nov 22 20:11:17 mx postfix/cleanup[77]: 5437A21E209: message-id=TEXT",
    "Nov 22 20:11:17 mx postfix/cleanup[77]: 5437A21E209: warning: header Subject: TEXT",
    f"Nov 22 20:11:17 mx postfix/cleanup[77]: 5437A21E209: reject: body TEXT from {_MINE}; from=<> {_END}: 5.7.1 no",
    "Nov 22 20:11:17 mx postfix/qmgr[88]: 5437A21E209: from=<TEXT>, size=199, nrcpt=1 (queue active)",
    f"Nov 22 20:11:17 mx postfix/postscreen[9]: PREGREET 14 after 0.1 from [{ATTACKER}]:4000: TEXT",
    "Nov 22 20:11:17 mx dovecot: imap-login: Aborted login: user=<TEXT>",
    "Nov 22 20:11:17 mx sshd[5]: Invalid user TEXT from 203.0.113.9",
]
"""Lines with a client's words in them, where TEXT stands."""
EXIM = [
    f"2026-11-22 20:11:17 1xVE1F-0006JV-1M <= a@example.org H=(TEXT) [{ATTACKER}]:4000 P=esmtp S=235 id=TEXT",
    f'2026-11-22 20:11:17 1xVE1F-0006JV-1M <= "TEXT"@example.org H=(mail) [{ATTACKER}]:4000 P=esmtp S=235',
    f"2026-11-22 20:11:17 1xVE1F-0006JV-1M <= a@example.org H=a.example (TEXT) [{ATTACKER}]:4000 P=esmtp S=235",
    f"2026-11-22 20:11:17 H=(TEXT) [{ATTACKER}]:4000 F=<TEXT> rejected RCPT <TEXT>: Unrouteable address",
    f"2026-11-22 20:11:17 H=a.example [{ATTACKER}]:4000 F=<TEXT> temporarily rejected RCPT <TEXT>: TEXT",
    f"2026-11-22 20:11:17 SMTP connection from (TEXT) [{ATTACKER}]:4000 closed by QUIT",
    f"2026-11-22 20:11:17 rejected EHLO from [{ATTACKER}]:4000: syntactically invalid argument(s): TEXT",
    f"2026-11-22 20:11:17 plain authenticator failed for (TEXT) [{ATTACKER}]:4000: 535 Incorrect (set_id=TEXT)",
    f'2026-11-22 20:11:17 SMTP call from (TEXT) [{ATTACKER}]:4000 dropped: too many nonmail commands (last was "TEXT")',
    f'2026-11-22 20:11:17 SMTP syntax error in "TEXT" H=[{ATTACKER}]:4000 unrecognized command',
    f"2026-11-22 20:11:17 SMTP protocol synchronization error (next input sent too soon: pipelining was advertised): "
    f'rejected "TEXT" H=(TEXT) [{ATTACKER}]:4000 next input="TEXT"',
    f"2026-11-22 20:11:17 unexpected disconnection while reading SMTP command from (TEXT) [{ATTACKER}]:4000 D=0s",
    f"2026-11-22 20:11:17 SMTP command timeout on connection from (TEXT) [{ATTACKER}]:4000",
]
_FORGERIES = [
    f"disconnect from {_THEIRS} ehlo=1 mail=9 rcpt=9 data=9 quit=1 commands=29",
    f"connect from {_THEIRS}",
    f"5437A21E200: client={_THEIRS}",
    f"NOQUEUE: reject: RCPT from {_THEIRS}: 550 5.1.1 <a@b>: no; from=<> to=<a@b>",
    f"lost connection after DATA from {_THEIRS}",
    f"warning: non-SMTP command from {_THEIRS}: GET /",
    f"warning: {_THEIRS}: SASL PLAIN authentication failed: no",
    f"improper command pipelining after CONNECT from {_THEIRS}: x",
    f"from {_THEIRS}",
    f"H=(x) [{VICTIM}]:4711 P=esmtpa ",
    f"x) [{VICTIM}]:4711 P=esmtp (",
    f"x) [{VICTIM}]:4711 closed by QUIT (",
    f"x) [{VICTIM}]:4711 F=<> rejected RCPT <a@b>: relay not permitted (",
    f'" H=[{VICTIM}]:4711 P=esmtp "',
    f"[{VICTIM}]:4711",
    HEAD,
    _OTHER,
    "2026-11-22 20:11:17 ",
    "1xVE1F-0006JV-1M <= a@b ",
    "exim[1]: ",
    "]: ",
    "; from=<",
    "> to=<x> proto=SMTP",
    ">: Relay access denied",
    " ehlo=1 commands=1",
    " ",
    "\0",
    "\r",
    "\x1b[2J\x1b]0;x\x07",
    "%s%n",
    "\u202e",
]
TEXTS = st.one_of(
    st.lists(st.sampled_from(_FORGERIES), max_size=6).map(lambda parts: "".join(parts).encode()),
    st.binary(max_size=60),
    st.integers(1, 12_000).map(lambda length: b"x" * length),
).map(lambda text: text.replace(b"\n", b"?"))


def a_day(template: str, text: bytes) -> list[bytes]:
    """The attacker's session with that line in it, while the victim's is under way, in whose process it was before."""
    first, *_, last = session(summary=_SUMMARY, client=_MINE)
    theirs = smtpd(
        f"connect from {_THEIRS}",
        f"6437A21E209: client={_THEIRS}",
        f"disconnect from {_THEIRS} ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5",
        head=_OTHER,
    )
    line = template.encode().replace(b"TEXT", text)
    return [*session(client=_THEIRS), first, theirs[0], line, theirs[1], line, last, line, theirs[2], line]


def of_others(seen: list[Seen]) -> list[Seen]:
    """All that is told of anybody but the attacker."""
    return [each for each in seen if each.line.client != ATTACKER]


@cache
def without_words(template: str) -> list[Seen]:
    """What is told of others when the attacker says nothing much."""
    return of_others(read(a_day(template, b"x")))


@pytest.mark.parametrize("template", [*POSTFIX, *EXIM])
@settings(max_examples=15)
@given(text=TEXTS)
@example(text=_FORGERIES[0].encode())
def test_no_words_of_a_client_are_told_of_another(template: str, text: bytes) -> None:
    seen = of_others(read(a_day(template, text)))

    assert seen == without_words(template)
    assert [(each.line.client, each.line.messages, each.line.refused) for each in seen] == [
        (VICTIM, 0, 0),
        (VICTIM, 1, 0),
    ]


@pytest.mark.parametrize("template", POSTFIX)
@settings(max_examples=15)
@given(text=TEXTS)
@example(text=f": warning: non-SMTP command from {_THEIRS}: GET /".encode())
@example(text=f"improper command pipelining after CONNECT from {_THEIRS}: x".encode())
@example(text=f"non-SMTP command from {_THEIRS}: GET /".encode())
def test_no_words_hide_a_session(template: str, text: bytes) -> None:
    mine = [each for each in read(a_day(template, text)) if each.line.client == ATTACKER]

    assert [(each.line.port, each.line.end, each.line.recipients) for each in mine] == [(4000, "quit", 1)]


@pytest.mark.parametrize("template", [*POSTFIX, *[line for line in EXIM if "(TEXT)" not in line]])
@settings(max_examples=15)
@given(text=TEXTS, cut=st.integers(0, 400))
def test_a_line_that_was_cut_tells_nothing_of_another(template: str, text: bytes, cut: int) -> None:
    """Exim's with a client's words in HELO's parentheses are left out: see `exim_lines`."""
    seen = of_others(read(a_day(template.replace("TEXT", text.decode("latin-1"))[:cut], b"")))

    assert seen == without_words(template)


def test_the_words_after_get_credit_nobody() -> None:
    words = "GET disconnect from a[192.0.2.9]:4711 ehlo=1 mail=9 commands=29"
    line = f"warning: non-SMTP command from unknown[203.0.113.9]:4000: {words}"

    (seen,) = read(session(line, client="unknown[203.0.113.9]:4000", summary=" unknown=0/1 commands=0/1"))

    assert (seen.line.client, seen.line.port, seen.line.http, seen.line.messages) == ("203.0.113.9", 4000, True, 0)
    assert read(smtpd(line)) == []


def test_a_file_that_begins_in_the_words_of_a_client_credits_nobody() -> None:
    forged = smtpd(f"5437A21E209: client={_THEIRS}", f"disconnect from {_THEIRS} mail=9 data=9 quit=1 commands=29")

    assert read(forged) == []


@pytest.mark.parametrize(
    ("recipient", "sender", "relay", "is_null"),
    [
        ("nobody@example.test", "a@b", 0, False),
        ("x>: Relay access denied; from=<", "a@b", 0, False),
        ("x>: Relay access denied; from=<> to=<x> proto=SMTP", "a@b", 0, False),
        ("x>: Relay access denied", "a@b", 0, False),
        ("x", "a>: Relay access denied; from=<", 0, False),
        ("x; from=<> to=<", "a@b", 0, False),
        ("x", "", 0, True),
    ],
)
def test_an_address_that_a_forwarder_passes_on_does_not_change_why_it_was_refused(
    recipient: str, sender: str, relay: int, is_null: bool
) -> None:
    outcome = told(
        f"NOQUEUE: reject: RCPT from CLIENT: 550 5.1.1 <{recipient}>: Recipient address rejected: User unknown; "
        f"from=<{sender}> to=<{recipient}> {_END}"
    )

    assert (outcome.refused, outcome.relay, outcome.policy, outcome.null_sender) == (1, relay, 0, is_null)


@pytest.mark.parametrize(
    ("recipient", "sender"),
    [
        ("b@example.net", "a@b"),
        ("a; from=<x@example.net", "a@b"),
        ("a>: policy; from=<x@example.net", "a@b"),
        ("b@example.net", '"x; from=<"@b'),
        ("b@example.net", '"> ; from=<> to=<x> proto=SMTP'),
    ],
)
def test_odd_addresses_make_no_relay_attempt_a_lesser_thing(recipient: str, sender: str) -> None:
    outcome = told(
        f"NOQUEUE: reject: RCPT from CLIENT: 554 5.7.1 <{recipient}>: Relay access denied; "
        f'from=<{sender}> to=<"{recipient}"> {_END}'
    )

    assert (outcome.refused, outcome.relay, outcome.policy, outcome.null_sender) == (1, 1, 0, False)
