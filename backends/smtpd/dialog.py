"""The conversation as a table of state x command: one command line in, one reply out (RFC 5321 section 4.1)."""

from collections.abc import Callable, Mapping
from enum import Enum, auto

from backends.smtpd import replies
from backends.smtpd.commands import parse_mail, parse_rcpt
from backends.smtpd.events import Envelope
from backends.smtpd.personality import Personality
from backends.smtpd.recipients import Recipients, Standing
from backends.smtpd.replies import ProtocolError, Reply, syntax_error
from backends.smtpd.tally import Tally
from backends.smtpd.transaction import Transaction


class State(Enum):
    """What the client has told us so far."""

    CONNECTED = auto()
    GREETED = auto()
    SENDER = auto()
    RECIPIENTS = auto()


class Dialog:
    """Who the client says it is, and the mail it is about to send.

    `obey` returns `replies.GO_AHEAD` when content follows, and `replies.BYE` when the session is over.
    """

    def __init__(self, personality: Personality, recipients: Recipients, hostname: str) -> None:
        self.tally = Tally()
        self.errors = 0
        """Errors since the last message, as soft_error_limit and hard_error_limit count them."""
        self._personality = personality
        self._recipients = recipients
        self._hostname = hostname
        self._state = State.CONNECTED
        self._transaction = Transaction()
        self._helo = ""
        self._extended = False
        self._eager = False
        self._junk = 0
        self._overshoot = 0

    def obey(self, line: bytes, *, eager: bool) -> Reply:
        """The reply to one command; `eager` says that more input waits already. Raises ProtocolError."""
        self._eager = eager
        text = _decoded(line)
        word, _, argument = text.partition(" ")
        verb = word.upper()
        if verb in _HTTP_VERBS:
            self.tally.http = True
            raise ProtocolError(replies.HTTP, blame=False, close=True)
        if verb not in _WITH_ADDRESS and not text.isascii():
            raise ProtocolError(replies.NOT_ASCII)
        action = _TABLE[self._state].get(verb)
        if action is None:
            raise ProtocolError(replies.UNKNOWN_COMMAND)
        if verb in _JUNK:
            self.errors += self._junk > self._personality.junk_command_limit
            self._junk += 1
        return action(self, argument.strip(" "))

    def count(self, error: ProtocolError) -> None:
        """One more error; bad commands are remembered for the outcome."""
        self.errors += 1
        self.tally.bad_commands += error.blame

    def envelope(self) -> Envelope:
        """The envelope of the message that now follows."""
        return self._transaction.envelope(self._helo, extended=self._extended)

    def end_message(self, *, stored: bool) -> None:
        """The message has come to its end; a stored one forgives the errors before it, as in Postfix."""
        if stored:
            self.tally.messages += 1
            self.tally.unverified += not self._transaction.verified
            self.errors = self._junk = self._overshoot = 0
        self._state = State.GREETED
        self._forget()

    def _forget(self) -> None:
        """No sender, no recipients (RFC 5321 section 4.1.1.5)."""
        self._transaction = Transaction()
        if self._state is not State.CONNECTED:
            self._state = State.GREETED

    # --- greetings ----------------------------------------------------------------------------------------------

    def _helo_command(self, argument: str) -> Reply:
        self._greet(argument, extended=False)
        return Reply(250, "", self._hostname)

    def _ehlo(self, argument: str) -> Reply:
        self._greet(argument, extended=True)
        size = f"SIZE {self._personality.message_size_limit}"
        return Reply(250, "", self._hostname, ("PIPELINING", size, "8BITMIME", "ENHANCEDSTATUSCODES", "SMTPUTF8"))

    def _greet(self, argument: str, *, extended: bool) -> None:
        if not argument or " " in argument:
            raise ProtocolError(Reply(501, "", "Syntax: EHLO hostname"))
        self._state = State.GREETED
        self._forget()
        self._helo, self._extended = argument, extended

    # --- a transaction ------------------------------------------------------------------------------------------

    def _mail_unintroduced(self, argument: str) -> Reply:
        if self._personality.helo_required:
            raise ProtocolError(replies.HELO_FIRST)
        return self._mail(argument)

    def _mail(self, argument: str) -> Reply:
        self._transaction = Transaction(pardoned=True)
        if self.tally.messages >= self._personality.session_message_limit:
            raise ProtocolError(replies.TOO_MANY_MESSAGES, blame=False, close=True)
        sender = parse_mail(argument)
        if sender.size > self._personality.message_size_limit:
            raise ProtocolError(replies.TOO_BIG, blame=False)
        self._transaction = Transaction(sender)
        self._state = State.SENDER
        return replies.SENDER_OK

    def _nested_mail(self, _argument: str) -> Reply:
        raise ProtocolError(replies.NESTED_MAIL)

    def _rcpt(self, argument: str) -> Reply:
        transaction = self._transaction
        address = parse_rcpt(argument, utf8=transaction.sender.utf8)
        if len(transaction.accepted) >= self._personality.recipient_limit:
            self._overshoot += 1
            self.errors += self._overshoot > self._personality.recipient_overshoot_limit
            return replies.TOO_MANY_RECIPIENTS
        standing = self._recipients.standing_of(address)
        if standing in {Standing.RELAY, Standing.UNKNOWN}:
            transaction.pardoned = True
            relay = standing is Standing.RELAY
            self.tally.refuse(relay=relay, null_sender=transaction.sender.address is None)
            raise ProtocolError(replies.NOT_OUR_DOMAIN if relay else replies.NO_SUCH_USER, blame=False)
        transaction.accepted.append(address)
        transaction.verified = transaction.verified or standing is Standing.KNOWN
        self.tally.recipients += 1
        self._state = State.RECIPIENTS
        return replies.RECIPIENT_OK

    def _rcpt_early(self, _argument: str) -> Reply:
        raise ProtocolError(replies.MAIL_FIRST, blame=not self._transaction.pardoned)

    def _data(self, argument: str) -> Reply:
        self._refuse_eagerness()
        _take_no_argument(argument)
        return replies.GO_AHEAD

    def _data_early(self, argument: str) -> Reply:
        self._refuse_eagerness()
        _take_no_argument(argument)
        if self._transaction.pardoned:
            raise ProtocolError(replies.NO_RECIPIENTS, blame=False)
        raise ProtocolError(replies.RECIPIENT_FIRST if self._state is State.SENDER else replies.MAIL_FIRST)

    def _bdat(self, _argument: str) -> Reply:
        self._refuse_eagerness()
        raise ProtocolError(replies.NOT_OFFERED)

    def _refuse_eagerness(self) -> None:
        """What was sent behind DATA before our reply may be a message: it must never be read as commands.

        RFC 2920 section 3.1 says that DATA is the last command of a group, so no honest client gets here.
        """
        if self._eager:
            raise ProtocolError(replies.TOO_EAGER, close=True)

    # --- the rest -----------------------------------------------------------------------------------------------

    def _rset(self, argument: str) -> Reply:
        _take_no_argument(argument)
        self._forget()
        return replies.OK

    def _noop(self, _argument: str) -> Reply:
        return replies.OK

    def _help(self, _argument: str) -> Reply:
        return replies.HELP

    def _vrfy(self, argument: str) -> Reply:
        if self._personality.disable_vrfy_command:
            raise ProtocolError(replies.NOT_IMPLEMENTED, blame=False)
        if not argument:
            raise syntax_error("Syntax: VRFY address")
        return replies.CANNOT_VERIFY

    def _quit(self, argument: str) -> Reply:
        _take_no_argument(argument)
        return replies.BYE

    def _not_implemented(self, _argument: str) -> Reply:
        raise ProtocolError(replies.NOT_IMPLEMENTED, blame=False)

    def _not_offered(self, _argument: str) -> Reply:
        raise ProtocolError(replies.NOT_OFFERED)


