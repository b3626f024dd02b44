"""Reading lines in tests: one reader that is told the time and the zone, so that nothing depends on this machine."""

from collections.abc import Iterable
from datetime import UTC, datetime, tzinfo
from pathlib import Path

from frontproxy.logs import LogReader, Seen
from frontproxy.wire.outcome_line import OutcomeLine

SAMPLES = Path(__file__).parent / "samples"
NOW = datetime(2026, 11, 23, tzinfo=UTC).timestamp()
"""A little after the samples were made."""
LATER = b"2026-11-22 21:11:00 Start queue run: pid=7"
"""What ends all sessions that may have ended."""
HEAD = "Nov 22 20:11:17 mx postfix/smtpd[123]: "


def reader(zone: tzinfo = UTC, *, now: float = NOW) -> LogReader:
    """One that has read nothing."""
    return LogReader(year=datetime.fromtimestamp(now, UTC).year, now=now, zone=zone)


def read(lines: Iterable[bytes]) -> list[Seen]:
    """All sessions that these lines tell, those at the end included."""
    log = reader()
    seen = [seen for line in (*lines, LATER) if (seen := log.read(line))]
    return [*seen, *log.flush()]


def smtpd(*texts: str, head: str = HEAD) -> list[bytes]:
    """Lines of one smtpd process."""
    return [(head + text).encode() for text in texts]


def session(
    *texts: str, summary: str = " ehlo=1 quit=1 commands=2", client: str = "unknown[192.0.2.1]:4711"
) -> list[bytes]:
    """One session's lines; `CLIENT` in the texts is replaced."""
    between = [text.replace("CLIENT", client) for text in texts]
    return smtpd(f"connect from {client}", *between, f"disconnect from {client}{summary}")


def told(
    *texts: str, summary: str = " ehlo=1 quit=1 commands=2", client: str = "unknown[192.0.2.1]:4711"
) -> OutcomeLine:
    """The outcome of one such session."""
    (seen,) = read(session(*texts, summary=summary, client=client))
    return seen.line


def refused(codes: str, words: str, sender: str = "s@example.org", recipient: str = "nobody@example.test") -> str:
    """A `reject:` line of the session."""
    end = f"; from=<{sender}> to=<{recipient}> proto=ESMTP helo=<mail.example.org>"
    return f"NOQUEUE: reject: RCPT from CLIENT: {codes} <{recipient}>: {words}{end}"


UNKNOWN = ("550 5.1.1", "Recipient address rejected: User unknown in local recipient table")
RELAY = ("554 5.7.1", "Relay access denied")
