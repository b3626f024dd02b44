"""Lists compiled in a process of their own."""

from pathlib import Path

import pytest

from frontproxy.core.address import pack
from frontproxy.core.mistakes import Mistaken
from frontproxy.observe import lists
from frontproxy.observe.lists import ListSource, Match, compile_lists, empty_book
from tests.observe.memfiles import ends_with, held

OURS = [ListSource("ours", None, ("192.0.2.0/24", "2001:db8::/32"))]


async def test_compiled_lists_are_found() -> None:
    book = await compile_lists(OURS)

    assert book.entries == 2
    assert book.find(pack("192.0.2.255")) == (Match(0, 24),)
    assert book.find(pack("2001:db8:ffff::1")) == (Match(0, 32),)
    assert book.find(pack("192.0.3.0")) == ()
    book.close()


async def test_no_networks_need_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/nonexistent")

    book = await compile_lists([ListSource("empty", None, ())])

    assert book.entries == 0
    assert book.find(pack("192.0.2.1")) == ()


def test_an_empty_book_may_be_closed_and_asked_all_the_same() -> None:
    book = empty_book()
    book.close()
    book.close()

    assert book.find(pack("2001:db8::1")) == ()


async def test_a_closed_book_answers_nothing_and_holds_nothing() -> None:
    assert ends_with(0, "frontproxy-lists")
    book = await compile_lists(OURS)
    book.close()
    book.close()

    with pytest.raises(ValueError, match="released"):
        book.find(pack("192.0.2.1"))
    assert ends_with(0, "frontproxy-lists")


async def test_the_last_reference_gives_the_memory_back() -> None:
    assert ends_with(0, "frontproxy-lists")
    book = await compile_lists(OURS)
    assert held("frontproxy-lists") == 2  # the descriptor, and the one within the map

    del book

    assert ends_with(0, "frontproxy-lists")


async def test_a_bad_list_is_told_with_its_line_and_leaves_nothing(tmp_path: Path) -> None:
    assert ends_with(0, "frontproxy-lists")
    file = tmp_path / "partners.cidr"
    file.write_text("192.0.2.0/24\n192.0.2.0/24 permit\n")

    with pytest.raises(Mistaken) as caught:
        await compile_lists([ListSource("partners", str(file))])

    assert str(caught.value).startswith(f"{file}:2: '192.0.2.0/24 permit' has more than a network on its line; write")
    assert ends_with(0, "frontproxy-lists")


async def test_a_compiler_that_cannot_start_is_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/nonexistent")

    with pytest.raises(Mistaken, match=r"cannot be compiled.*No such file"):
        await compile_lists(OURS)


async def test_a_compiler_that_dies_is_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")

    with pytest.raises(Mistaken, match="ended with status 1"):
        await compile_lists(OURS)


async def test_a_compiler_that_is_not_done_in_time_is_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "COMPILE_LIMIT", 0.01)

    with pytest.raises(Mistaken, match="not done after"):
        await compile_lists(OURS)