def _decoded(line: bytes) -> str:
    try:
        text = line.decode()
    except UnicodeDecodeError:
        raise ProtocolError(replies.ODD_BYTES) from None
    if not text.isprintable() and any(character < " " or character == "\x7f" for character in text):
        raise ProtocolError(replies.ODD_BYTES)
    return text


def _take_no_argument(argument: str) -> None:
    if argument:
        raise syntax_error("This command takes no argument")


_HTTP_VERBS = frozenset({"GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "CONNECT", "PATCH", "TRACE"})
_WITH_ADDRESS = frozenset({"MAIL", "RCPT", "VRFY"})
_JUNK = frozenset({"HELO", "EHLO", "RSET", "NOOP", "VRFY", "HELP"})

_Action = Callable[[Dialog, str], Reply]

_ANYWHERE: Mapping[str, _Action] = {
    "HELO": Dialog._helo_command,
    "EHLO": Dialog._ehlo,
    "MAIL": Dialog._mail,
    "RCPT": Dialog._rcpt_early,
    "DATA": Dialog._data_early,
    "RSET": Dialog._rset,
    "NOOP": Dialog._noop,
    "QUIT": Dialog._quit,
    "HELP": Dialog._help,
    "VRFY": Dialog._vrfy,
    "EXPN": Dialog._not_implemented,
    "ETRN": Dialog._not_implemented,
    "AUTH": Dialog._not_offered,
    "STARTTLS": Dialog._not_offered,
    "BDAT": Dialog._bdat,
}
_IN_MAIL: Mapping[str, _Action] = {**_ANYWHERE, "MAIL": Dialog._nested_mail, "RCPT": Dialog._rcpt}

_TABLE: Mapping[State, Mapping[str, _Action]] = {
    State.CONNECTED: {**_ANYWHERE, "MAIL": Dialog._mail_unintroduced},
    State.GREETED: _ANYWHERE,
    State.SENDER: _IN_MAIL,
    State.RECIPIENTS: {**_IN_MAIL, "DATA": Dialog._data},
}
