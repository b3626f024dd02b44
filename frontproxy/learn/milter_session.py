"""One SMTP session as a milter sees it: events in, answers and one outcome line out. No I/O.

What was tried with Postfix 3.7, and what follows from it:

- End-of-message reaches the milters in the order of `smtpd_milters`, after header and body checks and the size limit;
  a refusal ends the round. So the *last* milter sees it only for messages that nothing has refused, and only trouble of
  our own (the queue file cannot be written) can still follow. A milter that stands before another one would count what
  that one refuses: stand last.
- A message refused by cleanup or an earlier milter, one that is silently discarded, one behind `smtpd_proxy_filter` and
  one whose client is lost in the middle all look alike: DATA, then abort. So nothing is said of them, and behind a
  before-queue filter no good is learned.
- A recipient that an earlier milter refuses is not seen at all. One that Postfix refuses is, with its enhanced code and
  its text after the first word, which is as a rule the address: `Relay access denied` is Postfix's own, and a client
  that makes its address end like that would only speak against itself.
- Only unknown commands are seen, not the broken ones; nor early talk, nor the end of a session that Postfix ends for
  an HTTP verb (`smtpd_forbidden_commands`).
- QUIT, loss and time-out look alike too: `quit` is said, the end that counts nothing.

An accepted recipient counts as known to exist: by default (`smtpd_reject_unlisted_recipient`) Postfix refuses unlisted
ones wherever it has a table of them. A catch-all domain, or a relay domain without `relay_recipient_maps`, cannot be
told from here.
"""

import re
from typing import Final, Literal

from frontproxy.learn import milter_wire as wire
from frontproxy.learn.milter_wire import MilterError
from frontproxy.wire.outcome_line import OutcomeLine

Refusal = Literal["unknown", "relay", "policy", "ours"]
_CODE: Final = re.compile(rb"5\.([0-9]{1,3})\.([0-9]{1,3})")
_RELAY: Final = b"Relay access denied"
_NO_MACROS: Final[dict[bytes, bytes]] = {}
_WITH_MACROS: Final = {b"M", b"R"}
"""Events whose macros say something; a queue id comes with others, wanted or not."""


def refusal(code: bytes, text: bytes) -> Refusal:
    """Why Postfix refused a recipient, by its enhanced code (RFC 3463) and its own words; `ours` counts nothing."""
    form = _CODE.fullmatch(code)
    if form is None:
        return "ours" if code.startswith(b"4") else "policy"
    match form[1]:
        case b"1":
            return "policy" if form[2] in {b"7", b"8"} else "unknown"  # those speak of the sender's address
        case b"2" | b"3" | b"4":  # the mailbox (full, disabled), the mail system, the network
            return "ours"
        case b"7" if form[2] == b"1" and (text == _RELAY or text.endswith(b">: " + _RELAY)):
            return "relay"
    return "policy"


class MilterSession:
    """Follows one session. Its memory does not grow with what the client does: it counts and keeps nothing."""

    __slots__ = (
        *("_agreement", "_auth", "_bad_commands", "_client", "_macros", "_messages", "_null", "_packets"),
        *("_policy", "_recipients", "_refused", "_refused_null", "_relay", "has_ended"),
    )

    def __init__(self) -> None:
        self._packets = wire.Packets()
        self._agreement: wire.Agreement | None = None
        self._client: tuple[str, int] | None = None
        self._macros = _NO_MACROS
        self._null = self._auth = False
        self._messages = self._recipients = self._bad_commands = 0
        self._refused = self._refused_null = self._relay = self._policy = 0
        self.has_ended = False
        """The mail server has said that the SMTP session is over."""

    @property
    def has_begun(self) -> bool:
        """The mail server has negotiated with us."""
        return self._agreement is not None

    def receive(self, data: bytes) -> bytes:
        """Take what came, in any pieces; returns what to answer. Raises MilterError: then close the connection."""
        answer = b""
        for letter, content in self._packets.feed(data):
            answer += self._take(letter, content)
        return answer

    def outcome(self, now: float) -> OutcomeLine | None:
        """How the session ended, at `now` (seconds since 1970); None unless we saw its end, and know its client.

        A connection that broke before is no end of the session: Postfix goes on without a milter that it gave up.
        """
        if not self.has_ended or self._client is None:
            return None
        return OutcomeLine(
            client=self._client[0],
            port=self._client[1],
            ended=now,
            end="quit",
            messages=self._messages,
            recipients=self._recipients,
            refused=self._refused,
            relay=self._relay,
            policy=self._policy,
            null_sender=0 < self._refused == self._refused_null,
            bad_commands=self._bad_commands,
            auth_good=int(self._auth),
        )

    def _take(self, letter: int, content: bytes) -> bytes:
        if letter == wire.NEGOTIATE:
            self._agreement = wire.agree(content[: wire.OFFER])
            return self._agreement.reply
        if self._agreement is None or self.has_ended:
            raise MilterError(f"a packet {bytes([letter])!a} {'after the end' if self.has_ended else 'first'}")
        macros, self._macros = self._macros, _NO_MACROS
        if letter == wire.MACRO:
            self._macros = wire.macros_of(content) if content[:1] in _WITH_MACROS else _NO_MACROS
        elif letter == wire.RECIPIENT:
            self._count_recipient(macros)
        elif letter == wire.MAIL:
            self._null = content.partition(b"\0")[0] == b"<>"
            self._auth = self._auth or bool(macros.get(b"{auth_authen}"))
        elif letter == wire.END_OF_MESSAGE:
            self._messages += 1
        elif letter == wire.UNKNOWN:
            self._bad_commands += 1
        elif letter == wire.CONNECT:
            self._client = wire.client_of(content)
        elif letter == wire.CLOSE:
            self.has_ended = True
        return wire.GO_ON if letter in self._agreement.answered else b""

    def _count_recipient(self, macros: dict[bytes, bytes]) -> None:
        if macros.get(b"{rcpt_mailer}") != b"error":
            self._recipients += 1
            return
        kind = refusal(macros.get(b"{rcpt_host}", b""), macros.get(b"{rcpt_addr}", b""))
        if kind == "ours":
            return
        self._refused += 1
        self._refused_null += self._null
        self._relay += kind == "relay"
        self._policy += kind == "policy"
