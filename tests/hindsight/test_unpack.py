"""Logs are unpacked by how they begin, whatever they are called, and damage is told."""

import bz2
import gzip
import io
import lzma
import random
import tracemalloc
from collections.abc import Callable

import pytest
from backports import zstd

from frontproxy.hindsight.unpack import PIECE, Damaged, Octets

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gz": gzip.compress,
    "bz2": lambda data: bz2.compress(data, 1),
    "xz": lambda data: lzma.compress(data, preset=0),
    "zst": lambda data: zstd.compress(data, options={zstd.CompressionParameter.checksum_flag: 1}),  # as zstd(1) does
}
PACKED = {name: packer for name, packer in PACKERS.items() if name != "plain"}
LINE = b"Nov 22 20:00:00 mx postfix/smtpd[7]: connect from unknown[192.0.2.1]\n"


def all_of(packed: bytes) -> bytes:
    octets = Octets(io.BytesIO(packed))
    data = b"".join(iter(octets.read, b""))
    assert octets.position == len(packed)
    octets.close()
    return data


def noise(length: int) -> bytes:
    return random.Random(1).randbytes(length)


@pytest.mark.parametrize("pack", PACKERS.values(), ids=PACKERS)
@pytest.mark.parametrize("data", [b"", b"x", LINE, LINE * 10_000], ids=["nothing", "an octet", "a line", "many lines"])
def test_what_was_packed_comes_out_again(pack: Callable[[bytes], bytes], data: bytes) -> None:
    assert all_of(pack(data)) == data


@pytest.mark.parametrize("pack", PACKED.values(), ids=PACKED)
def test_packed_logs_that_were_concatenated_are_read_to_the_end(pack: Callable[[bytes], bytes]) -> None:
    assert all_of(pack(LINE) + pack(LINE * 2)) == LINE * 3


@pytest.mark.parametrize("pack", PACKED.values(), ids=PACKED)
def test_a_packed_log_that_ends_too_early_gives_what_it_has_and_says_so(pack: Callable[[bytes], bytes]) -> None:
    data = LINE * 100 + noise(400_000)
    packed = pack(data)
    octets = Octets(io.BytesIO(packed[: len(packed) * 19 // 20]))

    got = octets.read()
    with pytest.raises(Damaged, match="it ends in the middle"):
        all(iter(octets.read, b""))

    assert got
    assert data.startswith(got)


@pytest.mark.parametrize("pack", PACKED.values(), ids=PACKED)
def test_a_damaged_log_is_told(pack: Callable[[bytes], bytes]) -> None:
    packed = bytearray(pack(noise(100_000).hex().encode()))
    packed[1000:1100] = noise(100)

    with pytest.raises(Damaged):
        all_of(bytes(packed))


def test_garbage_after_a_packed_log_is_told() -> None:
    with pytest.raises(Damaged, match="Not a gzipped file"):
        all_of(gzip.compress(LINE) + b"garbage")


def test_a_zstd_log_may_begin_with_a_skippable_frame() -> None:
    assert all_of(b"\x50\x2a\x4d\x18\x04\0\0\0abcd" + zstd.compress(LINE)) == LINE


@pytest.mark.parametrize("pack", PACKED.values(), ids=PACKED)
def test_what_unpacks_to_very_much_comes_in_pieces(pack: Callable[[bytes], bytes]) -> None:
    octets = Octets(io.BytesIO(pack(bytes(13_000_000))))
    tracemalloc.start()
    try:
        total = 0
        while piece := octets.read():
            assert len(piece) <= PIECE
            total += len(piece)
        assert tracemalloc.get_traced_memory()[1] < 12_000_000  # eight are the dictionary of xz
    finally:
        tracemalloc.stop()

    assert total == 13_000_000


class _Pipe(io.BytesIO):
    """A file that gives an octet at a time, as a pipe may."""

    def read(self, _size: int | None = -1, /) -> bytes:
        return super().read(1)


def test_a_pipe_that_gives_an_octet_at_a_time_is_recognised_all_the_same() -> None:
    octets = Octets(_Pipe(gzip.compress(LINE)))

    assert b"".join(iter(octets.read, b"")) == LINE
