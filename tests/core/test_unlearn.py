"""Taking sessions back: a record is as if they had never been, and what they displaced is there again."""

from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frontproxy.core.history import ClientRecord, Lesson, forgotten, unlearn
from frontproxy.core.level import NOTHING, Level, aged, present
from frontproxy.core.provider import ProviderRecord
from tests.core.worlds import ASN, DAY, FORGETTING, START, TIMELESS, World

DOMAIN = "example.com"
CLIENTS = "abcd"
stories = st.lists(
    st.tuples(
        st.sampled_from(CLIENTS), st.floats(0, 2), st.floats(0, 4), st.sampled_from([0.0, 0.0, 1.5]), st.floats(0, 9)
    ),
    max_size=30,
)
Story = Sequence[tuple[str, float, float, float, float]]


def live(world: World, story: Story) -> list[tuple[str, Lesson]]:
    """Sessions of clients, with the days after each; returns what they taught."""
    lessons = []
    for client, good, bad, taken_back, days in story:
        world.session(client, good=good, bad=bad, taken_back=taken_back)
        lessons.append((client, world.lesson))
        world.days(days)
    return lessons


def take_back(world: World, lessons: list[tuple[str, Lesson]]) -> None:
    """The latest first."""
    for client, lesson in reversed(lessons):
        world.keep(client, unlearn(world.recall(client), lesson, now=world.now, forgetting=world.forgetting))


def own_of(world: World, client: str) -> tuple[float, float, float]:
    """What is left of the client's own evidence, and how much it has seen."""
    record = world.clients.get(client)
    own = record.own if record else Level(0, 0, 0, 0)
    return *present(own, world.now, world.forgetting), own.n


def named_world() -> World:
    world = World()
    world.names = dict.fromkeys(CLIENTS, DOMAIN)
    return world


@settings(max_examples=60, deadline=None)
@given(stories, stories)
def test_what_a_client_itself_is_known_for_is_as_if_the_sessions_had_never_been(before: Story, after: Story) -> None:
    world = named_world()
    live(world, before)
    kept = World()
    kept.clients = dict(world.clients)
    lessons = live(world, after)
    kept.now = world.now

    take_back(world, lessons)

    for client in CLIENTS:
        assert own_of(world, client) == pytest.approx(own_of(kept, client), abs=1e-6)


plain_stories = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(CLIENTS), st.floats(0, 2), st.just(0.0), st.just(0.0), st.floats(0, 9)),
        st.tuples(st.sampled_from(CLIENTS), st.just(0.0), st.floats(0, 4), st.just(0.0), st.floats(0, 9)),
    ),
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(plain_stories, plain_stories)
def test_so_is_the_last_session_in_its_neighbourhoods_but_for_what_it_displaced(before: Story, after: Story) -> None:
    assert max(changes_around(before, after[:1])) < 1e-6


def test_its_neighbourhoods_are_close_to_that_if_there_were_more() -> None:
    """A lesson does not know how far it was displaced since, nor of which units there was room for how much."""
    worst = []
    for seed in range(20):
        chance = Random(seed)
        story = [
            (chance.choice(CLIENTS), chance.choice([0, 1, 2]), chance.choice([0, 0.3, 4]), chance.choice([0, 1]), 0.1)
            for _session in range(40)
        ]
        worst.append(max(changes_around(story[:20], story[20:])))

    assert sorted(worst)[10] < 0.5
    assert max(worst) < 1.0


def changes_around(before: Story, after: Story) -> list[float]:
    """How much network, ASN and provider differ after learning and taking back, but for what was displaced."""
    world = named_world()
    live(world, before)
    levels = around(world)
    lessons = live(world, after)
    take_back(world, lessons)
    return [
        abs(was - is_now)
        for old, new in zip(levels, around(world), strict=True)
        for was, is_now in zip(
            present(old, world.now, FORGETTING, new.n - old.n), present(new, world.now, FORGETTING), strict=True
        )
    ]


def around(world: World) -> list[Level]:
    provider = world.providers.get(DOMAIN, ProviderRecord())
    return [world.network or NOTHING, world.asn or NOTHING, provider.level]


@settings(max_examples=60, deadline=None)
@given(stories, stories, st.randoms())
def test_in_any_order_nothing_impossible_is_left(before: Story, after: Story, chance: Random) -> None:
    world = named_world()
    live(world, before)
    lessons = live(world, after)
    chance.shuffle(lessons)

    take_back(world, lessons)

    levels = [world.network, world.asn]
    for record in world.clients.values():
        levels += [record.own, record.network_share, record.provider_share, record.asn_share]
        assert 0 <= record.spent <= 10
    for level in levels:
        assert level is None or (0 <= level.good <= level.n and 0 <= level.bad <= level.n)


def test_a_client_of_which_all_is_taken_back_is_unknown() -> None:
    world = named_world()
    lessons = live(world, [("a", 1.0, 0.3, 0.0, 0.1)] * 40)

    take_back(world, lessons)

    assert world.recollect("a").reasons == ()
    assert not world.recollect("a").known
    assert world.clients["a"].spent == 0


def test_what_bad_sessions_displaced_comes_back() -> None:
    world = World(TIMELESS)
    live(world, [("a", 1.0, 0.0, 0.0, 1)] * 20)
    before = world.points("a")
    lessons = live(world, [("a", 0.0, 4.0, 0.0, 0.01)] * 30)
    assert world.points("a") < -10

    take_back(world, lessons)

    assert world.points("a") == pytest.approx(before, abs=1e-6)


