"""Pins: an operator's word about a client or a network, in a file of their own that outlives the history.

The longest prefix wins, and a pin whose time is over is none. The file is TOML and may be edited by hand; it is written
whole, to a temporary name, and takes its place only when it is on disk.
"""

import os
import tomllib
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple, Self

from frontproxy.core.address import AddressError, pack, unpack
from frontproxy.core.mistakes import Mistake, Mistaken
from frontproxy.core.toml_text import dumps

TEXT_LIMIT = 200
"""Characters that the reason of a pin may have."""

_REMEDY = "correct it, or move the file away to begin without pins"
_HEADING = "# Pins, written by `frontproxy pin`; until and made are seconds since 1970.\n\n"
_LATEST = 1e11  # seconds since 1970; beyond it a number is no time


class PinError(ValueError):
    """What was asked for cannot be pinned; says which value and what to do."""


@dataclass(frozen=True, slots=True)
class Pin:
    """Clients of `network` go to `pool`, whatever their score."""

    network: str
    """As the operator wrote it: `192.0.2.1`, `192.0.2.0/24`, `2001:db8::1` (its /64)."""
    pool: str
    until: float | None
    """Seconds since 1970; None for always."""
    because: str
    made: float
    """Seconds since 1970."""

    def holds(self, now: float) -> bool:
        """Whether its time is not over."""
        return self.until is None or now < self.until


class _Prefix(NamedTuple):
    """Where a pin is found: the bits of an address of this family that it must begin with."""

    width: int
    """32 or 128 bits."""
    length: int
    bits: int


class Pins:
    """All pins of one file. Changing them blocks until the file is on disk; finding one never does."""

    def __init__(self, path: Path, pins: Iterable[Pin] = ()) -> None:
        """Raises PinError for a pin whose network is none."""
        self._path = path
        self._adopt({_prefix(pin.network): pin for pin in pins})

    @classmethod
    def load(cls, path: Path) -> Self:
        """The pins in a file; none if there is no file. Raises Mistaken for a file that cannot be used."""
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return cls(path)
        except (OSError, UnicodeDecodeError) as error:
            raise Mistaken([Mistake(str(path), 0, "", f"cannot be read ({error})", _REMEDY)]) from None
        try:
            entries = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise Mistaken([Mistake(str(path), 0, "", f"is not TOML: {error}", _REMEDY)]) from None
        return cls(path, _pins_of(entries, path))

    def refresh(self) -> None:
        """Read the file again, for it may have been edited. Raises Mistaken, and keeps what it knew."""
        self._adopt(type(self).load(self._path)._pins)

    def find(self, packed: bytes, now: float) -> Pin | None:
        """The pin that holds for a packed address (4 or 16 bytes): the one with the longest prefix."""
        width = 8 * len(packed)
        lengths = self._lengths.get(width)
        if not lengths:
            return None
        address = int.from_bytes(packed, "big")
        for length in lengths:
            pin = self._pins.get(_Prefix(width, length, address >> (width - length)))
            if pin and pin.holds(now):
                return pin
        return None

    def add(self, pin: Pin) -> None:
        """Pin a network, in place of an earlier pin of the same. Raises PinError, or OSError from the disk."""
        _check(pin)
        holding = {prefix: other for prefix, other in self._pins.items() if other.holds(pin.made)}
        self._write({**holding, _prefix(pin.network): pin})

    def remove(self, network: str) -> bool:
        """Unpin exactly this network; tells whether it was pinned. Raises PinError, or OSError from the disk."""
        prefix = _prefix(network)
        if prefix not in self._pins:
            return False
        self._write({other: pin for other, pin in self._pins.items() if other != prefix})
        return True

    def all(self, now: float) -> list[Pin]:
        """The pins that hold, by address, wider networks first."""
        prefixes = sorted(
            self._pins, key=lambda prefix: (prefix.width, prefix.bits << (prefix.width - prefix.length), prefix.length)
        )
        return [self._pins[prefix] for prefix in prefixes if self._pins[prefix].holds(now)]

    def _adopt(self, pins: dict[_Prefix, Pin]) -> None:
        self._pins = pins
        self._lengths = {
            width: sorted({prefix.length for prefix in pins if prefix.width == width}, reverse=True)
            for width in (32, 128)
        }

    def _write(self, pins: dict[_Prefix, Pin]) -> None:
        entries = [{name: value for name, value in asdict(pin).items() if value is not None} for pin in pins.values()]
        _write_whole(self._path, _HEADING + dumps({"pin": entries}))
        self._adopt(pins)


