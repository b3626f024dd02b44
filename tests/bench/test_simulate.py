"""The simulation: the same seed gives the same numbers, people are as assumed, and the systems do as published."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from frontproxy.core.history import Keys, KnownName, learn
from frontproxy.memory.sqlite import HistoryFile
from frontproxy.wire.outcome_line import OutcomeLine
from tests.bench.simulate_assumptions import MONTH, Assumptions
from tests.bench.simulate_flood import flood
from tests.bench.simulate_frontproxy import Frontproxy
from tests.bench.simulate_house import FIRST_RETURN, House
from tests.bench.simulate_measures import Measured, accepted, shown
from tests.bench.simulate_month import Population, month
from tests.bench.simulate_outcomes import line_of
from tests.bench.simulate_people import Fate, Land, Visit, answer
from tests.bench.simulate_plugins import Karma, RspamdReputation
from tests.bench.simulate_report import write
from tests.bench.simulate_run import SYSTEMS, rooms, run, world
from tests.bench.simulate_sides import (
    Lists,
    Memory,
    all_but_test_listed,
    everybody_listed,
    shipped_config,
    truly_listed,
)
from tests.bench.simulate_system import Judgement, Session, System
from tests.bench.simulate_systems import FirstComeFirstServed, Majority, Oracle
from tests.bench.simulate_turns import LIMIT, turn

TINY = Assumptions(
    scale=0.002, providers=2, flood_seconds=3.0, snowshoe_hosts=20, builder_bad=20, turned_sessions=20, bots_most=20
)
CERTAIN = replace(TINY, wrong=0.0, missing=0.0)
CONFIG = shipped_config()


def settled(seed: int = 1, assumptions: Assumptions = TINY) -> Population:
    people = Population(assumptions, Random(seed))
    people.settle()
    return people


def visits_of(count: int, *, at: float = 0.0, is_ham: bool = True) -> list[Visit]:
    """Sessions from as many networks, all at once."""
    land, fate = Land({}), Fate(Random(1), 0.0, 0.0, 0.0)
    senders = [land.sender(land.network(1), 1, "server", answer("missing")) for _ in range(count)]
    return [fate.visit(at, sender, is_ham=is_ham, length=2.0) for sender in senders]


def served(system: System, visits: list[Visit]) -> House:
    house = House(system, rooms(system, CONFIG), 25.0)
    assert sum(house.run(visits)) == len(visits)
    return house


def test_the_same_seed_gives_the_same_numbers() -> None:
    small = replace(TINY, scale=0.0005)
    people = [settled(assumptions=small) for _ in range(2)]
    results = [served(Frontproxy(CONFIG, one.land), month(one)).tallies() for one in people]

    assert results[0] == results[1]


def test_another_seed_gives_other_numbers() -> None:
    assert [visit.at for visit in month(settled(1))] != [visit.at for visit in month(settled(2))]


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_system_goes_through_all_of_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.bench.simulate_run.CLIENTS", 1)
    monkeypatch.setattr("tests.bench.simulate_turns.LIMIT", 50)
    monkeypatch.setattr("tests.bench.simulate_turns.GOOD_BEFORE", 20)
    tiny = world(1, replace(TINY, scale=0.0002, flood_ham=0.2), CONFIG, [2])
    judged: list[int] = []

    result = run(name, 1, tiny, CONFIG, judged.append)

    assert sum(judged) == tiny.sessions
    assert all(0 <= tally.first + tally.later <= tally.came for tally in result.floods[2].values())
    assert sum(tally.came for tally in result.floods[2].values()) == len(tiny.floods[2])
    assert all(deceived.calm.keys() == result.calm.keys() for deceived in result.liars.values())


def test_sessions_come_in_order_of_time() -> None:
    for visits in (month(settled()), flood(settled(), 2, 13.0)):
        assert all(before.at <= after.at for before, after in pairwise(visits))


def test_good_sessions_have_the_shares_that_the_task_sets() -> None:
    visits = month(settled(assumptions=replace(TINY, scale=0.05, bots=100)))
    good = Counter(visit.group for visit in visits if visit.is_ham and visit.group != "builder")

    assert good["provider"] / good.total() == pytest.approx(0.5, abs=0.05)
    assert good["newcomer"] / good.total() == pytest.approx(0.1, abs=0.03)


def test_most_bots_send_ten_sessions_or_fewer() -> None:
    people = settled(assumptions=replace(TINY, scale=0.02, ham=100))
    sessions = Counter(visit.sender.packed for visit in month(people) if visit.group == "bot")

    assert sum(count <= 10 for count in sessions.values()) / len(sessions) >= 0.9


def test_bots_are_listed_within_six_hours_or_never() -> None:
    people = settled()
    bots = [people.bot(0.0) for _ in range(500)]

    assert sum(bot.listed_from <= 6 * 3600 for bot in bots) / 500 == pytest.approx(0.8, abs=0.06)


def test_no_network_is_given_out_twice() -> None:
    land = Land({})
    networks = [land.network(1) for _ in range(5000)]

    assert len(set(networks)) == 5000


def test_the_oracle_accepts_all_good_sessions_in_a_flood() -> None:
    people = settled()
    house = served(Oracle(), flood(people, 10, 13.0))

    assert accepted(house.tallies()) == 1.0


def test_strangers_never_take_reserved_places() -> None:
    house = served(Majority(), visits_of(60))

    assert house.tallies()["server", True].first < 60
    assert house.tallies()["server", True].as_friend == 0


def test_without_friends_all_places_are_one_pool() -> None:
    assert [room.settings.sessions for room in rooms(FirstComeFirstServed(), CONFIG)] == [70]


def test_who_is_sent_away_comes_back_after_five_minutes() -> None:
    class Refusing(FirstComeFirstServed):
        came: list[float]

        def judge(self, session: Session, now: float, *, stress: bool) -> Judgement:
            self.came.append(now)
            return Judgement("away", 0.0)

    system = Refusing()
    system.came = []
    served(system, [replace(visit, returns=2) for visit in visits_of(1)])

    assert system.came == [0.0, FIRST_RETURN, 3 * FIRST_RETURN]


def test_the_dictionary_remembers_as_the_file_does(tmp_path: Path) -> None:
    front = Frontproxy(CONFIG, Land({}))
    history = HistoryFile.open(tmp_path / "h", limit=100, forgetting=front.forgetting, log=lambda *_a, **_k: None)
    memory = Memory()
    for store in (memory, history):
        for number in range(4):
            keys = Keys(bytes([192, 0, 2, number]), bytes([192, 0, 2]), 64500)
            name = KnownName(f"mx{number}.example.com", "example.com", 1.7e9 + 100)
            recalled = store.recall(keys, heard=name, now=1.7e9)
            learned, _lesson = learn(recalled, good=1.0, bad=0.5, now=1.7e9, forgetting=front.forgetting)
            store.remember(learned)
    keys = Keys(bytes([192, 0, 2, 2]), bytes([192, 0, 2]), 64500)

    for now in (1.7e9 + 50, 1.7e9 + 150, None):
        assert memory.recall(keys, now=now) == history.recall(keys, now=now)
    history.close()


def deceived(lists: Lists) -> tuple[Frontproxy, list[Visit]]:
    """A house with twenty friends that asks a list which has begun to lie after a month."""
    visits = visits_of(20)
    front = Frontproxy(CONFIG, Land({visit.sender.packed[:3]: 1 for visit in visits}))
    for number, visit in enumerate(visits * 6):
        session = Session(visit, 60.0 * number)
        front.judge(session, session.came, stress=False)
        front.learn(session, line_of(visit, session.came, stress=False, early=False), session.came)
    front.lists = lists
    assert front.desk.voting
    return front, visits


def come(front: Frontproxy, visits: list[Visit], *, apart: float) -> None:
    for number, visit in enumerate(visits):
        front.judge(Session(visit, MONTH + number), MONTH + apart * number, stress=True)


def test_a_list_that_lists_everybody_loses_its_vote_by_the_test() -> None:
    front, visits = deceived(everybody_listed)
    front.desk.watches.begin_test("bl.example", MONTH - 1.0)  # so that none is due

    come(front, visits[:2], apart=1.0)

    assert not front.desk.voting


def test_a_list_that_passes_its_tests_loses_its_vote_by_our_friends() -> None:
    front, visits = deceived(all_but_test_listed)
    come(front, visits[:2], apart=10.0)
    assert front.desk.voting

    come(front, visits[2:], apart=10.0)
    assert not front.desk.voting


def test_an_honest_list_keeps_its_vote() -> None:
    front, visits = deceived(truly_listed)
    come(front, visits, apart=10.0)

    assert front.desk.voting


def test_what_would_be_told_later_than_the_end_is_never_told() -> None:
    class Listening(FirstComeFirstServed):
        heard = 0

        def learn(self, session: Session, line: OutcomeLine, now: float) -> None:
            self.heard += 1

    heard = []
    for until in (50.0, 150.0):
        system = Listening()
        house = House(system, rooms(system, CONFIG), 25.0)
        late = [replace(visit, lag=100.0, is_told=True) for visit in visits_of(3)]
        assert sum(house.run(late, until=until)) == 3
        heard.append(system.heard)

    assert heard == [0, 3]


@pytest.mark.parametrize("asks", [True, False])
def test_the_configuration_says_whether_strangers_are_asked_about_under_stress(asks: bool) -> None:
    people = settled()
    front = Frontproxy(replace(CONFIG, dns=replace(CONFIG.dns, under_stress=asks)), people.land)
    front.judge(Session(visits_of(1)[0], 0.0), 0.0, stress=True)

    assert bool(front.desk.said) is asks


@pytest.mark.parametrize(
    ("system", "bad", "good"),
    [
        (lambda land: Frontproxy(CONFIG, land), (5, 20), (10, 20)),
        (lambda _land: Majority(), (1000, 1000), (60, 60)),
        (lambda _land: Karma(), (1000, 1000), (60, 60)),
    ],
    ids=["frontproxy", "majority", "karma"],
)
def test_how_many_sessions_change_a_mind(system: object, bad: tuple[int, int], good: tuple[int, int]) -> None:
    found = turn(system, CERTAIN, Random(1))  # type: ignore[arg-type]  # parametrize knows no types

    assert bad[0] <= found.better_until <= bad[1]
    assert good[0] <= found.worse_until <= good[1]


def test_rspamd_never_ends_a_long_friendship(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.bench.simulate_turns.LIMIT", 2000)

    assert turn(lambda _land: RspamdReputation(), CERTAIN, Random(1)).better_until == 2000 < LIMIT


def test_karma_counts_what_it_denies_for_nothing() -> None:
    karma, visit = Karma(), visits_of(1)[0]
    line = OutcomeLine(client=visit.sender.text, port=1, ended=1.0, end="errors", refused=5)
    for _ in range(6):
        karma.learn(Session(visit, 0.0), line, 0.0)

    assert karma.standing(visit.sender, 0.0).where == "away"


@pytest.mark.parametrize(
    ("found", "unit", "text"),
    [
        (None, "%", "-"),
        (Measured(0.5, 0.5, 0.5), "%", "50.0"),
        (Measured(0.5, 0.4, 0.6), "%", "50.0 (40.0 to 60.0)"),
        (Measured(1000.0, 1000.0, 1000.0), "", "1,000"),
        (Measured(LIMIT, LIMIT, LIMIT), "", "over 5,000"),
        (Measured(12.0, 11.5, 12.5), "", "12 (11.5 to 12.5)"),
    ],
)
def test_a_cell_has_the_mean_and_the_range(found: Measured | None, unit: str, text: str) -> None:
    assert shown(found, unit) == text


def test_tables_are_written_where_the_page_has_room_for_them(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    marks = [
        f"<!-- {name}: begins, written by tests/bench/simulate.py -->\nold\n<!-- {name}: ends -->"
        for name in ("results", "floods", "assumptions")
    ]
    page.write_text("before\n" + "\nbetween\n".join(marks) + "\nafter\n")
    write([], TINY, page)

    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "\nold\n" not in text
    assert "| newcomers in networks that have bots, too | 0.5 | set by the task |" in text


def test_a_page_without_room_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing")
    with pytest.raises(ValueError, match="no place for results"):
        write([], TINY, page)

    assert page.read_text() == "nothing"
