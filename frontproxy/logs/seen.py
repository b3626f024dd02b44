"""What comes out of a log: one session that has ended, and what a line told on the way."""

from enum import Enum, auto
from typing import NamedTuple

from frontproxy.wire.outcome_line import OutcomeLine


class Seen(NamedTuple):
    """One session as a log tells it. Whom to leave out (loopback, users' services, our own) is the caller's choice."""

    line: OutcomeLine
    """`ended` is the time of the log line that ended it; `port` is 0 where the log has no ports."""
    name: str
    """The client's host name, which the mail server has looked up back and forth; empty if there is none."""
    origin: str
    """Who logged it, `mx postfix/smtpd[123]`; two sessions of one origin never overlap."""
    service: str
    """`postfix/smtpd`, `postfix/submission/smtpd`, `postfix/postscreen`, `exim`."""


class Sense(Enum):
    """What a line was, when it has ended no session."""

    UNDERSTOOD = auto()
    TELLS_NOTHING = auto()
    STRANGE = auto()
    """From a program whose lines we should know, and we do not know this one."""
