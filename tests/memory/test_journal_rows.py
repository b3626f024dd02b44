"""Sessions and lessons survive the way to the disk, and what rots there is said to have rotted."""

import pytest

from frontproxy.core.verdict import Reason, Route
from frontproxy.memory.journal_rows import (
    REASON_LIMIT,
    End,
    Row,
    SqlValue,
    entry_from,
    entry_of,
    entry_row,
    lesson_from,
    lesson_row,
    reasons_of,
)
from tests.memory.journals import lesson, session


def test_a_session_survives_with_all_that_is_kept_of_it() -> None:
    given = session("2001:db8::1", known=True, score=7.25)
    given.verdict = given.verdict._replace(stress=("nice", "hostile"), pinned="2001:db8::/32")
    entry = entry_of(given.verdict, "hostile", 3)
    assert entry
    entry = entry._replace(end=End("lost", 0.5, 1.5, 2))

    found = entry_from((1, *entry_row(entry)))

    assert found._replace(seen=entry.seen) == entry
    assert found.seen.packed == given.packed
    assert (found.route, found.would, found.pool, found.pinned) == ("nice", "", "hostile", True)


def test_in_observe_mode_it_is_kept_where_the_rules_would_have_sent_it() -> None:
    given = session()
    given.verdict = given.verdict._replace(route=Route(pool="nice"), would=Route(reply="421 4.3.2 Later"))
    entry = entry_of(given.verdict, "nice", 1)

    assert entry
    found = entry_from((1, *entry_row(entry)))
    assert (found.pool, found.route, found.would) == ("nice", "nice", "421 4.3.2 Later")


def test_reasons_are_cut_to_size() -> None:
    verdict = session().verdict._replace(reasons=tuple(Reason(f"list:{number}", 1.0, "") for number in range(100)))
    entry = entry_of(verdict, "nice", 1)

    assert entry
    assert entry.reasons == reasons_of(verdict)[:REASON_LIMIT]
    assert entry.reasons.startswith("list:0:1.0,list:1:1.0,")


def _row() -> list[SqlValue]:
    entry = entry_of(session().verdict, "nice", 1)
    assert entry
    return [1, *entry_row(entry)]


@pytest.mark.parametrize(("column", "value"), [(1, "long ago"), (4, None), (4, b"123"), (16, None), (16, b"")])
def test_a_row_that_has_rotted_is_no_session(column: int, value: SqlValue) -> None:
    row = _row()
    row[column] = value

    with pytest.raises((TypeError, ValueError)):
        entry_from(tuple(row))


@pytest.mark.parametrize("row", [(None, b"1234", 1, "", 1.0, 0.0, 1.0), (1.0, "text", 1, "", 1.0, 0.0, 1.0)])
def test_a_row_that_has_rotted_is_no_lesson(row: Row) -> None:
    with pytest.raises(TypeError):
        lesson_from(row)


def test_a_lesson_survives() -> None:
    taught = lesson(7, domain="example.com")

    assert lesson_from(lesson_row(taught)) == taught
