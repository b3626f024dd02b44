"""Our end of the socket pair to the asking program: questions go out, answers come in, and neither ever blocks."""

from collections.abc import Callable, Iterable
from itertools import groupby
from operator import attrgetter
from socket import socket
from typing import Final, Protocol

import trio

from frontproxy.lookup.messages import PACKET_LIMIT, Answer, MessageError, Question, decode_answers, encode_question

_PACKETS_AT_ONCE: Final = 16


class Log(Protocol):
    """The log, as we use it."""

    def __call__(self, event: str, /, **values: object) -> None:
        """Write a line, without waiting."""

    def bug(self, where: str, error: Exception, /) -> None:
        """A mistake of ours."""


class Link:
    """The socket may be replaced at any time; `run` goes on with the new one."""

    def __init__(self, hear: Callable[[int, Iterable[Answer]], None], log: Log) -> None:
        """`hear` is told the id of a question, and answers to it; a bug in it is logged and ends nothing."""
        self._hear = hear
        self._log = log
        self._socket: socket | None = None
        self._listening = trio.CancelScope()
        self.malformed = 0
        """Packets that could not be read."""

    @property
    def is_there(self) -> bool:
        """Somebody can be asked."""
        return self._socket is not None

    def connect(self, sock: socket | None) -> bool:
        """Use this socket from now on, which does not block; false if it is the one in use. The old one stays open."""
        if sock is self._socket:
            return False
        self._socket = sock
        self._listening.cancel()
        return True

    def send(self, question: Question) -> bool:
        """Put a question on its way; false if the program does not keep up, or is not there."""
        try:
            return self._socket is not None and self._socket.send(encode_question(question)) > 0
        except OSError:
            return False

    async def run(self) -> None:
        """Receive answers, for ever."""
        while True:
            with trio.CancelScope() as self._listening:  # ends when the socket is replaced
                await self._listen()

    async def _listen(self) -> None:
        if sock := self._socket:
            while self._receive(sock):
                await trio.lowlevel.wait_readable(sock)
        await trio.sleep_forever()

    def _receive(self, sock: socket) -> bool:
        """Hear what has come; false if nothing ever will."""
        for _ in range(_PACKETS_AT_ONCE):
            try:
                packet = sock.recv(PACKET_LIMIT + 1)
            except BlockingIOError:
                return True
            except OSError:
                return False
            if not packet:  # the other end is closed, everywhere
                return False
            self._take(packet)
        return True

    def _take(self, packet: bytes) -> None:
        try:
            answers = decode_answers(packet)
        except MessageError:
            self.malformed += 1
            return
        for number, said in groupby(answers, attrgetter("id")):
            try:
                self._hear(number, said)
            except Exception as error:  # noqa: BLE001  the proxy outlives a bug in what became of one question
                self._log.bug("lookup", error)
