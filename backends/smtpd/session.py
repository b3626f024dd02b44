"""One session: the protocol on a stream, with the clock and the disk."""

import math
from dataclasses import dataclass
from typing import assert_never

import trio

from backends.smtpd.arrival import Client
from backends.smtpd.delivery import Delivery, DeliveryFailed
from backends.smtpd.events import (
    Closed,
    Content,
    Envelope,
    Event,
    MessageBegun,
    MessageDropped,
    MessageEnded,
    NeedInput,
    Pause,
    Send,
)
from backends.smtpd.log import Log
from backends.smtpd.maildir import Maildir
from backends.smtpd.pace import Pace
from backends.smtpd.personality import Personality
from backends.smtpd.protocol import Protocol
from backends.smtpd.recipients import Recipients
from backends.smtpd.replies import CANNOT_DELIVER, GOING_DOWN, OUR_TROUBLE, TIMED_OUT, Reply

_COMMAND_READ = 8192  # bytes; a batch of short commands earns replies many times its size
_CONTENT_READ = 65536
_LINGER_TIME = 2.0  # seconds
_LINGER_BYTES = 262_144


@dataclass(frozen=True, slots=True)
class Site:
    """What all sessions of a server share."""

    hostname: str
    recipients: Recipients
    maildir: Maildir
    log: Log
    disk: trio.CapacityLimiter
    """How many messages may be written at the same time."""


class Session:
    """One client's session. `run` returns when it is over; nothing a client does makes it raise."""

    def __init__(self, site: Site, client: Client, stream: trio.abc.HalfCloseableStream, personality: Personality):
        self.protocol = Protocol(personality, site.recipients, site.hostname)
        self.end: Closed | None = None
        """How it ended, once it has."""
        self._site = site
        self._client = client
        self._stream = stream
        self._timeout = personality.timeout
        self._pace = Pace(personality, trio.current_time())
        self._delivery: Delivery | None = None
        self._recipients = 0
        self._failure: Reply | None = None
        self._draining = False
        self._limit = trio.CancelScope()
        self._waits = False
        self._sends = False
        self._closed = False

    async def run(self) -> Closed:
        """Serve the client to the end, and say how it ended."""
        while True:
            with trio.CancelScope() as self._limit:
                return await self._converse()
            self._interrupted()

    def drain(self) -> None:
        """End as soon as nothing is lost by it: at once, or after the message that is coming in."""
        self._draining = True
        if self._waits and self.protocol.waits_for_command:
            self._limit.cancel()

    async def fail(self) -> None:
        """Say that we are in trouble, after a bug, and end."""
        self.protocol.give_up(OUR_TROUBLE, "refused")
        await self.run()

    async def abandon(self) -> None:
        """Leave nothing behind, on disk or in the kernel; after a good end there is nothing to do."""
        self._drop_message()
        if not self._closed:
            await trio.aclose_forcefully(self._stream)

    async def _converse(self) -> Closed:
        """One event after the other. All waits on the client share one cancel scope, whose deadline is set for each."""
        while True:
            event = self.protocol.next_event()
            if isinstance(event, Closed):
                self.end = event
                self._lift_limit()
                await self._close(linger=event.linger)
                return event
            await self._do(event)

    def _lift_limit(self) -> None:
        """What comes now is not for the client to hurry: the disk, a pause, the farewell."""
        if self._limit.deadline != math.inf:
            self._limit.deadline = math.inf

    def _interrupted(self) -> None:
        """A wait on the client was ended: it took too long, or the server drains."""
        if self._sends:
            self.protocol.abort("timeout")  # it does not read
        elif self._draining and self.protocol.waits_for_command:
            self.protocol.give_up(GOING_DOWN, "refused")
        else:
            self.protocol.give_up(TIMED_OUT, "timeout")
        self._waits = self._sends = False

    async def _do(self, event: Event) -> None:
        match event:
            case Send(data):
                await self._send(data)
            case NeedInput(content):
                await self._receive(content=content)
            case Pause(seconds):
                await self._pause(seconds)
            case MessageBegun(envelope):
                self._begin_message(envelope)
            case Content(data):
                await self._store(data)
            case MessageDropped():
                self._drop_message()
            case MessageEnded():
                await self._finish_message()
            case Closed():
                pass
            case _:
                assert_never(event)

    # --- the wire -----------------------------------------------------------------------------------------------

    async def _send(self, data: bytes) -> None:
        """Write it all within `timeout`; a client that does not read, or is gone, ends here.

        Setting a deadline costs as much as the write, so one with half of the time left is good enough.
        """
        latest = trio.current_time() + self._timeout
        if not latest - self._timeout / 2 <= self._limit.deadline <= latest:
            self._limit.deadline = latest
        self._sends = True
        try:
            await self._stream.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self.protocol.abort("lost")
        self._sends = False

    async def _receive(self, *, content: bool) -> None:
        if self._draining and not content:
            self.protocol.give_up(GOING_DOWN, "refused")
            return
        self._limit.deadline = self._pace.deadline(trio.current_time(), self.protocol.requests, content=content)
        self._waits = True
        try:
            data = await self._stream.receive_some(_CONTENT_READ if content else _COMMAND_READ)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self.protocol.abort("lost")
            return
        self._waits = False
        if data:
            self._pace.received(trio.current_time(), len(data))
            self.protocol.receive_data(bytes(data))
        else:
            self.protocol.receive_eof()

    async def _pause(self, seconds: float) -> None:
        """Slow a client down that makes errors; not when everybody has to go."""
        if not self._draining:
            self._lift_limit()
            self._waits = True
            await trio.sleep(seconds)
            self._waits = False

    async def _close(self, *, linger: bool) -> None:
        """Close so that the last reply arrives: a close with unread input would be a reset, which overtakes it."""
        try:
            if linger:
                with trio.move_on_after(_LINGER_TIME):
                    await self._stream.send_eof()
                    left = _LINGER_BYTES
                    while left > 0 and (data := await self._stream.receive_some(_CONTENT_READ)):
                        left -= len(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # it went first
        await trio.aclose_forcefully(self._stream)
        self._closed = True

    # --- one message --------------------------------------------------------------------------------------------

    def _begin_message(self, envelope: Envelope) -> None:
        self._failure = None
        self._recipients = len(envelope.recipients)
        self._delivery = Delivery(self._site.maildir, self._site.hostname, self._site.disk)
        self._delivery.begin(envelope, self._client)

    async def _store(self, data: bytes) -> None:
        if self._delivery is None:
            return  # it has failed already; the client is told at the end of its message
        self._lift_limit()
        try:
            await self._delivery.write(data)
        except DeliveryFailed as failure:
            self._note_failure(failure)

    async def _finish_message(self) -> None:
        delivery = self._delivery
        self._lift_limit()
        try:
            if delivery is not None:
                await delivery.commit()
        except DeliveryFailed as failure:
            self._note_failure(failure)
            delivery = None
        self._delivery = None
        if delivery is None:
            self.protocol.message_failed(self._failure or CANNOT_DELIVER)
            return
        self.protocol.message_stored(delivery.queue_id)
        self._site.log.event(
            "message",
            session=self._client.session or None,
            client=self._client.address,
            size=delivery.size,
            id=delivery.queue_id,
            recipients=self._recipients,
        )

    def _note_failure(self, failure: DeliveryFailed) -> None:
        self._drop_message()
        self._failure = failure.reply
        self._site.log.event("smtpd_error", what=f"message not stored: {failure}")

    def _drop_message(self) -> None:
        if self._delivery is not None:
            self._delivery.discard()
            self._delivery = None
