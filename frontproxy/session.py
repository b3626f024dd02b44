"""One client's way through the house: judged at once, observed if it is a stranger, then given a place or a reply.

Settled clients pass synchronously: no task, no pause, no look-up. Only a stranger costs a task, while it waits.
Meanwhile the DNS is asked about it; what is heard in time may end the pause earlier, and never makes it longer.
"""

import time
from socket import socket

import trio

from frontproxy.core import scoring
from frontproxy.core.session import Session
from frontproxy.observe.pregreet import tease
from frontproxy.proxy import Proxy
from frontproxy.waiting_room import FULL, Chair

TROUBLE = "421 4.3.0 Our trouble, please try again later"


def arrive(
    proxy: Proxy,
    sock: socket,
    peer: tuple[str, int],
    strangers: trio.Nursery,
    *,
    server: tuple[str, int] | None = None,
    health_check: bool = False,
) -> None:
    """A client has come (see `Proxy.open_session`). The socket is ours from here on.

    Raises OSError or AddressError if there is nobody at its other end.
    """
    session = proxy.open_session(sock, peer, server, health_check=health_check)
    try:
        if session.verdict.settled:
            proxy.look_after(session)
            proxy.place(session)
        elif proxy.setup.config.mode == "observe":
            proxy.ask_about(session.packed)  # too late for this verdict, in time for the next
            proxy.place(session)
        elif (chair := proxy.room.enter(session)) is not None:
            strangers.start_soon(observe_stranger, proxy, chair)
        else:
            proxy.session_refused(session, FULL, "waiting_room")
    except Exception as error:  # noqa: BLE001  the guard: one session's bug never ends the proxy
        _abandon(proxy, session, error)


async def observe_stranger(proxy: Proxy, chair: Chair) -> None:
    """The stranger waits its pause, or until it is settled; hanging up ends everything. Then it is judged again."""
    try:
        await _observe(proxy, chair)
    except Exception as error:  # noqa: BLE001  the guard, as above
        _abandon(proxy, chair.session, error)


async def _observe(proxy: Proxy, chair: Chair) -> None:
    session = chair.session
    began = trio.current_time()
    if teaser := proxy.setup.config.listen.teaser:
        tease(session.socket, teaser)

    def more_is_known() -> None:
        _judge(proxy, session)
        proxy.room.rescore(chair, session.verdict.score)
        chair.leave_at(began + _pause(proxy, session))

    def talked() -> None:
        session.early = True
        more_is_known()

    inquiry = proxy.ask_about(session.packed, more_is_known)
    try:
        manners = await proxy.room.observe(chair, deadline=began + _pause(proxy, session), talked=talked)
    finally:
        if inquiry is not None:
            inquiry.cancel()
    if manners is None:
        proxy.session_refused(session, chair.reply, chair.why)
    elif manners == "gone":
        proxy.session_gone(session)
    else:
        _judge(proxy, session)
        proxy.place(session)


def _judge(proxy: Proxy, session: Session) -> None:
    session.verdict = proxy.judge_guarded(session.packed, session.address, early=session.early)


def _pause(proxy: Proxy, session: Session) -> float:
    """Seconds from its arrival on that a stranger must keep silent; who has been settled meanwhile need not."""
    if session.verdict.settled:
        return 0.0
    return scoring.pause(session.verdict.score, proxy.setup.config, stress=bool(proxy.pools.stressed))


def _abandon(proxy: Proxy, session: Session, error: Exception) -> None:
    """A bug with one session must not leave it counted as open."""
    proxy.census.left(session.client)
    give_up(proxy, session.socket, error)


def give_up(proxy: Proxy, sock: socket, error: Exception) -> None:
    """A bug befell a session: its traceback goes into the log, its client gets a 421, the proxy lives."""
    proxy.log.bug("session", error)
    proxy.counters["bugs"] += 1
    try:
        proxy.farewell.reply(sock, TROUBLE, time.monotonic())
    except OSError:  # saying goodbye may be what had failed
        sock.close()
