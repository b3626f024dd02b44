"""Mistakes: one line each, sorted as a person reads the file."""

import pytest

from frontproxy.core.mistakes import Mistake, Mistaken

UNKNOWN = Mistake("config.toml", 12, "pool.nice.session", "there is no such key", "did you mean sessions?")
LATER = Mistake("config.toml", 103, "mode", "there is no such mode", 'write "enforce" or "observe"')
ANYWHERE = Mistake("config.toml", 0, "route", "there are no routes", "add one")
OF_A_LIST = Mistake("lists/partners.cidr", 3, "", "'x' is no network", "write 192.0.2.0/24")


@pytest.mark.parametrize(
    ("mistake", "line"),
    [
        (UNKNOWN, "config.toml:12: pool.nice.session: there is no such key; did you mean sessions?"),
        (ANYWHERE, "config.toml: route: there are no routes; add one"),
        (OF_A_LIST, "lists/partners.cidr:3: 'x' is no network; write 192.0.2.0/24"),
        (Mistake("", 0, "list", "no memory", "try again"), "list: no memory; try again"),
    ],
)
def test_a_mistake_says_where_what_and_the_remedy(mistake: Mistake, line: str) -> None:
    assert str(mistake) == line


def test_all_mistakes_are_told_at_once_by_file_and_line() -> None:
    mistaken = Mistaken([OF_A_LIST, LATER, UNKNOWN, ANYWHERE])

    assert mistaken.mistakes == [ANYWHERE, UNKNOWN, LATER, OF_A_LIST]
    assert str(mistaken).splitlines() == [str(mistake) for mistake in (ANYWHERE, UNKNOWN, LATER, OF_A_LIST)]
