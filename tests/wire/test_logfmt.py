"""Log lines: one event is one line that can be read back, whatever a client put into its values."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from frontproxy.wire.logfmt import format_line

_WORD = re.compile(r'([a-z]+)=("(?:[^"\\]|\\.)*"|[^ "\\]*)(?: |\Z)')
_anything = st.characters(exclude_categories=[])  # surrogates too
_odd = st.sampled_from([" ", "event=", "client=", "=", "\n", "\x1b[2J", '"', "\\", "\x85", "\u2028", "\ud800", "x"])
_texts = st.text(_anything, max_size=20) | st.lists(_odd, max_size=8).map("".join)


def read_back(line: str) -> list[tuple[str, str]]:
    words = []
    position = 0
    while position < len(line):
        word = _WORD.match(line, position)
        assert word, line[position:]
        name, value = word.groups()
        if value.startswith('"'):
            value = value[1:-1].encode("ascii").decode("unicode_escape")
        words.append((name, value))
        position = word.end()
    return words


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("history:9.7,list:partners:30.0", "history:9.7,list:partners:30.0"),
        ("tcp:192.0.2.1:25?proxy=v2", "tcp:192.0.2.1:25?proxy=v2"),
        ("", ""),
        ("two words", '"two words"'),
        ('say "hi"', r'"say \"hi\""'),
        ("C:\\temp", r'"C:\\temp"'),
        ("a\r\nb\tc", r'"a\r\nb\tc"'),
        ("\x00\x1b\x7f\x9b", r'"\x00\x1b\x7f\x9b"'),
        ("é\u2028\U0001f600", r'"\xe9\u2028\U0001f600"'),
        ("\ud800", r'"\ud800"'),
        ("x event=handover client=192.0.2.1", r'"x\x20event=handover\x20client=192.0.2.1"'),
        ("a = b", '"a = b"'),
        (True, "yes"),
        (False, "no"),
        (0, "0"),
        (-17, "-17"),
        (12.5, "12.5"),
        (100.0, "100"),
        (0.0004, "0"),
        (-0.0, "0"),
        (-0.0004, "0"),
        (-0.25, "-0.25"),
        (1700000000.1234, "1700000000.123"),
        (1.5e300, "1.5e+300"),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (ValueError("no\nway"), r'"no\nway"'),
    ],
)
def test_a_value_is_plain_or_quoted(value: object, shown: str) -> None:
    assert format_line("test", {"value": value}) == f"event=test value={shown}"


def test_words_keep_their_order_and_what_is_none_is_left_out() -> None:
    assert format_line("refused", {"why": "route", "reply": None, "ms": 2}) == "event=refused why=route ms=2"
    assert format_line("ready", {}) == "event=ready"


@pytest.mark.parametrize(("text", "kept"), [("x" * 1000, "x" * 1000), ("x" * 1001, "x" * 1000 + "...")])
def test_a_plain_value_is_cut_at_a_thousand_characters(text: str, kept: str) -> None:
    assert format_line("test", {"value": text}) == f"event=test value={kept}"


def test_a_quoted_value_is_cut_before_it_is_escaped() -> None:
    assert format_line("test", {"value": "\n" * 2000}) == 'event=test value="' + r"\n" * 1000 + '..."'


@given(_texts, _texts)
@example("", 'x" event=handover client="192.0.2.1')
@example("\\", '" event=handover')
def test_a_line_reads_back_as_what_was_logged(why: str, client: str) -> None:
    line = format_line("refused", {"why": why, "client": client})

    assert read_back(line) == [("event", "refused"), ("why", why), ("client", client)]


@given(_texts, _texts)
def test_no_value_ends_the_line_or_reaches_the_terminal(why: str, client: str) -> None:
    line = format_line("refused", {"why": why, "client": client})

    assert line.isascii()
    assert line.isprintable()


@given(_texts, _texts)
def test_no_value_poses_as_a_word_of_the_line(why: str, client: str) -> None:
    line = format_line("refused", {"why": why, "client": client})

    keys = [word.partition("=")[0] for word in line.split() if re.match(r"[a-z]+=", word)]
    assert keys == ["event", "why", "client"]
