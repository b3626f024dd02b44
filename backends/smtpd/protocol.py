"""The server's side of one SMTP session without its wire: bytes come in, events go out. No I/O, no clock.

Ask for the next event, do what it says, ask again. `NeedInput` comes only when all bytes so far are used up, so nothing
waits here but one unfinished line. Replies gather until then: pipelined commands are answered in one write (RFC 2920),
and a reply of many lines never leaves in pieces.
"""

from collections import deque
from enum import Enum, auto

from backends.smtpd import replies
from backends.smtpd.data import DataReader
from backends.smtpd.dialog import Dialog
from backends.smtpd.events import (
    Closed,
    Content,
    Event,
    MessageBegun,
    MessageDropped,
    MessageEnded,
    NeedInput,
    Pause,
    Send,
)
from backends.smtpd.lines import LineReader
from backends.smtpd.personality import Personality
from backends.smtpd.recipients import Recipients
from backends.smtpd.replies import ProtocolError, Reply
from backends.smtpd.tally import Tally
from frontproxy.wire.outcome_line import End, Stage

_OUTPUT_LIMIT = 16384
"""Bytes of replies that may gather; then they are sent before the next command is obeyed."""


class _Phase(Enum):
    COMMANDS = auto()
    CONTENT = auto()
    STORING = auto()
    CLOSED = auto()


class Protocol:
    """One SMTP session."""

    def __init__(self, personality: Personality, recipients: Recipients, hostname: str) -> None:
        self.stage: Stage = "connect"
        self.requests = 0
        """Commands and messages so far; the clock of a request starts when this number changes."""
        self._personality = personality
        self._dialog = Dialog(personality, recipients, hostname)
        self._lines = LineReader(personality.line_length_limit)
        self._reader = DataReader()
        self._size = 0
        self._phase = _Phase.COMMANDS
        self._eof = False
        self._due: deque[Event] = deque()
        self._out = bytearray(bytes(Reply(220, "", personality.banner)))
        self._closed = Closed("lost", linger=False)

    @property
    def tally(self) -> Tally:
        """What the client has done so far."""
        return self._dialog.tally

    @property
    def waits_for_command(self) -> bool:
        """Nothing is under way that the client could lose by a 421."""
        return self._phase is _Phase.COMMANDS

    def receive_data(self, data: bytes) -> None:
        """The client sent this."""
        if self._phase is _Phase.CONTENT:
            self._read_content(data)
        else:
            self._lines.feed(data)

    def receive_eof(self) -> None:
        """The client will send no more; it may still read."""
        self._eof = True

    def next_event(self) -> Event:
        """What has to be done now. After `MessageEnded` the message has to be answered first."""
        while not self._due:
            if self._phase is _Phase.STORING:
                raise RuntimeError("the message was not answered")
            if self._phase is _Phase.CLOSED:
                self._flush()
                self._due.append(self._closed)
            elif self._phase is _Phase.CONTENT or not self._obey_next_line():
                self._want_input()
        return self._due.popleft()

    def message_stored(self, queue_id: str) -> None:
        """The message is on disk."""
        self._dialog.end_message(stored=True)
        self._message_answered(Reply(250, "2.0.0", f"Ok: queued as {queue_id}"))

    def message_failed(self, reply: Reply) -> None:
        """The message could not be stored; that is our trouble, not the client's."""
        self._dialog.end_message(stored=False)
        self._message_answered(reply)

    def give_up(self, reply: Reply, end: End) -> None:
        """The session has to end now, with this reply: a time-out, a drain, a bug of ours."""
        if self._phase is not _Phase.CLOSED:
            self._drop_message()
            self._out += bytes(reply)
            self._close(end, linger=True)

    def abort(self, end: End) -> None:
        """The client is beyond reach: the session ends, and nothing more is sent."""
        self._drop_message()
        self._due = deque(event for event in self._due if isinstance(event, MessageDropped))
        self._out.clear()
        if self._phase is not _Phase.CLOSED:
            self._close(end, linger=False)

    # --- commands -----------------------------------------------------------------------------------------------

    def _obey_next_line(self) -> bool:
        """Obey one command; False when no whole line has come."""
        errors = self._dialog.errors
        close = False
        try:
            line = self._next_line()
            if line is None:
                return False
            reply = self._dialog.obey(line, eager=len(self._lines) > 0)
        except ProtocolError as error:
            self._dialog.count(error)
            reply, close = error.reply, error.close
        self.requests += 1
        if self.stage == "connect":
            self.stage = "command"
        if errors >= self._personality.soft_error_limit:
            self._flush()
            self._due.append(Pause(self._personality.error_sleep_time))
        self._out += bytes(reply)
        if reply is replies.BYE:
            self._close("quit", linger=len(self._lines) > 0)
        elif reply is replies.GO_AHEAD:
            self._begin_content()
        self._end_if_due(close=close)
        return True

    def _next_line(self) -> bytes | None:
        line = self._lines.next_line()
        if line is None and self.stage == "connect" and self._lines.starts_with(b"\x16\x03"):
            raise ProtocolError(replies.TLS, close=True)
        return line

    def _end_if_due(self, *, close: bool = False) -> None:
        if close:
            self._close("errors", linger=True)
        elif self._phase is not _Phase.CLOSED and self._dialog.errors >= self._personality.hard_error_limit:
            self.give_up(replies.TOO_MANY_ERRORS, "errors")
        elif len(self._out) >= _OUTPUT_LIMIT:
            self._flush()

    def _want_input(self) -> None:
        """Replies first; then input, if there can be any."""
        if self._out:
            self._flush()
        elif self._eof:
            self._drop_message()
            self._close("lost", linger=False)
        else:
            self._due.append(NeedInput(content=self._phase is _Phase.CONTENT))

    def _flush(self) -> None:
        if self._out:
            self._due.append(Send(bytes(self._out)))
            self._out.clear()

    def _close(self, end: End, *, linger: bool) -> None:
        self._closed = Closed(end, linger)
        self._phase = _Phase.CLOSED

    # --- a message ----------------------------------------------------------------------------------------------

    def _begin_content(self) -> None:
        self._phase = _Phase.CONTENT
        self.stage = "data"
        self._reader = DataReader()
        self._size = 0
        self._due.append(MessageBegun(self._dialog.envelope()))

    def _read_content(self, data: bytes) -> None:
        try:
            content = self._reader.feed(data)
        except ProtocolError as error:
            self._dialog.count(error)
            self.give_up(error.reply, "errors")
            return
        limit = self._personality.message_size_limit
        was_too_big = self._size > limit
        self._size += len(content)
        if self._size > 2 * limit:  # the reply waits for the end of the message, but not for ever
            self.give_up(replies.TOO_BIG, "errors")
            return
        if self._size <= limit and content:
            self._due.append(Content(content))
        elif self._size > limit and not was_too_big:
            self._drop_message()
        if self._reader.rest is not None:
            self._lines.feed(self._reader.rest)
            self._end_content()

    def _end_content(self) -> None:
        self.requests += 1
        if self._size <= self._personality.message_size_limit:
            self._phase = _Phase.STORING
            self._due.append(MessageEnded())
            return
        self._dialog.errors += 1
        self._dialog.end_message(stored=False)
        self._message_answered(replies.TOO_BIG)

    def _drop_message(self) -> None:
        """What is stored goes away; said twice it does no harm."""
        if self._phase in {_Phase.CONTENT, _Phase.STORING}:
            self._due.append(MessageDropped())

    def _message_answered(self, reply: Reply) -> None:
        self.stage = "command"
        self._phase = _Phase.COMMANDS
        self._out += bytes(reply)
        self._end_if_due()
