"""One epoll: who waits for which descriptor, and what is done when it is ready."""

import select
from collections.abc import Callable, Iterator
from typing import Final

READ: Final = select.EPOLLIN
WRITE: Final = select.EPOLLOUT
_AT_ONCE: Final = 256

Ready = Callable[[], None]


class Events:
    """Each descriptor has one that is called when it is ready, until it is forgotten."""

    def __init__(self) -> None:
        self._poll = select.epoll()
        self._waiting: dict[int, Ready] = {}

    def watch(self, descriptor: int, ready: Ready, wanted: int = READ) -> None:
        """Call `ready` whenever the descriptor is, for `wanted` or with an error."""
        if descriptor in self._waiting:
            self._poll.modify(descriptor, wanted)
        else:
            self._poll.register(descriptor, wanted)
        self._waiting[descriptor] = ready

    def forget(self, descriptor: int) -> None:
        """Before it is closed."""
        if self._waiting.pop(descriptor, None):
            self._poll.unregister(descriptor)

    def wait(self, seconds: float) -> Iterator[Ready]:
        """Whom to call now, one after the other; at most `seconds` later, and then perhaps nobody."""
        for descriptor, _mask in self._poll.poll(max(0.0, seconds), _AT_ONCE):
            if ready := self._waiting.get(descriptor):  # those called before may have closed it
                yield ready

    def close(self) -> None:
        """The end."""
        self._poll.close()
