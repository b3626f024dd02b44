"""Understanding the logs of mail servers: lines in, one `Seen` for each SMTP session out. No I/O.

reader            one stream of lines: whose line it is, and what is counted   -> all below
postfix           sessions put together from the lines of the process that served them
  postfix_lines     the lines that tell something, as patterns anchored at both ends of what Postfix wrote
  postfix_session   what one session's lines have told, and its outcome at the end
  postscreen        who talked before the greeting
exim              sessions put together by address and port
  exim_lines        the lines that tell something
dates             seconds since 1970 from dates without a year, a zone, or both
refusal           what a refused recipient says about the client
seen              what comes out

A client can write anything into its commands, its addresses and its mail, and mail servers copy that into their logs:
`warning: non-SMTP command from a[192.0.2.1]: GET disconnect from b[192.0.2.9] data=9`. So nothing is ever searched
for: a line says what its beginning says, where only the syslog daemon and the mail server write, and a fact belongs to
the session of the very process (Postfix) or connection (Exim) that logged it. Where a client's text stands before a
fact, the fact is left out.
"""

from frontproxy.logs.reader import LogReader
from frontproxy.logs.seen import Seen

__all__ = ["LogReader", "Seen"]
