"""Words of a request: what a verb acts upon, how it takes its arguments apart, and how it refuses."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from frontproxy.core import address, durations
from frontproxy.proxy import Proxy
from frontproxy.status import Watched

Answer = dict[str, Any]
_LONGEST = 10 * 365 * 86400.0


class Refused(Exception):
    """A request that cannot be served; `code` is one of the codes of the admin socket."""

    def __init__(self, code: str, text: str, **fields: Any) -> None:
        self.code = code
        self.fields = fields
        super().__init__(text)


@dataclass(frozen=True, slots=True)
class Controls:
    """What the verbs act upon."""

    proxy: Proxy
    watched: Watched
    reload: Callable[[], Awaitable[list[str]]]
    """Build and swap the Setup; returns remarks, raises Mistaken."""
    drain: Callable[[], None]


def no_words(arguments: list[str], usage: str) -> None:
    if arguments:
        raise Refused("usage", f"usage: {usage}")


def one_word(arguments: list[str], usage: str) -> str:
    if len(arguments) != 1:
        raise Refused("usage", f"usage: {usage}")
    return arguments[0]


def packed_address(text: str) -> bytes:
    try:
        return address.pack(text)
    except address.AddressError as error:
        raise Refused("bad_address", f"{error}; give one address, without port") from None


def take_options(arguments: list[str], known: set[str], usage: str) -> dict[str, str]:
    """Take `--name value` out of the arguments; `--because` takes all words that follow, whatever they look like.

    They may be somebody else's: a filter passes on what a client wrote, and that must not become an option.
    """
    options: dict[str, str] = {}
    rest: list[str] = []
    name = ""
    for word in arguments:
        if name == "--because":
            options[name] = f"{options[name]} {word}".strip()
        elif word.startswith("--"):
            if word not in known:
                raise Refused("usage", f"{word[:40]!a} is no option; {usage}")
            name = word
            options[name] = ""
        elif name and not options[name]:
            options[name] = word
        else:
            rest.append(word)
    arguments[:] = rest
    return options


def seconds_of(text: str) -> float:
    try:
        seconds = durations.parse_duration(text)
    except ValueError as error:
        raise Refused("usage", f"{error}; write 90s, 10m, 1h or 7d") from None
    if not 0 < seconds <= _LONGEST:
        raise Refused("usage", f"--for {text} makes no sense; leave it out to have it for ever")
    return seconds
