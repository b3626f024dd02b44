"""The lines of Exim's main log that tell something, as patterns from the first byte after the date.

With `log_selector = +incoming_port` a client is `[192.0.2.1]:4711`, with its verified name before it and what it said
in HELO in parentheses: `H=mail.example.org (helo) [192.0.2.1]:4711`. Exim refuses odd HELOs unless
`helo_accept_junk_hosts` names the client, and then the parentheses can hold anything, such as `x) [192.0.2.9]:4711 (`.
But Exim itself writes `) [` after them; where that comes a second time, the first may be the client's, and the line is
left alone. So are messages whose sender is quoted, and lines with a client's words before the client, such as `(next
input sent too soon ...): rejected "..." H=`. In a refusal the client stands before all addresses, so that what is
quoted in those blames nobody else. What remains: where junk is accepted and a line is cut by a full
disk, nothing shows that its beginning was a client's; so no line longer than `LENGTH` with a HELO in it is believed,
since Exim cuts its own.

Seen from Exim 4.96 with the usual log_selector, with +smtp_connection, and with +all.
"""

import re
from typing import Final

LENGTH: Final = 4096
"""Bytes of a line with a HELO in it."""

_INTERFACE: Final = rb"(?: I=\[[^\]\s]{1,45}\](?::[0-9]{1,5})?)?"
_HOST: Final = (
    rb"(?:(?P<name>[A-Za-z0-9._-]{1,255}) )?(?P<helo>\([A-Za-z0-9._:\[\]-]{0,255}\) )?"
    rb"(?P<client>\[[0-9A-Fa-f:.]{2,45}\](?::[0-9]{1,5})?)" + _INTERFACE
)
_ID: Final = rb"[0-9A-Za-z]{6}-[0-9A-Za-z]{6,11}-[0-9A-Za-z]{2,4}"
_QUOTED: Final = rb"\"(?:[^\"\\]|\\.)*\"@[^<>\"\\\s]*"
_SENDER: Final = rb"F=<(?P<sender>[^<>\"\\]*|" + _QUOTED + rb")>"
_SECURITY: Final = rb"(?: X=[^\s\"]{1,200})?(?: CV=[a-z]{1,12})?(?: A=[^\s\"]{1,100})?"

HEAD: Final = re.compile(
    rb"(?:<[0-9]{1,3}>)?"
    rb"(?:(?P<outer>(?:[A-Z][a-z]{2} [ 0-3][0-9]|[0-9]{4}-[0-9]{2}-[0-9]{2}T)[ ]?[0-9]{2}:[0-9]{2}:[0-9]{2}"
    rb"(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:?[0-9]{2})?) (?P<host>[^\s\[\]]{1,255}) exim4?(?:\[[0-9]{1,10}\])?: )?"
    rb"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?: [+-][0-9]{4})?)? ?"
    rb"(?:\[[0-9]{1,10}\] )?"
)
"""The date and, with +pid, the process; of its own file, or behind the head of a syslog line."""
MAY_TELL: Final = re.compile(
    rb"(?:"
    + _ID
    + rb" )?(?:H=|<= \S{1,500} H=|=> blackhole \()|SMTP (?:c|d|protocol synchronization error \(input)|unexpected disc|"
    rb"rejected (?:EHLO|HELO) from |\S{1,40} authenticator failed"
)

ACCEPTED: Final = re.compile(
    rb"(?P<id>"
    + _ID
    + rb") <= (?:<>|[^\s\"\\<>()\[\]]{1,400}) H="
    + _HOST
    + rb"(?: P=(?P<protocol>[a-z0-9-]{1,20}))?(?= |$)"
)
"""The `a` at the end of `P=esmtpsa` says that the client has authenticated."""
PUT_AWAY: Final = re.compile(
    rb"(?P<id>" + _ID + rb") => blackhole \((?:[A-Z_]{1,20} ACL|local_scan) discarded recipients\)"
)
"""An access list has thrown away a message that was accepted (`discard`), or all its recipients; found by its id."""
REFUSED: Final = re.compile(
    rb"(?:"
    + _ID
    + rb" )?H="
    + _HOST
    + _SECURITY
    + rb"(?: "
    + _SENDER
    + rb")?(?: A=[^\s\"]{1,100})? (?P<later>temporarily )?rejected "
    rb"(?:(?P<recipient>RCPT (?P<address>(?:<(?:[^<>\"]*|"
    + _QUOTED
    + rb")>|[^<>\"\s]*): )?)|(?P<content>after DATA|by local_scan\(\))(?=:|$)|MAIL <|"
    rb"(?P<connection>connection in ))"
)
NOT_AUTHENTICATED: Final = re.compile(rb"\S{1,40} authenticator failed for " + _HOST + rb": 535 ")
BAD_HELO: Final = re.compile(rb"rejected (?:EHLO|HELO) from " + _HOST + rb": syntactically invalid ")
EARLY_TALK: Final = re.compile(
    rb"SMTP protocol synchronization error \(input sent without waiting for greeting\): rejected connection from H="
    + _HOST
    + rb" "
)
BEGUN: Final = re.compile(
    rb"SMTP connection from \[[0-9A-Fa-f:.]{2,45}\](?::[0-9]{1,5})?" + _INTERFACE + rb" \(TCP/IP connection count = "
)
"""Only with +smtp_connection, and so is `closed by QUIT`. Behind a proxy this is the proxy's address."""
ENDED: Final = re.compile(
    rb"SMTP connection from "
    + _HOST
    + rb" (?:(?P<quit>closed by QUIT)|(?P<dropped>closed by DROP)|(?P<lost>lost)(?P<data> while reading message data)?)"
)
CUT_OFF: Final = re.compile(
    rb"(?:(?P<lost>unexpected disconnection while reading SMTP command)|SMTP (?:command|(?P<data>data)) timeout"
    rb"(?: \(message abandoned\))? on connection) from " + _HOST
)
TOO_MANY: Final = re.compile(
    rb"SMTP call from " + _HOST + rb" dropped: too many (?P<bad>unrecognized commands|syntax or protocol errors)?"
)
TELLING_NOTHING: Final = re.compile(
    rb"H="
    + _HOST
    + _SECURITY
    + rb" (?:F=<[^>]*> RCPT <.*>: discarded by [A-Z]{4} ACL|incomplete transaction|sender verify|Warning:)"
)
"""What else begins like the lines above."""
