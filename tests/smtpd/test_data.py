"""The reader of message content."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.smtpd.data import DataReader
from backends.smtpd.replies import ProtocolError

_LINES = st.lists(st.text(alphabet=".ab\0é", max_size=5).map(str.encode), max_size=8)
_CUTS = st.lists(st.integers(0, 60), max_size=8)


def _pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(edges) if end > start]


def _stuffed(lines: list[bytes]) -> bytes:
    return b"".join((b"." + line if line.startswith(b".") else line) + b"\r\n" for line in lines) + b".\r\n"


@given(_LINES, _CUTS)
def test_what_was_stuffed_comes_out_again_however_it_is_cut(lines: list[bytes], cuts: list[int]) -> None:
    reader = DataReader()
    content = b""
    for piece in _pieces(_stuffed(lines), cuts):
        assert reader.rest is None
        content += reader.feed(piece)
    assert content == b"".join(line + b"\r\n" for line in lines)
    assert reader.rest == b""


@given(st.text(alphabet="\r\n.a", max_size=12).map(str.encode), _CUTS)
def test_cutting_never_changes_the_content(data: bytes, cuts: list[int]) -> None:
    assert _read([data + b"\r\n.\r\nrest"]) == _read(_pieces(data + b"\r\n.\r\nrest", cuts))


def _read(pieces: list[bytes]) -> tuple[bytes, bytes] | str:
    """Content and rest; a refused message is refused as a whole."""
    reader = DataReader()
    content = b""
    for number, piece in enumerate(pieces):
        try:
            content += reader.feed(piece)
        except ProtocolError:
            return "refused"
        if reader.rest is not None:
            return content, reader.rest + b"".join(pieces[number + 1 :])
    raise AssertionError("the message did not end")


@pytest.mark.parametrize("bare", [b"a\nb", b"a\rb", b"\n", b"\r\r\n", b"a\r\n\n", b"\n.\r\n", b"\r.\r\n", b".\n"])
def test_a_bare_cr_or_lf_is_refused(bare: bytes) -> None:
    with pytest.raises(ProtocolError) as refusal:
        DataReader().feed(bare + b"x")
    assert refusal.value.close


def test_what_follows_the_end_is_left_alone() -> None:
    reader = DataReader()
    assert reader.feed(b"x\r\n.\r\nbare\nline\r\n.\r\n") == b"x\r\n"
    assert reader.rest == b"bare\nline\r\n.\r\n"
