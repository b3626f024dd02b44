"""A client's connection as a stream. It costs one turn of the scheduler for each read, and none for a write.

`trio.SocketStream` gives every write a turn of its own, which a short session feels. A session reads between its
writes, so here a write that the kernel takes at once is not a checkpoint; a read always is.
"""

import socket

import trio


class Wire(trio.abc.HalfCloseableStream):
    """Takes over a connected socket that does not block."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Write everything. Raises trio.BrokenResourceError when the client is gone."""
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self._connection.send(rest) :]
            except BlockingIOError:
                await self.wait_send_all_might_not_block()
            except OSError as error:
                raise trio.BrokenResourceError from error

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until the kernel takes something."""
        await trio.lowlevel.wait_writable(self._connection)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """At least a byte, or b"" at the end of input. Raises trio.BrokenResourceError when the client is gone."""
        while True:
            await trio.lowlevel.wait_readable(self._connection)
            try:
                return self._connection.recv(max_bytes or 65536)
            except BlockingIOError:
                continue
            except OSError as error:
                raise trio.BrokenResourceError from error

    async def send_eof(self) -> None:
        """Say that no more will be written; the client may go on writing."""
        try:
            self._connection.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise trio.BrokenResourceError from error
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        """Close at once."""
        if self._connection.fileno() >= 0:
            trio.lowlevel.notify_closing(self._connection)
            self._connection.close()
        await trio.lowlevel.checkpoint()