def test_a_witness_that_was_blamed_is_a_witness_again_and_one_that_was_not_is_none() -> None:
    world = named_world()
    live(world, [("a", 2.0, 0.0, 0.0, 0)] * 2)
    lessons = live(world, [("a", 0.0, 4.0, 0.0, 0), ("b", 2.0, 0.0, 0.0, 0), ("b", 2.0, 0.0, 0.0, 0)])
    assert [witness.key for witness in world.providers[DOMAIN].witnesses] == [b"b"]

    take_back(world, lessons)

    assert [witness.key for witness in world.providers[DOMAIN].witnesses] == [b"a"]


def test_the_day_is_not_spent_by_what_is_taken_back() -> None:
    world = World(TIMELESS)
    lessons = live(world, [("a", 2.0, 0.0, 0.0, 0)] * 9)
    assert world.clients["a"].spent == pytest.approx(10)

    take_back(world, lessons)

    assert world.clients["a"].spent == pytest.approx(0)


def test_nothing_comes_back_of_a_client_of_whom_nothing_is_known_any_more() -> None:
    """It was forgotten, has come again, and that was taken back: the lessons from before are of another record."""
    world = named_world()
    before = live(world, [("a", 2.0, 0.0, 0.0, 0), ("a", 0.0, 2.0, 1.5, 0)])
    world.keep("a", forgotten(world.recall("a"), forgetting=FORGETTING)._replace(client=ClientRecord()))
    since = live(world, [("a", 1.0, 0.0, 0.0, 0)])

    take_back(world, before[1:] + since)

    assert own_of(world, "a") == (0, 0, 0)
    assert world.network
    assert (world.network.good, world.network.bad) == (0, 0)


def test_a_full_share_has_taken_nothing_and_gives_nothing_back() -> None:
    world = World(TIMELESS)
    for number in range(9):
        world.session(f"neighbour {number}", good=1)
    live(world, [("a", 0.0, 4.0, 0.0, 0)] * 50)
    before = world.network
    lessons = live(world, [("a", 0.0, 4.0, 0.0, 0)] * 50)

    take_back(world, lessons)

    assert world.network == pytest.approx(before)


@pytest.mark.parametrize(("seconds", "is_there"), [(-1, True), (1, True), (3, False)])
def test_a_lesson_that_a_crash_lost_changes_nothing(seconds: float, is_there: bool) -> None:
    """A second either way is the rounding of what is kept."""
    world = World()
    world.session("a", good=1)
    lost = world.lesson._replace(t=START + seconds)

    after = unlearn(world.recall("a"), lost, now=START + 9, forgetting=FORGETTING)

    assert (after != world.recall("a")) is is_there


def test_of_a_client_that_was_forgotten_nothing_is_taken_back() -> None:
    world = World()
    world.session("a", good=1)
    recalled = world.recall("a")._replace(client=None)

    assert unlearn(recalled, world.lesson, now=START, forgetting=FORGETTING) == recalled


@pytest.mark.parametrize(
    ("asn", "domain", "kept"), [(9, DOMAIN, ["asn", "provider"]), (ASN, "example.net", ["provider"])]
)
def test_what_it_taught_elsewhere_is_not_taken_from_where_it_is_now(asn: int, domain: str, kept: list[str]) -> None:
    world = named_world()
    live(world, [("a", 1.0, 0.0, 0.0, 0), ("b", 1.0, 0.0, 0.0, 0)])
    recalled = world.recall("b")
    elsewhere = world.lesson._replace(keys=world.lesson.keys._replace(asn=asn), domain=domain)

    after = unlearn(recalled, elsewhere, now=START, forgetting=FORGETTING)

    around_it = ["network", "asn", "provider"]
    assert [level for level in around_it if getattr(after, level) == getattr(recalled, level)] == kept


def test_neighbourhoods_that_were_lost_are_not_made_anew() -> None:
    world = World()
    world.session("a", good=1)
    recalled = world.recall("a")._replace(network=None, asn=None)

    after = unlearn(recalled, world.lesson, now=START, forgetting=FORGETTING)

    assert (after.network, after.asn, after.provider) == (None, None, None)
    assert after.client
    assert after.client.own.n == 0


def test_its_network_too_gets_back_the_good_that_was_taken() -> None:
    world = World()
    world.session("a", good=2)
    before = world.network
    world.session("a", taken_back=1)
    assert world.network != before

    take_back(world, [("a", world.lesson)])

    assert world.network == pytest.approx(before)


def test_what_fades_meanwhile_is_not_taken_back() -> None:
    world = World()
    live(world, [("a", 1.0, 0.0, 0.0, 0)])
    lessons = live(world, [("a", 1.0, 0.0, 0.0, 60)])
    kept = live(world, [("a", 0.5, 0.0, 0.0, 0)])
    assert kept

    take_back(world, lessons)

    own = world.clients["a"].own
    assert own.good == pytest.approx(0.25 / 1.04**0.5 + 0.5, rel=0.03)


def test_good_that_was_taken_back_can_be_given_again() -> None:
    world = World()
    world.session("a", good=2)
    before = world.clients["a"].own
    world.session("a", bad=2, taken_back=5)
    assert world.clients["a"].own.good == 0
    assert world.lesson.good < 0

    take_back(world, [("a", world.lesson)])

    assert world.clients["a"].own == pytest.approx(before)


def test_time_of_the_last_touch_stays() -> None:
    world = World()
    world.session("a", good=2)
    world.days(1)
    world.session("a", good=2)

    take_back(world, [("a", world.lesson)])

    assert world.clients["a"].own.t == START + DAY
    assert aged(world.clients["a"].own, world.now, FORGETTING).good == pytest.approx(2 * 2 ** (-1 / 30))
