"""Who talked before the greeting, as Postfix' postscreen logs it.

What postscreen does with such a client is the operator's choice. If it lets it through, the smtpd that gets the session
logs its end, and the early talk is told with that; which needs `smtpd_client_port_logging`, without which nobody can
say whose session it was. If it keeps it, its own `DISCONNECT` is the end. Its other lines (CONNECT, PASS, DNSBL, its
rejects) tell nothing that a session of ours could be credited or blamed for: that client never reached a mail server.
"""

from collections import OrderedDict

from frontproxy.logs.postfix_lines import PREGREET, SCREENED
from frontproxy.logs.postfix_session import address_of
from frontproxy.logs.seen import Seen, Sense
from frontproxy.wire.outcome_line import OutcomeLine

EARLY_CLIENTS = 20_000
"""Those that are remembered until their session goes on or ends; the oldest are forgotten first."""


class Postscreen:
    """Early talkers between their first words and what becomes of them."""

    def __init__(self) -> None:
        self._early: OrderedDict[bytes, None] = OrderedDict()

    def read(self, line: bytes, at: int, origin: bytes, when: float) -> Seen | Sense:
        """A line of postscreen, whose text begins `at` there."""
        if early := PREGREET.match(line, at):
            self._early[_key(origin, early[1])] = None
            if len(self._early) > EARLY_CLIENTS:
                self._early.popitem(last=False)
            return Sense.UNDERSTOOD
        screened = SCREENED.match(line, at)
        if screened is None:
            return Sense.TELLS_NOTHING
        where = address_of(screened[1]) if self._forget(_key(origin, screened[1])) else None
        if where is None:
            return Sense.UNDERSTOOD
        text = origin.decode("ascii", "replace")
        outcome = OutcomeLine(client=where[0], port=where[1], ended=when, end="refused", stage="connect", early=True)
        return Seen(outcome, "", text, text.partition(" ")[2].partition("[")[0])

    def was_early(self, origin: bytes, client: bytes) -> bool:
        """Whether the client of this new session, as logged by an smtpd, had talked early; tells it once."""
        return bool(self._early) and self._forget(_key(origin, client[client.index(b"[") :]))

    def _forget(self, key: bytes) -> bool:
        return self._early.pop(key, 1) is None


def _key(origin: bytes, client: bytes) -> bytes:
    """One client's connection to one host: postscreen and smtpd are different processes."""
    return origin[: origin.index(b" ")] + client
