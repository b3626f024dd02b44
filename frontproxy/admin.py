"""The operator's door: one request a line, one line of JSON back, in order."""

import json
from functools import partial
from socket import socket
from typing import Any

import trio

from frontproxy.control import Controls, Refused, answer
from frontproxy.local import Lines, serve_local
from frontproxy.log import Log

LINE_LIMIT = 4096
PEERS_LIMIT = 32
READ_WITHIN = 10.0
"""Seconds a peer may take to read an answer."""
IDLE = 60.0
"""Seconds a peer may say nothing, so that forgotten ones do not keep others out."""
_CHUNK = 8192


class AdminSocket:
    """Serves operators: root, our own user, and members of `group`."""

    def __init__(self, controls: Controls, log: Log, group: str) -> None:
        self._controls = controls
        self._log = log
        self._group = group
        self._peers = 0

    async def serve(self, door: socket) -> None:
        """Accept peers for ever."""
        await serve_local(door, self._group, self._serve_peer, partial(self._log, "admin"))

    async def _serve_peer(self, peer: trio.socket.SocketType) -> None:
        stream = trio.SocketStream(peer)
        self._peers += 1
        try:
            if self._peers > PEERS_LIMIT:
                await self._send(stream, _refusal("failed", f"{PEERS_LIMIT} peers are connected already"))
            else:
                await self._converse(stream)
        except (trio.BrokenResourceError, trio.TooSlowError):
            pass  # it went away, or did not read, or has nothing to say
        finally:
            self._peers -= 1

    async def _converse(self, stream: trio.SocketStream) -> None:
        lines = Lines(LINE_LIMIT)
        while data := await self._receive(stream):
            for line in lines.feed(data):
                await self._send(stream, await self._answer(line))

    async def _receive(self, stream: trio.SocketStream) -> bytes:
        with trio.fail_after(IDLE):
            return bytes(await stream.receive_some(_CHUNK))

    async def _answer(self, line: bytes | None) -> dict[str, Any]:
        if line is None:
            return _refusal("usage", f"a request has at most {LINE_LIMIT} bytes")
        words = line.decode("utf-8", "replace").split()
        if not words:
            return _refusal("usage", "the line is empty; try: status")
        try:
            return {"ok": True, **await answer(self._controls, words)}
        except Refused as refused:
            return {**_refusal(refused.code, str(refused)), **refused.fields}
        except Exception as error:  # noqa: BLE001  a bug in one verb ends neither the proxy nor the conversation
            self._log.bug("admin", error)
            return _refusal("failed", f"our mistake, see the log: {error!r}")

    async def _send(self, stream: trio.SocketStream, values: dict[str, Any]) -> None:
        with trio.fail_after(READ_WITHIN):
            await stream.send_all(json.dumps(values).encode() + b"\n")


def _refusal(code: str, text: str) -> dict[str, Any]:
    return {"ok": False, "code": code, "error": text}
