"""One client's way through the house: judged at once, observed if it is a stranger, then given a place or a reply.

Settled clients pass synchronously: no task, no pause, no look-up. Only a stranger costs a task, while it waits.
"""

import time
from socket import socket

import trio

from frontproxy.core import scoring
from frontproxy.core.session import Session
from frontproxy.proxy import Proxy
from frontproxy.waiting_room import FULL, Chair


def arrive(proxy: Proxy, sock: socket, peer: tuple[str, int], strangers: trio.Nursery) -> None:
    """A connection was accepted. The socket is ours from here on."""
    session = proxy.open_session(sock, peer, sock.getsockname()[:2])
    if session.verdict.settled or proxy.setup.config.mode == "observe":
        proxy.place(session)
        return
    chair = proxy.room.enter(session)
    if chair is None:
        proxy.session_refused(session, FULL, "waiting_room")
    else:
        strangers.start_soon(observe_stranger, proxy, chair)


async def observe_stranger(proxy: Proxy, chair: Chair) -> None:
    """The stranger waits its pause; talking early ends it, hanging up ends everything. Then it is judged again."""
    session = chair.session
    stress = bool(proxy.pools.stressed)
    pause = scoring.pause(session.verdict.score, proxy.setup.config, stress=stress)
    manners = await proxy.room.observe(chair, deadline=trio.current_time() + pause)
    if manners is None:
        proxy.session_refused(session, chair.reply, "waiting_room")
    elif manners == "gone":
        proxy.session_gone(session)
    else:
        session.early = manners == "early"
        session.verdict = proxy.judge_guarded(session.packed, session.address, early=session.early)
        _place_guarded(proxy, session)


def _place_guarded(proxy: Proxy, session: Session) -> None:
    """A bug with one stranger must not end the others."""
    try:
        proxy.place(session)
    except Exception as error:  # noqa: BLE001  the proxy outlives a bug in one session
        give_up(proxy, session.socket, error, time.monotonic())


def give_up(proxy: Proxy, sock: socket, error: Exception, now: float) -> None:
    """A bug befell a session: its traceback goes into the log, its client gets a 421, the proxy lives."""
    proxy.log.bug("session", error)
    proxy.counters["bugs"] += 1
    proxy.farewell.reply(sock, "421 4.3.0 Our trouble, please try again later", now)
