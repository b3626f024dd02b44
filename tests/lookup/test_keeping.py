"""How long and how much of what was said is kept."""

import pytest

from frontproxy.lookup.keeping import CODES_KEPT
from tests.lookup.desks import (
    list_said,
    name_said,
    voting_office,
)


@pytest.mark.parametrize(("ttl", "holds"), [(0, 60), (59, 60), (300, 300), (86400, 3600)])
@pytest.mark.parametrize("codes", [(), ("127.0.0.2",)])
def test_an_answer_of_a_list_holds_a_minute_to_an_hour(ttl: int, holds: float, codes: tuple[str, ...]) -> None:
    with voting_office() as office:
        office.ask()
        office.answer(list_said(office.asked()[0], "bl.example", *codes, ttl=ttl))

        assert office.hearsay().lists[0].until == office.now + holds


@pytest.mark.parametrize(("ttl", "holds"), [(0, 600), (3600, 3600), (1 << 30, 86400)])
def test_a_name_holds_ten_minutes_to_a_day(ttl: int, holds: float) -> None:
    with voting_office() as office:
        office.ask()
        office.answer(name_said(office.asked()[0], ttl=ttl))
        name = office.hearsay().name

        assert name
        assert name.until == office.now + holds


def test_a_list_that_gives_a_thousand_replies_takes_no_more_room_than_others() -> None:
    with voting_office() as office:
        office.ask()
        office.answer(list_said(office.asked()[0], "bl.example", *[f"127.0.1.{n % 256}" for n in range(1000)]))

        assert len(office.hearsay().lists[0].codes) == CODES_KEPT
