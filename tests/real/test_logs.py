"""What a real Postfix logs is what happened."""

import time
from datetime import datetime

import pytest

from frontproxy.logs import LogReader, Seen
from tests.real.house import wait_for
from tests.real.need import need
from tests.real.postfix import PROGRAMS, Postfix, smtp_source, smtpd

pytestmark = pytest.mark.real


def seen_in(log: str) -> tuple[list[Seen], LogReader]:
    """The sessions of a log of today, and what read it."""
    now = time.time()
    reader = LogReader(year=datetime.fromtimestamp(now).astimezone().year, now=now)
    seen = [seen for line in log.encode().splitlines() if (seen := reader.read(line))]
    return [*seen, *reader.flush()], reader


def test_messages_and_refused_recipients_are_told_with_address_and_port() -> None:
    need(*PROGRAMS, root=True)
    began = int(time.time())
    with Postfix(smtpd("door"), main={"smtpd_client_port_logging": "yes"}) as postfix:
        smtp_source(postfix.port("door"), "-m", "3", "-d")
        smtp_source(postfix.port("door"), "-m", "1", "-A", "-t", "nobody@example.test")
        wait_for(lambda: postfix.log().count(": disconnect from") == 2, "both sessions' ends")
        (good, bad), reader = seen_in(postfix.log())

    assert (good.line.messages, good.line.recipients, good.line.refused) == (3, 3, 0)
    assert (bad.line.messages, bad.line.recipients, bad.line.refused) == (0, 0, 1)
    assert good.line.client == bad.line.client == "127.0.0.1"
    assert 0 < good.line.port != bad.line.port > 0
    assert good.service == "postfix/door/smtpd"
    assert began <= good.line.ended <= time.time()
    assert reader.not_understood == 0


def test_what_postfix_throws_away_or_holds_is_neither_good_nor_bad() -> None:
    need(*PROGRAMS, root=True)
    senders = "inline:{thrown@example.org=DISCARD, held@example.org=HOLD}"
    main = {"smtpd_client_port_logging": "yes", "smtpd_recipient_restrictions": f"check_sender_access {senders}"}
    with Postfix(smtpd("door"), main=main) as postfix:
        for sender in ("thrown", "held", "kept"):
            smtp_source(postfix.port("door"), "-m", "2", "-d", "-f", f"{sender}@example.org")
        wait_for(lambda: postfix.log().count(": disconnect from") == 3, "the sessions' ends")
        seen, reader = seen_in(postfix.log())

    assert [(each.line.messages, each.line.refused, each.line.content_refused) for each in seen] == [
        (0, 0, 0),
        (0, 0, 0),
        (2, 0, 0),
    ]
    assert reader.not_understood == 0
