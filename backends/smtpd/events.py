"""What the protocol asks of the session: each event is one thing to do before the next is asked for."""

from dataclasses import dataclass

from backends.smtpd.commands import Address
from frontproxy.wire.outcome_line import End


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who sent a message, to whom, and how it was introduced."""

    sender: str
    """As the client wrote it; "" for the null sender."""
    recipients: tuple[Address, ...]
    helo: str
    """What the client calls itself: any printable text."""
    protocol: str
    """`SMTP`, `ESMTP` or `UTF8SMTP` (RFC 3848, RFC 6531)."""


@dataclass(frozen=True, slots=True)
class Send:
    """Write this, all of it, before anything else."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class NeedInput:
    """Read, and hand over what came with `receive_data` or `receive_eof`."""

    content: bool
    """The client owes us a message, not a command."""


@dataclass(frozen=True, slots=True)
class MessageBegun:
    """Content follows."""

    envelope: Envelope


@dataclass(frozen=True, slots=True)
class Content:
    """A piece of the message, as it shall be stored."""

    data: bytes


@dataclass(frozen=True, slots=True)
class MessageDropped:
    """The message is too big, broken, or ended too soon: what is stored of it goes away."""


@dataclass(frozen=True, slots=True)
class MessageEnded:
    """The message is complete: store it, then answer with `message_stored` or `message_failed`."""


@dataclass(frozen=True, slots=True)
class Closed:
    """The session is over; nothing comes after this."""

    end: End
    linger: bool
    """The client may still be sending: close gently, or our last reply is lost to a reset."""


Event = Send | Pause | NeedInput | MessageBegun | Content | MessageDropped | MessageEnded | Closed
