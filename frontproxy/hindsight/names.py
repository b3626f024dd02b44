"""Names of clients in logs, as history knows names: which domain makes a provider of them.

The mail server has verified them forward and back, as we do. A name from a log lets its session teach a provider; no
verdict relies on it, since it holds no longer than the session itself.
"""

from collections.abc import Iterable
from functools import lru_cache

from frontproxy.core.history import KnownName
from frontproxy.core.names import host_name, is_customer_name
from frontproxy.lookup.registrable import Domains

_KEPT = 20_000


class LogNames:
    """Knows the domains of names."""

    def __init__(self, generic: Iterable[str] = ()) -> None:
        """`generic`: domains that are no provider, beside those known to be none."""
        self._domains = Domains(generic)
        self._parts = lru_cache(_KEPT)(self._part)

    def of(self, text: str, packed: bytes, ended: float) -> KnownName | None:
        """What the client at an address was called until a session ended; None for what is no name."""
        name, domain = self._parts(text, packed) if text else ("", "")
        return KnownName(name, domain, ended) if name else None

    def _part(self, text: str, packed: bytes) -> tuple[str, str]:
        name = host_name(text)
        return name, self._domains.of(name) if name and not is_customer_name(name, packed) else ""
