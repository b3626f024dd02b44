"""The operator's verbs as functions: what the admin socket and so the commands can ask of a running proxy.

Each takes the proxy and words, and returns the fields of its answer; `Refused` carries what the operator should know.
"""

from collections.abc import Awaitable, Callable, Sequence

from frontproxy.control import clients, house, past, pins, route, tell, undo
from frontproxy.control.words import Answer, Controls, Refused
from frontproxy.core.mistakes import Mistaken

__all__ = ["Answer", "Controls", "Refused", "answer"]

_VERBS: dict[str, Callable[[Controls, list[str]], Awaitable[Answer]]] = {
    "score": clients.score,
    "route": route.route,
    "clients": clients.clients,
    "forget": clients.forget,
    "tell": tell.tell,
    "learn": past.learn,
    "pin": pins.pin,
    "unpin": pins.unpin,
    "pins": pins.pins,
    "undo": undo.undo,
    "status": house.status,
    "stress": house.stress,
    "reload": house.reload,
    "drain": house.drain,
}


async def answer(controls: Controls, words: Sequence[str]) -> Answer:
    """The answer to one request. Raises Refused."""
    verb, arguments = words[0], list(words[1:])
    if verb not in _VERBS:
        raise Refused("unknown_command", f"{verb[:40]!a} is no command; there are: {', '.join(sorted(_VERBS))}")
    try:
        return await _VERBS[verb](controls, arguments)
    except Mistaken as error:
        text = f"{verb} changed nothing, because of mistakes"
        raise Refused("failed", text, mistakes=[str(mistake) for mistake in error.mistakes]) from None
