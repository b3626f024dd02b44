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
- Only unknown commands are seen, neither broken ones nor those out of turn. Early talk changes nothing that we hear,
  and a session that Postfix ends for an HTTP verb (`smtpd_forbidden_commands`) looks like one that came and went.
- QUIT, loss, time-out and too many errors end alike, whatever flags are negotiated: an abort if the client had greeted,
  then the close. `quit` is said, the end that counts nothing. With every event answered, a time-out shows as a close
  that comes `smtpd_timeout` after the last event; so does a client that idles and leaves, and RSET and NOOP are not
  heard. That would make Postfix wait for us four more times a session, so it is left to the log, which tells the ends;
  in the house, early talk is seen by frontproxy itself.
- TLS is told by the macro {tls_version}, which is empty without it.

An accepted recipient counts as known to exist: by default (`smtpd_reject_unlisted_recipient`) Postfix refuses unlisted
ones wherever it has a table of them. A catch-all domain, or a relay domain without `relay_recipient_maps`, cannot be
told from here.
"""

from typing import Final

from frontproxy.core.refusal import postfix_refusal
from frontproxy.learn import milter_wire as wire
from frontproxy.learn.milter_wire import MilterError
from frontproxy.wire.outcome_line import OutcomeLine

_NO_MACROS: Final[dict[bytes, bytes]] = {}
_WITH_MACROS: Final = {b"M", b"R"}
"""Events whose macros say something; a queue id comes with others, wanted or not."""


class MilterSession:
    """Follows one session. Its memory does not grow with what the client does: it counts and keeps nothing."""

    __slots__ = (
        *("_agreement", "_auth", "_bad_commands", "_client", "_macros", "_messages", "_null", "_packets"),
        *("_policy", "_recipients", "_refused", "_refused_null", "_relay", "_tls", "has_ended"),
    )

    def __init__(self) -> None:
        self._packets = wire.Packets()
        self._agreement: wire.Agreement | None = None
        self._client: tuple[str, int] | None = None
        self._macros = _NO_MACROS
        self._null = self._auth = self._tls = False
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
            tls=self._tls,
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
            self._tls = self._tls or bool(macros.get(b"{tls_version}"))
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
        kind = postfix_refusal(macros.get(b"{rcpt_host}", b""), macros.get(b"{rcpt_addr}", b""))
        if kind == "ours":
            return
        self._refused += 1
        self._refused_null += self._null
        self._relay += kind == "relay"
        self._policy += kind == "policy"
