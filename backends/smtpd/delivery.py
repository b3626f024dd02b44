"""One message on its way to the disk: streamed in batches, so that a small message costs one visit to a thread."""

import errno
import re
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime

import trio

from backends.smtpd.arrival import Client
from backends.smtpd.events import Envelope
from backends.smtpd.maildir import Maildir, MessageFile, new_queue_id
from backends.smtpd.replies import CANNOT_DELIVER, DISK_FULL, Reply

_BATCH = 65536
"""Bytes of one message kept in memory before they go to the file; a thousand clients can make us keep as much each."""

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_ODD_IN_COMMENT = re.compile(r"[^A-Za-z0-9.:_\[\]-]")


class DeliveryFailed(Exception):
    """The message is not stored, which is our trouble."""

    def __init__(self, error: OSError) -> None:
        super().__init__(error.strerror or str(error))
        self.reply: Reply = DISK_FULL if error.errno in _FULL else CANNOT_DELIVER


class Delivery:
    """Takes the content of one message. `discard` must be called unless `commit` has returned."""

    def __init__(self, maildir: Maildir, hostname: str, limiter: trio.CapacityLimiter) -> None:
        self.queue_id = new_queue_id()
        self.size = 0
        """Bytes of content so far."""
        self._maildir = maildir
        self._hostname = hostname
        self._limiter = limiter
        self._waiting = bytearray()
        self._file: MessageFile | None = None

    def begin(self, envelope: Envelope, client: Client) -> None:
        """Put the trace in front of the content."""
        self._waiting += trace(envelope, client, self._hostname, self.queue_id)

    async def write(self, data: bytes) -> None:
        """Take a piece of content. Raises DeliveryFailed."""
        self.size += len(data)
        self._waiting += data
        if len(self._waiting) >= _BATCH:
            await self._in_thread(self._write_batch)

    async def commit(self) -> None:
        """Deliver: on return the message is safe. Raises DeliveryFailed."""
        await self._in_thread(self._write_and_commit)

    def discard(self) -> None:
        """Forget the message, in memory and on disk."""
        self._waiting = bytearray()
        if self._file is not None:
            self._file.discard()
            self._file = None

    async def _in_thread(self, work: Callable[[], object]) -> None:
        try:
            await trio.to_thread.run_sync(work, limiter=self._limiter)
        except OSError as error:
            self.discard()
            raise DeliveryFailed(error) from error

    def _write_batch(self) -> MessageFile:
        if self._file is None:
            self._file = self._maildir.open(self.queue_id, self._hostname)
        self._file.write(self._waiting)
        self._waiting = bytearray()
        return self._file

    def _write_and_commit(self) -> None:
        self._write_batch().commit()
        self._file = None


def trace(envelope: Envelope, client: Client, hostname: str, queue_id: str) -> bytes:
    """The header fields that we put on top: where the message came from, for whom, and when (RFC 5321 section 4.4)."""
    address = f"IPv6:{client.address}" if ":" in client.address else client.address
    session = f" (session {_harmless(client.session)})" if client.session else ""
    lines = [f"Return-Path: <{envelope.sender}>"]
    for recipient in envelope.recipients:
        lines += [f"X-Original-To: {recipient.text}", f"Delivered-To: {recipient.text}"]
    lines += [
        f"Received: from {_harmless(envelope.helo) or 'unknown'} ([{address}]:{client.port})",
        f"\tby {hostname} with {envelope.protocol} id {queue_id}{session};",
        f"\t{format_datetime(datetime.now(UTC))}",
        "",
    ]
    return "\r\n".join(lines).encode()


def _harmless(text: str) -> str:
    """Client text for a header: what could end a comment or begin an address is a question mark."""
    return _ODD_IN_COMMENT.sub("?", text[:255])