def _prefix(network: str) -> _Prefix:
    """What a client or network, as people write it, covers."""
    address, slash, length_text = network.partition("/")
    if "%" in network:
        raise PinError(f"{network[:60]!a} has a scope; a pin holds on every interface, so leave it out")
    try:
        packed = pack(address)
    except AddressError as error:
        raise PinError(f"{error}; write 192.0.2.1, 192.0.2.0/24, 2001:db8::1 or 2001:db8::/32") from None
    width = 8 * len(packed)
    bits = int.from_bytes(packed, "big")
    if not slash:
        length = 32 if width == 32 else 64  # a client is an IPv4 address or an IPv6 /64
        return _Prefix(width, length, bits >> (width - length))
    mapped = 96 if width == 32 and ":" in address else 0  # ::ffff:192.0.2.0/120 is 192.0.2.0/24
    length = (
        int(length_text) - mapped if length_text.isascii() and length_text.isdecimal() and len(length_text) < 4 else -1
    )
    if not 0 <= length <= width:
        raise PinError(f"{network[:60]!a} has no prefix length from {mapped} to {width + mapped}")
    prefix = bits >> (width - length)
    if prefix << (width - length) != bits:
        right = unpack((prefix << (width - length)).to_bytes(len(packed), "big"))
        raise PinError(f"{network} has bits set beyond its prefix length; the network is {right}/{length}")
    return _Prefix(width, length, prefix)


def _check(pin: Pin) -> None:
    """Raise PinError for what could not be read back from the file, or would not be safe to show."""
    _prefix(pin.network)
    if not pin.pool:
        raise PinError("the pool is empty; name a pool of the configuration")
    for name, text in (("pool", pin.pool), ("because", pin.because)):
        # The library that writes TOML mistakes some texts with backslashes.
        if not text.isprintable() or "\\" in text or len(text) > TEXT_LIMIT:
            raise PinError(
                f"{name} {text[:60]!a} cannot be kept; at most {TEXT_LIMIT} printable characters, without backslashes"
            )
    for name, moment in (("until", pin.until), ("made", pin.made)):
        if moment is not None and not 0 <= moment < _LATEST:
            raise PinError(f"{name} is {moment!r}, which is no time in seconds since 1970")


def _pins_of(entries: dict[str, Any], path: Path) -> list[Pin]:
    """The pins in a file's entries. Raises Mistaken with all that is wrong with them."""
    mistakes = [
        Mistake(str(path), 0, key, "is unknown; the file holds [[pin]] tables only", _REMEDY)
        for key in entries
        if key != "pin"
    ]
    tables = entries.get("pin", [])
    if not isinstance(tables, list):
        mistakes.append(Mistake(str(path), 0, "pin", "is not a list of [[pin]] tables", _REMEDY))
        tables = []
    pins = []
    for number, table in enumerate(tables, start=1):
        try:
            pins.append(_pin_of(table))
        except PinError as error:
            mistakes.append(Mistake(str(path), 0, f"pin number {number}", str(error), _REMEDY))
    if mistakes:
        raise Mistaken(mistakes)
    return pins


def _pin_of(table: object) -> Pin:
    if not isinstance(table, dict):
        raise PinError("it is not a table")
    unknown = table.keys() - {field.name for field in fields(Pin)}
    if unknown:
        raise PinError(f"{min(unknown)!a} is unknown")
    for name in ("network", "pool"):
        if not isinstance(table.get(name), str):
            raise PinError(f"{name} is missing or no text")
    because = table.get("because", "")
    if not isinstance(because, str):
        raise PinError("because is no text")
    until, made = table.get("until"), table.get("made", 0.0)
    for name, moment in (("until", until), ("made", made)):
        if moment is not None and (isinstance(moment, bool) or not isinstance(moment, int | float)):
            raise PinError(f"{name} is no number (seconds since 1970)")
    pin = Pin(table["network"], table["pool"], until, because, made)
    _check(pin)
    return pin


def _write_whole(path: Path, text: str) -> None:
    """Replace a file in one step; readable by its owner only."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
