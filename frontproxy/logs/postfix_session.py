"""What the lines of one smtpd session have told, and its outcome when the last one has come.

Its summary, `disconnect from ... rcpt=1/2 data=1 ...`, says how many commands succeeded, not why others failed. So what
was accepted comes from there, and what was refused from `reject:` lines and their codes. The summary also bounds what
other lines claim: a content is refused only if a DATA failed, and no more messages are accepted than DATA succeeded.

A message that was taken only to be thrown away (DISCARD) or put aside (HOLD), by an access table, a header check or a
milter, counts neither as good nor as bad: nobody has got it yet.

A successful BDAT may be any part of a message, and sessions of old versions have no summary at all. There a message
counts when the queue manager names it; its line can come after the session's end, which therefore waits a little.
"""

from typing import Final

from frontproxy.core.address import AddressError, pack, unpack
from frontproxy.core.refusal import postfix_refusal
from frontproxy.wire.outcome_line import End, OutcomeLine, Stage

MESSAGES_FOLLOWED = 100
"""Queue ids that one session can have; further messages of it do not count."""
NOQUEUE: Final = b"NOQUEUE"
"""In the place of a queue id, of what has none."""

_HTTP: Final = frozenset(
    {b"GET", b"POST", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"CONNECT", b"TRACE", b"PATCH", b"PRI"}
)
_DATA: Final = frozenset({b"DATA", b"BDAT", b"END-OF-MESSAGE"})
_BEFORE_DATA: Final = frozenset({b"CONNECT", b"HELO", b"EHLO", b"MAIL", b"RCPT"})
_FROM: Final = b"; from=<"
_RELAY: Final = b"Relay access denied"
_NOTHING: Final = (0, 0)
_ENDS: Final[dict[bytes, End]] = {b"lost connection": "lost", b"timeout": "timeout", b"too many errors": "errors"}


