"""A few networks that an operator has named, and whether an address lies in one of them."""

from collections.abc import Iterable

from frontproxy.core.address import pack


class Networks:
    """Looks through its networks one after the other: for a handful, not for a list of a million."""

    def __init__(self, networks: Iterable[str]) -> None:
        """From networks in CIDR notation with their prefix lengths (`192.0.2.0/24`). Raises ValueError for others."""
        self._prefixes = tuple([_compiled(text) for text in networks])

    def hold(self, packed: bytes) -> bool:
        """A packed address (`core.address.pack`) lies in one of them."""
        size = len(packed)
        number = int.from_bytes(packed, "big")
        return any(size == its_size and number >> shift == prefix for its_size, shift, prefix in self._prefixes)


def _compiled(text: str) -> tuple[int, int, int]:
    """How many octets its addresses have, how many bits may differ, and the bits before them."""
    address, _slash, length = text.partition("/")
    packed = pack(address)
    bits = int(length) - (96 if ":" in address and len(packed) == 4 else 0)  # ::ffff:192.0.2.0/120 is IPv4
    shift = 8 * len(packed) - bits
    if not 0 <= shift <= 8 * len(packed):
        raise ValueError(f"{text!a} has no such prefix")
    return len(packed), shift, int.from_bytes(packed, "big") >> shift
