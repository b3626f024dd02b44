"""The lines of Postfix that tell something, as patterns from the first byte after the syslog tag.

Everything a pattern spells out is written by Postfix itself: host names are checked by its `valid_hostname`, and `after
DATA` or `reject: RCPT` name one of its own states, never the client's words. What follows the last thing that a pattern
spells out is the client's and not looked at. A pattern that ends in `$` has no client text at all.

Seen from Postfix 3.7, with and without `smtpd_client_port_logging`; older ones differ in what the comments say.
"""

import re
from typing import Final

_CLIENT: Final = rb"([^\s\[\]]{1,255}\[[^\s\[\]]{1,60}\](?::(?:[0-9]{1,5}|unknown))?)"
_QUEUE_ID: Final = rb"(NOQUEUE|[0-9A-Za-z]{5,20})"

HEAD: Final = re.compile(
    rb"(?:<[0-9]{1,3}>)?"
    rb"((?:[A-Z][a-z]{2} [ 0-3][0-9]|[0-9]{4}-[0-9]{2}-[0-9]{2}T)[ ]?[0-9]{2}:[0-9]{2}:[0-9]{2}"
    rb"(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:?[0-9]{2})?) "
    rb"(?:<[a-z0-9.]{1,30}> )?"  # FreeBSD's syslogd -v
    rb"([^\s\[\]]{1,255} (?:[^\s\[\]/]{1,100}/)+(smtpd|cleanup|qmgr|postscreen)\[[0-9]{1,10}\]): "
    rb"(?:\[ID [0-9]{1,10} [a-z0-9]{1,20}\.[a-z]{1,20}\] )?"  # Solaris
)
"""A line's date, then host, tag and process id together, then the program: syslog daemons, journald, postlogd."""
HEAD_5424: Final = re.compile(
    rb"(?:<[0-9]{1,3}>1 )?"
    rb"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:[0-9]{2})) "
    rb"([^\s\[\]]{1,255}) ((?:[^\s\[\]/]{1,100}/)+)(smtpd|cleanup|qmgr|postscreen) ([0-9]{1,10}) "
    rb"\S{1,32} (?:-|\[[^\]]{0,500}\]) "
)
"""The same by RFC 5424: date, host, the tag's beginning, program, process id."""

CONNECT: Final = re.compile(rb"connect from " + _CLIENT + rb"$")
DISCONNECT: Final = re.compile(
    rb"disconnect from " + _CLIENT + rb"((?: [a-z]{1,16}=[0-9]{1,9}(?:/[0-9]{1,9})?){0,32})$"
)
"""The summary came with 2.12; before that the line ends after the client."""
CUT_OFF: Final = re.compile(
    rb"(lost connection|timeout|too many errors) after ([A-Z-]{1,20})(?: \([^()]{1,40}\))? from " + _CLIENT + rb"$"
)
EARLY_TALK: Final = re.compile(
    rb"(?:warning: )?improper command pipelining after CONNECT from " + _CLIENT + rb"(?=:|$)"
)
QUEUED_FOR: Final = re.compile(_QUEUE_ID + rb": client=" + _CLIENT + rb"(, sasl_method=[^\s,]{1,40}(?=, |$))?(?=, |$)")
REFUSED: Final = re.compile(
    _QUEUE_ID
    + rb": (milter-)?reject: ([A-Z-]{1,20}) from "
    + _CLIENT
    + rb": ([0-9]{3}) (?:([245]\.[0-9]{1,3}\.[0-9]{1,3}) )?"
)
PUT_AWAY: Final = re.compile(_QUEUE_ID + rb": (?:milter-)?(?:discard|hold): [A-Z-]{1,20} from " + _CLIENT + rb": ")
"""A message that is thrown away, or waits until somebody has looked at it."""
NOT_SMTP: Final = re.compile(rb"warning: non-SMTP command from " + _CLIENT + rb": ([A-Za-z]{1,10})(?= |$)")
OVER_LIMIT: Final = re.compile(rb"warning: [A-Z][A-Za-z ]{5,40} limit exceeded: [0-9]{1,9} from " + _CLIENT + rb" for ")
NOT_AUTHENTICATED: Final = re.compile(
    rb"warning: " + _CLIENT + rb": SASL [A-Z0-9_-]{1,20} authentication failed(?=:|$)(: Connection lost)?"
)

CONTENT_REFUSED: Final = re.compile(
    _QUEUE_ID
    + rb": (?:reject: (?:header|body|mime-[a-z]{1,20}) |milter-reject: END-OF-MESSAGE from "
    + _CLIENT
    + rb": (?:[0-9]{3} )?5\.)"
)
"""A line of cleanup: the header's text stands before the client here, so the session is found by the queue id."""
CONTENT_PUT_AWAY: Final = re.compile(_QUEUE_ID + rb": (?:milter-)?(?:discard|hold): ")
"""The same of cleanup, found in the same way."""
QUEUED: Final = re.compile(_QUEUE_ID + rb": from=<.*>, size=[0-9]{1,20}, nrcpt=[0-9]{1,9} \(queue active\)$")
"""A line of qmgr: the message is in the queue."""

PREGREET: Final = re.compile(rb"PREGREET [0-9]{1,9} after [0-9.]{1,12} from (\[[0-9A-Fa-f:.]{2,45}\]:[0-9]{1,5}): ")
SCREENED: Final = re.compile(rb"DISCONNECT (\[[0-9A-Fa-f:.]{2,45}\]:[0-9]{1,5})$")

TELLING_NOTHING: Final = re.compile(
    rb"(?:warning|fatal|error|panic|info|statistics|connect to|watchdog|discarding|setting up|initializing|[<>]+ |"
    rb"SSL_accept|SSL3|TLS|(?:Anonymous|Untrusted|Trusted|Verified) TLS|improper command pipelining after|"
    rb"match_|generic_|smtpd_|xsasl_|dict_|"
    rb"(?:NOQUEUE|[0-9A-Za-z]{5,20}): (?:milter-)?(?:reject|reject_warning|warn|filter|hold|discard|redirect|prepend|"
    rb"replace|info|permit|bcc|delay|proxy-reject|proxy-accept|to|client)\b)"
)
"""How known lines begin that say nothing about a client's session."""
