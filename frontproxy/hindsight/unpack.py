"""The octets of a log, plain or packed: known by how it begins, whatever it is called, and read piece by piece.

A packed log costs time, never memory: a piece has a limit, and so has all that the program may take that reads it.
"""

import bz2
import gzip
import io
import lzma
import sys
import zlib
from typing import BinaryIO, Final, Protocol

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


PIECE: Final = 1 << 18
"""The most octets that are read at once."""

_HEAD: Final = 6
_NO_NUMBER: Final = None  # the errno of an OSError that bz2 and gzip raise for damage


class Counted(io.RawIOBase):
    """A file that tells how far it was read, and of which the first octets can be seen before."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.head = b""
        while len(self.head) < _HEAD and (more := file.read(_HEAD - len(self.head))):
            self.head += more
        self._unread = self.head
        self.position = 0
        """Octets that were read."""

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]  # io calls it with nothing else
        """Read into the buffer; how much that was."""
        data = self._unread or self._file.read(len(buffer))
        data, self._unread = data[: len(buffer)], data[len(buffer) :]
        buffer[: len(data)] = data
        self.position += len(data)
        return len(data)

    def close(self) -> None:
        """Close the file with it."""
        self._file.close()
        super().close()


class _Reads(Protocol):
    """A stream that is read."""

    def read1(self, size: int, /) -> bytes: ...
    def close(self) -> None: ...


class Octets:
    """What is in a log. `file` is unbuffered, so that a pipe gives what it has."""

    def __init__(self, file: BinaryIO) -> None:
        self._counted = Counted(file)
        self._stream = _unpacked(self._counted.head, io.BufferedReader(self._counted, PIECE))

    @property
    def position(self) -> int:
        """Octets of the file that were read, packed as they are."""
        return self._counted.position

    def read(self) -> bytes:
        """The next piece, of `PIECE` octets at most; empty at the end.

        Raises OSError, or Damaged for a packed log that is damaged or ends too early.
        """
        try:
            return self._stream.read1(PIECE)
        except MemoryError:
            raise Damaged("unpacking it would take too much memory") from None
        except (EOFError, zlib.error, lzma.LZMAError, zstd.ZstdError) as error:
            raise Damaged(_why(error)) from None
        except OSError as error:
            if error.errno is not _NO_NUMBER:
                raise
            raise Damaged(_why(error)) from None

    def close(self) -> None:
        """Close the file."""
        self._stream.close()
        self._counted.close()


class Damaged(Exception):
    """A packed log cannot be read to its end; says why."""


def _unpacked(head: bytes, file: io.BufferedReader) -> _Reads:
    if head.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=file)
    if head.startswith(b"\xfd7zXZ\0"):
        return lzma.LZMAFile(file)
    if head.startswith(b"BZh"):
        return bz2.BZ2File(file)
    is_skippable = head[1:4] == b"\x2a\x4d\x18" and head[0] & 0xF0 == 0x50  # RFC 8878 section 3.1.2
    if is_skippable or head.startswith(b"\x28\xb5\x2f\xfd"):
        return zstd.ZstdFile(file)
    return file


def _why(error: Exception) -> str:
    return "it ends in the middle" if isinstance(error, EOFError) else str(error) or type(error).__name__
