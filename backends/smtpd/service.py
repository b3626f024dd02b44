"""The root of the program: its nursery, its signals, its lifeline, and the order in which things end."""

import signal
import socket

import trio

from backends.smtpd.parent import end_of_lifeline
from backends.smtpd.report import Reporter
from backends.smtpd.server import Server

_FLUSH_TIME = 2.0
"""Seconds that the last outcome lines have to reach the parent, which may be gone."""


async def serve_parent(server: Server, listener: socket.socket, reporter: Reporter | None, lifeline: int) -> None:
    """Serve handovers until SIGTERM (drain) or the end of the lifeline (finish)."""
    sessions_scope = trio.CancelScope()
    async with trio.open_nursery() as background:
        background.start_soon(_drain_on_signal, server, sessions_scope, (signal.SIGTERM,))
        background.start_soon(_finish_with_parent, server, lifeline)
        if reporter is not None:
            background.start_soon(reporter.run)
        with sessions_scope:
            async with trio.open_nursery() as sessions:
                await server.serve_handovers(listener, sessions)
        if reporter is not None:
            with trio.move_on_after(_FLUSH_TIME):
                await reporter.flush()
        background.cancel_scope.cancel()


async def serve_standalone(server: Server, listener: socket.socket, stress: bool) -> None:
    """Serve TCP clients until SIGINT or SIGTERM, which drain."""
    sessions_scope = trio.CancelScope()
    async with trio.open_nursery() as background:
        background.start_soon(_drain_on_signal, server, sessions_scope, (signal.SIGINT, signal.SIGTERM))
        with sessions_scope:
            async with trio.open_nursery() as sessions:
                await server.serve_tcp(listener, sessions, stress=stress)
        background.cancel_scope.cancel()


async def _drain_on_signal(server: Server, sessions: trio.CancelScope, signals: tuple[signal.Signals, ...]) -> None:
    with trio.open_signal_receiver(*signals) as received:
        async for _signal in received:
            server.drain()
            sessions.deadline = min(sessions.deadline, trio.current_time() + server.drain_time)


async def _finish_with_parent(server: Server, lifeline: int) -> None:
    await end_of_lifeline(lifeline)
    server.finish()
