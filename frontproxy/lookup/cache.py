"""What is kept of hearsay: a bounded number of addresses, of which the longest unused go first.

What lists say is kept by client, as all that we know is: a host has a whole /64 of IPv6 addresses, and must not have
the lists asked about each of them. A name belongs to its address.

Each is kept as one text. As objects, the answers of fifty thousand addresses take more than twice the memory, and the
garbage collector looks through them all, in which time nobody is served; a text it never looks into.
"""

import json
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from frontproxy.core.address import client_of
from frontproxy.core.hearsay import NOTHING_HEARD, Hearsay, ListAnswer, NameAnswer

ADDRESSES: Final = 50_000
CHARACTERS: Final = 32 * 1024 * 1024
"""Of all texts together: long names and many lists must not take more."""

_encode = json.JSONEncoder(separators=(",", ":")).encode
_decode = json.JSONDecoder().decode


class Cache:
    """Hearsay by packed address; `now` is monotonic, in seconds."""

    def __init__(self, addresses: int = ADDRESSES, characters: int = CHARACTERS) -> None:
        self._addresses = addresses
        self._characters = characters
        self._kept: OrderedDict[bytes, str] = OrderedDict()
        self.size = 0
        """Characters that are kept now."""

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, packed: bytes, now: float) -> Hearsay:
        """What still holds of what was said about an address."""
        client = client_of(packed)
        if client == packed:
            return self._find(packed, now)
        lists, name = self._find(client, now).lists, self._find(packed, now).name
        return Hearsay(lists, name) if lists or name else NOTHING_HEARD

    def add(self, packed: bytes, answers: Sequence[ListAnswer | NameAnswer], now: float) -> None:
        """Keep new answers about an address; they replace what the same lists, or the name, said before."""
        client = client_of(packed)
        if client == packed:
            self._add(packed, answers, now)
            return
        if lists := [answer for answer in answers if isinstance(answer, ListAnswer)]:
            self._add(client, lists, now)
        if names := [answer for answer in answers if isinstance(answer, NameAnswer)]:
            self._add(packed, names, now)

    def _find(self, key: bytes, now: float) -> Hearsay:
        text = self._kept.get(key)
        if text is None:
            return NOTHING_HEARD
        self._kept.move_to_end(key)
        return _thaw(text, now)

    def _add(self, key: bytes, answers: Sequence[ListAnswer | NameAnswer], now: float) -> None:
        lists, name = self._find(key, now)
        said = {answer.zone: answer for answer in lists}
        for answer in answers:
            if isinstance(answer, ListAnswer):
                said[answer.zone] = answer
            else:
                name = answer
        text = _freeze(Hearsay(tuple(said.values()), name))
        self.size += len(text) - len(self._kept.pop(key, ""))
        self._kept[key] = text
        while len(self._kept) > self._addresses or self.size > self._characters:
            self.size -= len(self._kept.popitem(last=False)[1])


def _freeze(hearsay: Hearsay) -> str:
    return _encode(hearsay)


def _thaw(text: str, now: float) -> Hearsay:
    lists, name = _decode(text)
    return Hearsay(
        tuple(
            [
                ListAnswer(zone, state, tuple(codes), at, until, why)
                for zone, state, codes, at, until, why in lists
                if now < until
            ]
        ),
        NameAnswer(*name) if name and now < name[5] else None,
    )
