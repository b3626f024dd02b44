"""From list files to a table, within one process."""

import io
import os
from pathlib import Path

import pytest

from frontproxy.core.address import pack
from frontproxy.core.mistakes import Mistake
from frontproxy.observe import lists
from frontproxy.observe.cidr import LINE_LIMIT
from frontproxy.observe.list_compiler import (
    MISTAKES_SHOWN,
    ListSource,
    Result,
    compile_into,
    order_from_json,
    order_to_json,
)
from frontproxy.observe.lists import ListBook, Match


def _compile(*sources: ListSource) -> Result:
    return compile_into(sources, io.BytesIO())


def _book(*sources: ListSource) -> ListBook:
    memory = io.BytesIO()
    result = compile_into(sources, memory)
    assert result.mistakes == ()
    return ListBook(memory.getvalue(), result.counts, result.entries)


def _mistakes_of(path: Path, content: bytes) -> tuple[Mistake, ...]:
    path.write_bytes(content)
    return _compile(ListSource("ours", str(path))).mistakes


def test_a_file_and_the_configuration_make_one_list(tmp_path: Path) -> None:
    file = tmp_path / "ours.cidr"
    file.write_text("198.51.100.0/24\n")

    book = _book(ListSource("other", None), ListSource("ours", str(file), ("192.0.2.1", "192.0.2.0/24")))

    assert book.entries == 3
    assert book.find(pack("198.51.100.7")) == (Match(1, 24),)
    assert book.find(pack("192.0.2.1")) == (Match(1, 32),)
    assert book.find(pack("192.0.2.2")) == (Match(1, 24),)
    assert book.find(pack("192.0.3.0")) == ()


def test_matches_come_in_the_order_of_the_lists_whatever_nests_in_what() -> None:
    book = _book(ListSource("inner", None, ("2001:db8::1",)), ListSource("outer", None, ("2001:db8::/32", "::/0")))

    assert book.find(pack("2001:db8::1")) == (Match(0, 128), Match(1, 32))
    assert book.find(pack("2001:db8::2")) == (Match(1, 32),)
    assert book.find(pack("2001:db9::2")) == (Match(1, 0),)


def test_ipv4_and_ipv6_do_not_hold_each_other() -> None:
    book = _book(ListSource("six", None, ("::/0",)))

    assert book.find(pack("::ffff:192.0.2.1")) == ()
    assert book.find(pack("::192.0.2.1")) == (Match(0, 0),)


def test_the_same_answer_is_the_same_object() -> None:
    book = _book(ListSource("ours", None, ("192.0.2.0/24", "198.51.100.0/24")))

    assert book.find(pack("192.0.2.1")) is book.find(pack("198.51.100.1"))


def test_more_answers_than_are_kept_are_still_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "_KEPT", 2)
    book = _book(*[ListSource(f"list{number}", None, (f"192.0.2.{number}",)) for number in range(9)])

    for _ in range(2):
        assert [book.find(pack(f"192.0.2.{number}")) for number in range(9)] == [(Match(n, 32),) for n in range(9)]


def test_ends_of_lines_comments_and_a_byte_order_mark_are_tolerated(tmp_path: Path) -> None:
    file = tmp_path / "windows.cidr"
    file.write_bytes("\ufeff192.0.2.1\r\n\r\n# \xe9\r192.0.2.2 # ours\r\n".encode() + b"# \xe9\xff\n192.0.2.3")

    assert _book(ListSource("ours", str(file))).entries == 3


def test_each_bad_line_is_a_mistake_of_its_own(tmp_path: Path) -> None:
    mistakes = _mistakes_of(tmp_path / "bad.cidr", b"192.0.2.1\nnonsense\n\n192.0.2.1/24 # us\n")

    assert [(mistake.line, mistake.what) for mistake in mistakes] == [
        (2, "'nonsense' is not a network"),
        (4, "'192.0.2.1/24' has bits set after its prefix"),
    ]
    assert {mistake.file for mistake in mistakes} == {str(tmp_path / "bad.cidr")}


def test_beyond_twenty_bad_lines_are_only_counted(tmp_path: Path) -> None:
    mistakes = _mistakes_of(tmp_path / "bad.cidr", b"x\n" * 1000)

    assert len(mistakes) == MISTAKES_SHOWN + 1
    assert mistakes[-1].line == MISTAKES_SHOWN + 1
    assert "980 more" in mistakes[-1].what


def test_mistakes_of_all_lists_are_told_at_once(tmp_path: Path) -> None:
    result = _compile(
        ListSource("one", str(tmp_path / "missing")),
        ListSource("two", str(tmp_path)),
        ListSource("three", None, ("192.0.2.0/99",)),
    )

    assert [mistake.key for mistake in result.mistakes] == ["list.three.networks", "", ""]
    assert [mistake.what for mistake in result.mistakes[1:]] == [
        "cannot be read (it is a folder)",
        "cannot be read (No such file or directory)",
    ]


def test_a_fifo_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")

    (mistake,) = _compile(ListSource("ours", str(tmp_path / "fifo"))).mistakes

    assert "not a regular file" in mistake.what


@pytest.mark.parametrize("content", [b"192.0.2.1\n\0\0\0", "192.0.2.1".encode("utf-16"), b"\n" + b"1" * 3_000_000])
def test_what_is_not_text_is_one_mistake(tmp_path: Path, content: bytes) -> None:
    (mistake,) = _mistakes_of(tmp_path / "binary", content)

    assert mistake.line <= 2
    assert "NUL" in mistake.what or str(LINE_LIMIT - 1) in mistake.what


def test_bytes_that_are_no_utf8_within_a_network_are_a_mistake_of_their_line(tmp_path: Path) -> None:
    (mistake,) = _mistakes_of(tmp_path / "latin", b"192.0.2.1\n\xe9\xff\n")

    assert mistake.line == 2
    assert str(mistake).isascii()


def test_an_empty_file_is_an_empty_list(tmp_path: Path) -> None:
    file = tmp_path / "empty"
    file.touch()

    book = _book(ListSource("ours", str(file)))

    assert book.entries == 0
    assert book.find(pack("192.0.2.1")) == ()


def test_too_many_lists_are_refused() -> None:
    (mistake,) = _compile(*[ListSource("l", None)] * 65537).mistakes

    assert "65537 lists" in mistake.what


def test_orders_and_results_survive_their_json() -> None:
    sources = (ListSource("ours", "/lists/\udcff", ("192.0.2.1",)), ListSource("é", None))
    result = Result((Mistake("/f", 3, "", "what", "remedy"),), 7, (1, 2))

    assert order_from_json(order_to_json(sources)) == sources
    assert Result.from_json(result.to_json().encode()) == result
