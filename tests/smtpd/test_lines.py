"""The reader of command lines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.smtpd.lines import LineReader
from backends.smtpd.replies import BARE_LINE_END, LINE_TOO_LONG, ProtocolError


def test_a_line_comes_without_its_end() -> None:
    reader = LineReader(512)
    reader.feed(b"NOOP\r\nQU")
    assert reader.next_line() == b"NOOP"
    assert reader.next_line() is None
    reader.feed(b"IT\r\n")
    assert reader.next_line() == b"QUIT"


@pytest.mark.parametrize("line", [b"a\nb\r\n", b"a\rb\r\n", b"a\r\r\n", b"\n"])
def test_a_bare_cr_or_lf_closes(line: bytes) -> None:
    reader = LineReader(512)
    reader.feed(line)
    with pytest.raises(ProtocolError) as refusal:
        reader.next_line()
    assert refusal.value.close


def test_a_line_at_the_limit_is_read_and_one_beyond_is_not() -> None:
    reader = LineReader(512)
    reader.feed(b"x" * 512 + b"\r\n" + b"x" * 513 + b"\r\nNOOP\r\n")
    assert reader.next_line() == b"x" * 512
    with pytest.raises(ProtocolError) as refusal:
        reader.next_line()
    assert not refusal.value.close
    assert reader.next_line() == b"NOOP"


def test_an_endless_line_is_not_kept_and_not_waited_for() -> None:
    reader = LineReader(512)
    answer = None
    for _turn in range(100):
        reader.feed(b"x" * 1000)
        answer = _line_or_refusal(reader)
        if answer is not None:
            break
        assert len(reader) == 514
    assert answer == LINE_TOO_LONG.text


@given(st.lists(st.binary(max_size=20), max_size=6), st.integers(1, 9))
def test_chunking_never_changes_lines(parts: list[bytes], size: int) -> None:
    data = b"\r\n".join(parts) + b"\r\n"
    assert _lines(data, len(data)) == _lines(data, size)


def _lines(data: bytes, size: int) -> list[bytes | str]:
    """Lines and refusals in order, until one of them would close the session."""
    reader = LineReader(15)
    lines: list[bytes | str] = []
    for start in range(0, len(data), size):
        reader.feed(data[start : start + size])
        while (line := _line_or_refusal(reader)) is not None:
            lines.append(line)
            if line == BARE_LINE_END.text:
                return lines
    return lines


def _line_or_refusal(reader: LineReader) -> bytes | str | None:
    try:
        return reader.next_line()
    except ProtocolError as refusal:
        return refusal.reply.text
