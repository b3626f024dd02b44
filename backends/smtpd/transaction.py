"""One mail transaction: from MAIL to the end of its message, or to whatever forgets it."""

from dataclasses import dataclass, field

from backends.smtpd.commands import NULL_SENDER, Address, Sender
from backends.smtpd.events import Envelope


@dataclass(slots=True)
class Transaction:
    """What MAIL and RCPT have said so far."""

    sender: Sender = NULL_SENDER
    accepted: list[Address] = field(default_factory=list)
    verified: bool = False
    """One of the accepted recipients is known to exist."""
    pardoned: bool = False
    """A MAIL or RCPT was refused: RCPT and DATA that were pipelined behind it are no fault of their own."""

    def envelope(self, helo: str, *, extended: bool) -> Envelope:
        """The envelope of the message that now follows."""
        protocol = "UTF8SMTP" if self.sender.utf8 else "ESMTP" if extended else "SMTP"
        sender = self.sender.address.text if self.sender.address else ""
        return Envelope(sender, tuple(self.accepted), helo, protocol)
