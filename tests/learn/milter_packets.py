"""What a mail server says to a milter, as octets: recorded from Postfix 3.7 and rebuilt here."""

import struct

ALL_FLAGS = 0x1FFFFF
ALL_ACTIONS = 0x1FF


def packet(letter: str, content: bytes = b"") -> bytes:
    """One packet."""
    return struct.pack("!L", len(content) + 1) + letter.encode() + content


def offer(flags: int = ALL_FLAGS, actions: int = ALL_ACTIONS, version: int = 6) -> bytes:
    """What Postfix offers, or less."""
    return packet("O", struct.pack("!LLL", version, actions, flags))


def macros(letter: str, **values: str) -> bytes:
    """Macros for the packet that comes next; `rcpt_host` stands for `{rcpt_host}`."""
    return packet("D", letter.encode() + b"".join(b"{%s}\0%s\0" % (k.encode(), v.encode()) for k, v in values.items()))


def connect(address: str = "192.0.2.1", port: int = 4711, name: bytes = b"[192.0.2.1]") -> bytes:
    """A client, with what its reverse name says."""
    family = b"6" if ":" in address else b"4"
    return macros("C") + packet("C", name + b"\0" + family + port.to_bytes(2, "big") + address.encode() + b"\0")


def mail(sender: str = "<a@example.org>", **values: str) -> bytes:
    """MAIL FROM."""
    return macros("M", **values) + packet("M", sender.encode() + b"\0")


def accepted(recipient: str = "user@example.com") -> bytes:
    """RCPT TO, accepted."""
    known = macros("R", rcpt_mailer="local", rcpt_host="example.com", rcpt_addr=recipient)
    return known + packet("R", f"<{recipient}>".encode() + b"\0")


def refused(code: str, text: str, recipient: str = "no@example.com") -> bytes:
    """RCPT TO, refused."""
    why = macros("R", rcpt_mailer="error", rcpt_host=code, rcpt_addr=text)
    return why + packet("R", f"<{recipient}>".encode() + b"\0")


def data() -> bytes:
    """DATA."""
    return packet("D", b"Ti\x0023DC620EA4F\0") + packet("T")


def end_of_message() -> bytes:
    """The end of a message that nothing has refused."""
    return packet("D", b"Ei\x0023DC620EA4F\0") + packet("E")


ABORT = packet("A")
END = ABORT + ABORT + packet("Q")
"""How every session ends: Postfix aborts, then closes."""
EHLO = packet("D", b"H") + packet("H", b"mail.example.org\0")
UNKNOWN = "550 5.1.1", "Recipient address rejected: User unknown in local recipient table"
GOOD_SESSION = offer() + connect() + mail() + accepted() + data() + end_of_message() + END