class PostfixSession:
    """One session under way. Its memory is bounded: it counts, and keeps queue ids, at most `MESSAGES_FOLLOWED`."""

    __slots__ = (
        *("_auth", "_auth_failed", "_content", "_end", "_http", "_not_smtp", "_null", "_policy", "_refused", "_relay"),
        *("_stage", "_summary", "_turned_away", "client", "early", "ended", "is_begun_here"),
        *("_put_away", "_puts_next_away", "opened", "queue_ids", "queued"),
    )

    def __init__(self, client: bytes, *, is_begun_here: bool) -> None:
        self.client = client
        """As logged: `mail.example.org[192.0.2.1]:4711`."""
        self.is_begun_here = is_begun_here
        """We saw its `connect from`; otherwise only XCLIENT can explain the client."""
        self.early = False
        self.ended = 0.0
        self.opened = 0
        """Messages begun: `client=` lines."""
        self.queued = 0
        """Those of them that the queue manager named."""
        self.queue_ids: list[bytes] = []
        self._auth = self._http = self._turned_away = self._puts_next_away = False
        self._put_away: set[bytes] = set()  # queue ids
        self._auth_failed = self._content = self._not_smtp = 0
        self._refused = self._relay = self._policy = self._null = 0
        self._end: End | None = None
        self._stage: Stage = "command"
        self._summary: dict[bytes, tuple[int, int]] | None = None

    def opens(self, queue_id: bytes) -> bool:
        """A message begins; tells whether it has a queue id to be followed by. Beyond so many they do not count."""
        if len(self.queue_ids) >= MESSAGES_FOLLOWED:
            return False
        self.opened += 1
        if self._puts_next_away:
            self._puts_next_away = False
            self._put_away.add(queue_id)
        if queue_id == NOQUEUE:
            return False
        self.queue_ids.append(queue_id)
        return True

    def puts_away(self, queue_id: bytes) -> None:
        """A message will not be delivered. One without a queue id is the next: its first recipient gives it one."""
        if queue_id == NOQUEUE:
            self._puts_next_away = True
        elif queue_id in self.queue_ids:
            self._put_away.add(queue_id)

    def is_authenticated(self) -> None:
        """A message came with a user's name."""
        self._auth = True

    def is_not_authenticated(self) -> None:
        """A user's name and password were wrong."""
        self._auth_failed += 1

    def is_turned_away(self) -> None:
        """Our own limits ended it, or a reply that ends sessions."""
        self._turned_away = True

    def refuses_content(self) -> None:
        """Somebody refused a message of this session after DATA."""
        self._content += 1

    def is_cut_off(self, how: bytes, where: bytes) -> None:
        """It ended by `lost connection`, `timeout` or `too many errors`, after that command."""
        self._end = _ENDS[how]
        self._stage = "connect" if where == b"CONNECT" else "data" if where in _DATA else "command"

    def says(self, verb: bytes) -> None:
        """It said a word that is no SMTP command."""
        self._not_smtp += 1
        self._http = self._http or verb.upper() in _HTTP

    def is_refused(self, command: bytes, code: bytes, enhanced: bytes, rest: bytes, *, by_milter: bool) -> None:
        """A `reject:` line; `rest` is what follows the codes, with client text in it."""
        if code in {b"421", b"521"} or command == b"CONNECT":
            self._turned_away = True
        if not code.startswith(b"5"):
            return
        # One `; from=<` is Postfix' own, and its words end there. With two of them one is a client's, in an address,
        # and then whatever could be Postfix' words counts as such: nobody is the better off for odd addresses.
        words, _, sender = rest.partition(_FROM)
        is_plain = bool(sender) and _FROM not in sender
        is_relay = b">: " + _RELAY + _FROM in rest
        kind = postfix_refusal(enhanced, _RELAY if is_relay else words if is_plain else b"")
        if kind == "ours":
            return
        if command == b"END-OF-MESSAGE":
            self._content += 1
        elif command in _BEFORE_DATA:
            is_policy = by_milter or command != b"RCPT" or kind == "policy"
            self._refused += 1
            self._relay += kind == "relay" and not is_policy
            self._policy += is_policy
            self._null += is_plain and sender.startswith(b"> ")

    def close(self, ended: float, client: bytes, summary: bytes) -> bool:
        """Its `disconnect` line has come; False if that speaks of somebody else."""
        self.ended = ended
        if summary:
            self._summary = dict(map(_count, summary.split()))
        is_proxied = b"xclient" in (self._summary or {})  # then the client is the one of the last line
        return client == self.client and (self.is_begun_here or is_proxied)

    @property
    def waits(self) -> bool:
        """How many messages were accepted can still be told by the queue manager."""
        return self.queued + len(self._put_away) < len(self.queue_ids) and (
            self._summary is None or b"bdat" in self._summary
        )

    def outcome(self) -> OutcomeLine | None:
        """How it ended; None if the client has no address."""
        where = address_of(self.client)
        if where is None:
            return None
        accepted, attempted = self._of_summary(b"data"), self._of_summary(b"bdat")
        failed = accepted[1] - accepted[0] + attempted[1] - attempted[0]
        recipients = self._messages() if self._summary is None else self._of_summary(b"rcpt")[0]
        return OutcomeLine(
            client=where[0],
            port=where[1],
            ended=self.ended,
            end=self._how(),
            stage=self._stage,
            messages=self._messages(),
            recipients=recipients,
            refused=self._refused,
            relay=self._relay,
            policy=self._policy,
            null_sender=0 < self._refused == self._null,
            bad_commands=self._not_smtp if self._summary is None else self._of_summary(b"unknown")[1],
            http=self._http,
            early=self.early,
            content_refused=self._content if self._summary is None else min(self._content, failed),
            auth_good=int(self._auth),
            auth_failed=self._auth_failed,
        )

    def _messages(self) -> int:
        if self._summary is None:
            return self.queued
        if b"bdat" not in self._summary:
            return max(0, min(self.opened, self._of_summary(b"data")[0]) - len(self._put_away))
        return min(self.queued, self._of_summary(b"data")[0] + self._of_summary(b"bdat")[0])

    def _how(self) -> End:
        if self._end:
            return self._end
        if self._summary is None or b"quit" in self._summary:
            return "quit"
        if self._turned_away:
            return "refused"
        return "errors" if self._not_smtp else "lost"  # a loss right after the end of a message is not logged

    def _of_summary(self, command: bytes) -> tuple[int, int]:
        return _NOTHING if self._summary is None else self._summary.get(command, _NOTHING)


def address_of(client: bytes) -> tuple[str, int] | None:
    """Address and port (0 if unknown) of a client as logged, `name[192.0.2.1]:4711`; None if it has no address."""
    _, _, rest = client.partition(b"[")
    address, _, port = rest.partition(b"]")
    try:
        text = unpack(pack(address.removeprefix(b"IPv6:").decode("ascii")))
    except (AddressError, UnicodeDecodeError):
        return None
    number = int(port[1:]) if port[1:].isdigit() else 0
    return text, number if number < 65536 else 0


def _count(word: bytes) -> tuple[bytes, tuple[int, int]]:
    """A command of the summary with how often it succeeded and how often it came: `rcpt=1/2`, `data=1`."""
    command, _, counts = word.partition(b"=")
    good, _, total = counts.partition(b"/")
    return command, (int(good), max(int(good), int(total or good)))
