"""Which addresses are ours: domains, and a table of local parts if there is one."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from hashlib import sha256

from backends.smtpd.commands import Address, valid_domain

_DELIMITER = "+"
_LOCAL = re.compile(r"[^\s@<>\"(),:;\\\[\]\x00-\x1f\x7f]{1,64}\Z")


class Standing(Enum):
    """What we know about a recipient address."""

    KNOWN = "it is in the table"
    UNVERIFIED = "we take it, and do not know that anybody reads it"
    UNKNOWN = "nobody here has that name"
    RELAY = "its domain is not ours"


class BadEntry(ValueError):
    """A line of the table is no local part and no address; the text says which line and why."""


@dataclass(frozen=True, slots=True)
class Recipients:
    """The addresses we take mail for. Names are compared without case."""

    domains: frozenset[str]
    """In lower case."""
    table: frozenset[str] | None = field(default=None, repr=False)
    """Local parts and full addresses in lower case; None takes every local part of `domains`."""

    def standing_of(self, address: Address) -> Standing:
        """Whether mail for this address may come in, and how sure we are of its reader."""
        if address.domain and address.domain not in self.domains:
            return Standing.RELAY
        local = address.local.lower()
        names = {local, local.partition(_DELIMITER)[0]} - {""}
        if self.table is not None and any(self._lists(name, address.domain) for name in names):
            return Standing.KNOWN
        if self.table is None or "postmaster" in names:  # RFC 5321 section 4.5.1: postmaster is always there
            return Standing.UNVERIFIED
        return Standing.UNKNOWN

    def fingerprint(self) -> str:
        """Differs when the table does: whoever read the file before has to read it again."""
        return "" if self.table is None else sha256("\n".join(sorted(self.table)).encode()).hexdigest()

    def _lists(self, name: str, domain: str) -> bool:
        return self.table is not None and (name in self.table or f"{name}@{domain}" in self.table)


def read_table(lines: Iterable[str]) -> frozenset[str]:
    """The entries of a recipients file: one local part or address a line, `#` begins a comment. Raises BadEntry."""
    entries = set()
    for number, line in enumerate(lines, start=1):
        entry = line.partition("#")[0].strip().lower()
        if not entry:
            continue
        local, at, domain = entry.partition("@")
        if not _LOCAL.match(local) or (at and not valid_domain(domain)):
            raise BadEntry(f"line {number}: {entry[:60]!a} is not a local part or an address")
        entries.add(entry)
    return frozenset(entries)
