"""Replies of the server, and the client's mistakes, which carry the reply they earn."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply, of one line or more; ASCII without line ends."""

    code: int
    enhanced: str
    """The enhanced status code (RFC 2034), or "" where none belongs: the greeting, and replies to HELO and EHLO."""
    text: str
    more: tuple[str, ...] = ()
    """The lines after the first."""

    def __bytes__(self) -> bytes:
        prefix = f"{self.enhanced} " if self.enhanced else ""
        lines = [prefix + text for text in (self.text, *self.more)]
        marks = ["-"] * len(self.more) + [" "]
        return "".join(f"{self.code}{mark}{line}\r\n" for mark, line in zip(marks, lines, strict=True)).encode("ascii")


class ProtocolError(Exception):
    """The client did what it may not do. The only error that bytes from a client can raise."""

    def __init__(self, reply: Reply, *, blame: bool = True, close: bool = False) -> None:
        super().__init__(str(reply.code), reply.text)
        self.reply = reply
        self.blame = blame
        """It counts as a bad command; a refused recipient does not."""
        self.close = close
        """Nothing that follows can be trusted to be a command: the session ends."""


def syntax_error(text: str) -> ProtocolError:
    """A 501 for a command whose argument cannot be read."""
    return ProtocolError(Reply(501, "5.5.4", text))


OK = Reply(250, "2.0.0", "Ok")
SENDER_OK = Reply(250, "2.1.0", "Ok")
RECIPIENT_OK = Reply(250, "2.1.5", "Ok")
GO_AHEAD = Reply(354, "", "End data with <CR><LF>.<CR><LF>")  # RFC 2034 knows no enhanced code of class 3
BYE = Reply(221, "2.0.0", "Bye")
CANNOT_VERIFY = Reply(252, "2.0.0", "Cannot verify; send mail and see")
HELP = Reply(214, "2.0.0", "Commands: HELO EHLO MAIL RCPT DATA RSET NOOP QUIT VRFY HELP", ("See RFC 5321",))

UNKNOWN_COMMAND = Reply(500, "5.5.2", "Command not recognized")
NOT_IMPLEMENTED = Reply(502, "5.5.1", "Command not implemented")
NOT_OFFERED = Reply(502, "5.5.1", "This server did not offer it")
HELO_FIRST = Reply(503, "5.5.1", "Send HELO or EHLO first")
NESTED_MAIL = Reply(503, "5.5.1", "Nested MAIL command; send RSET to begin again")
MAIL_FIRST = Reply(503, "5.5.1", "Need MAIL command")
RECIPIENT_FIRST = Reply(503, "5.5.1", "Need RCPT command")
NO_RECIPIENTS = Reply(554, "5.5.1", "No valid recipients")

LINE_TOO_LONG = Reply(500, "5.5.2", "Line too long")
BARE_LINE_END = Reply(500, "5.5.2", "A bare CR or LF in a command; lines end with CRLF")
BARE_IN_CONTENT = Reply(550, "5.5.2", "A bare CR or LF in the message; lines end with CRLF")
ODD_BYTES = Reply(500, "5.5.2", "Control characters and broken UTF-8 have no place in a command")
NOT_ASCII = Reply(500, "5.5.2", "Only addresses may hold characters beyond ASCII, and only with SMTPUTF8")
TOO_EAGER = Reply(521, "5.5.1", "Improper pipelining: more input before our reply")
HTTP = Reply(521, "5.5.1", "This is a mail server, it does not speak HTTP")
TLS = Reply(521, "5.5.1", "This port speaks SMTP, not TLS")

NOT_OUR_DOMAIN = Reply(550, "5.7.1", "Relay access denied")
NO_SUCH_USER = Reply(550, "5.1.1", "No such user here")
TOO_MANY_RECIPIENTS = Reply(452, "4.5.3", "Too many recipients")
TOO_MANY_MESSAGES = Reply(421, "4.7.0", "Too many messages in one session")
TOO_BIG = Reply(552, "5.3.4", "Message size exceeds the limit")

TOO_MANY_ERRORS = Reply(421, "4.7.0", "Too many errors")
TIMED_OUT = Reply(421, "4.4.2", "Timeout exceeded")
GOING_DOWN = Reply(421, "4.3.2", "Server is going down")
OUR_TROUBLE = Reply(421, "4.3.0", "Internal trouble, try again later")
DISK_FULL = Reply(452, "4.3.1", "Insufficient system storage")
CANNOT_DELIVER = Reply(451, "4.3.0", "Cannot store the message, try again later")
