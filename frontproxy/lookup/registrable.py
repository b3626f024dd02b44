"""Registrable domains by the public suffix list, as far as they may stand for a provider.

Both sections of the list count. Below a private suffix (`uk.com`, `dyndns.org`) names belong to many who have nothing
to do with each other, just as below `co.uk`; taking only the section of the registries would make one provider of them.
The list is part of the library: nothing is fetched.
"""

from collections.abc import Iterable

from publicsuffixlist import PublicSuffixList

from frontproxy.core.names import GENERIC, is_below


class Domains:
    """Knows where registrable domains end, and which of them are no provider."""

    def __init__(self, generic: Iterable[str] = ()) -> None:
        """`generic`: domains that are no provider, beside those known to be none; takes 50 ms."""
        self._generic = GENERIC | {domain.lower().strip(".") for domain in generic}
        self._suffixes = PublicSuffixList()

    def of(self, name: str) -> str:
        """The registrable domain of a host name; empty if it has none, or is of no provider."""
        if not name or is_below(name, self._generic):
            return ""
        return self._suffixes.privatesuffix(name) or ""
