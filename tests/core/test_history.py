"""The mathematics of history: the worked numbers of the design, and what must hold for any numbers."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frontproxy.core.history import ClientRecord, Keys, Recalled, forgotten, learn
from frontproxy.core.level import NOTHING, Level, aged
from frontproxy.core.recollection import Recollection, own_points, recollect
from tests.core.worlds import DAY, FORGETTING, START, TIMELESS, World

ROUNDING = 0.02  # decibans; the cap lies a little lower for small units than for large ones


def after(good: int, bad: int = 0, then_good: int = 0) -> float:
    """The points of a lone client after so many sessions of one unit, slow enough for the daily limit."""
    world = World(TIMELESS)
    for kind, count in (("good", good), ("bad", bad), ("good", then_good)):
        for _session in range(count):
            world.days(0.1)
            world.session("lone", **{kind: 1.0})
    return world.points("lone")


@pytest.mark.parametrize(("good", "points"), [(0, 0.0), (4, 6.8), (10, 9.7), (1000, 14.3)])
def test_good_sessions_have_their_worked_points(good: int, points: float) -> None:
    assert after(good) == pytest.approx(points, abs=0.06)


def test_a_thousand_good_sessions_cannot_buy_many_bad_ones() -> None:
    assert after(1000, bad=6) > 5 > after(1000, bad=7)
    assert after(1000, bad=17) > 0 > after(1000, bad=18)


@pytest.mark.parametrize("bad", [60, 1000])
def test_a_foe_is_forgiven_after_17_or_18_good_sessions(bad: int) -> None:
    assert after(0, bad, then_good=16) < 0 < after(0, bad, then_good=18)


def test_time_halves_the_evidence() -> None:
    world = World()
    world.session("a", good=2)
    world.days(30)

    assert world.points("a") == pytest.approx(10 * math.log10((1 + 1) / 1))
    assert world.recollect("a").reasons[0].text == "about 2 good sessions, the last 30 days ago"


def test_bad_evidence_fades_sooner() -> None:
    world = World()
    world.session("a", bad=2)
    world.days(7)

    assert world.points("a") == pytest.approx(10 * math.log10(1 / (1 + 1)))


def test_a_stranger_has_no_points_and_no_reasons() -> None:
    assert World().recollect("new") == Recollection(0, known=False, reasons=())


def test_a_lone_client_is_not_its_own_neighbour() -> None:
    world = World()
    for _session in range(50):
        world.days(0.7)
        world.session("a", good=1, bad=0.3)

    assert [reason.name for reason in world.recollect("a").reasons] == ["history"]


def test_neighbours_speak_for_a_newcomer_but_never_make_a_friend() -> None:
    world = World()
    for number in range(100):
        world.session(f"neighbour {number}", good=1)
    newcomer = world.recollect("new")

    assert newcomer.points == pytest.approx(4)
    assert not newcomer.known
    assert [reason.name for reason in newcomer.reasons] == ["asn"]
    assert newcomer.reasons[0].text == "other clients in its ASN still count as 25.5 good sessions"


def test_a_network_that_differs_from_its_asn_has_a_reason_of_its_own() -> None:
    world = World()
    for number in range(20):
        world.session(f"neighbour {number}", good=1)
    world.network = None
    world.session("bad neighbour", bad=4)
    world.session("bad neighbour 2", bad=4)

    reasons = {reason.name: reason.points for reason in world.recollect("new").reasons}
    assert reasons["asn"] > 0
    assert reasons["network"] < 0
    assert sum(reasons.values()) == world.points("new") < 0


def test_the_network_learns_less_from_a_well_known_client() -> None:
    world = World(TIMELESS)
    world.session("a", good=1)
    assert world.network is not None
    first = world.network.n
    world.session("a", good=1)

    assert first == 1
    assert world.network.n == pytest.approx(1.5)


def test_a_hundred_sessions_of_one_client_teach_its_network_like_three() -> None:
    world = World(TIMELESS)
    for _session in range(100):
        world.days(1)
        world.session("a", bad=1)

    assert world.network is not None
    assert 3 < world.network.n < 3.5


def test_one_noisy_address_does_not_turn_its_network_or_asn_against_fifty_good_ones() -> None:
    world = World()
    for number in range(50):
        for _session in range(3):
            world.session(f"neighbour {number}", good=1)
    friend = world.points("neighbour 7")
    for _session in range(300):
        world.session("noisy", bad=4)

    assert world.points("new") == pytest.approx(FORGETTING.network_limit)
    assert world.points("neighbour 7") == pytest.approx(friend, abs=0.1)
    assert world.points("noisy") < -8


@pytest.mark.parametrize("lost", ["network", "asn"])
def test_a_share_in_a_level_that_was_lost_is_nothing(lost: str) -> None:
    world = World()
    for _session in range(5):
        world.session("a", good=1)
    setattr(world, lost, None)
    for number in range(2):
        world.session(f"neighbour {number}", bad=1)
    record = world.clients["a"]._replace(network_share=NOTHING, asn_share=NOTHING)

    recalled = world.recall("a")
    recalled = recalled._replace(asn=None) if lost == "network" else recalled._replace(network=None)
    others = recollect(recalled._replace(client=None), now=world.now, forgetting=FORGETTING).points
    with_share = recollect(recalled, now=world.now, forgetting=FORGETTING)
    assert with_share == recollect(recalled._replace(client=record), now=world.now, forgetting=FORGETTING)
    assert others < 0

    world.session("a", good=1)
    share = getattr(world.clients["a"], f"{lost}_share")
    assert share.good < 1
    assert share.n == getattr(world, lost).n


@pytest.mark.parametrize("moved_to", [64501, 0])
def test_what_was_taught_to_another_asn_is_no_share_of_this_one(moved_to: int) -> None:
    world = World()
    for _session in range(9):
        world.session("moved", bad=1)
    for number in range(5):
        world.session(f"neighbour {number}", bad=1)
    asn = Level(world.now, 30, 6, 7)  # of the ASN it is in now, which has seen more than its share
    recalled = world.recall("moved")
    recalled = recalled._replace(keys=recalled.keys._replace(asn=moved_to), asn=asn if moved_to else None)
    shareless = world.clients["moved"]._replace(asn_share=NOTHING)

    assert recollect(recalled, now=world.now, forgetting=FORGETTING) == recollect(
        recalled._replace(client=shareless), now=world.now, forgetting=FORGETTING
    )
    learned, _ = learn(recalled, good=0, bad=1, now=world.now, forgetting=FORGETTING)
    assert learned.client
    assert learned.client.asn == moved_to
    assert learned.client.network_share.bad > 2
    assert learned.client.asn_share.bad < 1
    assert learned.client.asn_share.n == (learned.asn.n if learned.asn else 0)


def test_a_witness_is_an_ipv4_address_or_an_ipv6_network() -> None:
    assert Keys(b"1234", b"123", 0).witness == b"1234"
    assert Keys(b"12345678", b"123456", 0).witness == b"123456"


def test_without_an_asn_nothing_is_learned_about_it() -> None:
    stranger = Recalled(Keys(b"client", b"net", 0))
    learned, _ = learn(stranger, good=1, bad=0, now=START, forgetting=FORGETTING)

    assert learned.asn is None
    assert learned.client
    assert learned.client.asn_share == NOTHING


def test_ten_good_units_a_day_are_the_most_a_client_can_earn() -> None:
    world = World(TIMELESS)
    for _session in range(100):
        world.session("a", good=2)
    assert world.clients["a"].own.good == pytest.approx(10)
    world.days(0.5)
    for _session in range(100):
        world.session("a", good=2)

    assert world.clients["a"].own.good == pytest.approx(15)


def test_a_busy_server_outweighs_the_few_of_its_sessions_that_go_wrong() -> None:
    """A thousand a day, of which one in fifty is told wrongly; the day's limit is on what it gains, not on the bad."""
    world = World()
    for number in range(5000):
        world.session("a", good=float(number % 50 > 0), bad=float(number % 50 == 0))
        world.days(0.001)

    assert world.points("a") > 8


def test_a_good_session_beyond_the_limit_displaces_the_bad_as_any_other() -> None:
    world = World()
    for _session in range(4):
        world.session("a", bad=2)
    for _session in range(40):
        world.session("a", good=1)

    own = world.clients["a"].own
    assert own.bad == pytest.approx(8 * (1 + 1 / FORGETTING.evidence_cap) ** -40, rel=0.2)
    assert own.good == pytest.approx(10)


def test_a_year_of_old_logs_counts_at_most_a_day_for_a_client_that_is_known_already() -> None:
    """Its record does not know what was spent on those days, so what counts is bounded by what it may spend now."""
    world = World()
    world.session("a", good=2)
    start = world.now
    for day in range(365, 0, -1):
        world.now = start - day * DAY
        for _session in range(8):
            world.session("a", good=2)
    world.now = start

    assert world.clients["a"].spent == pytest.approx(10)
    assert world.clients["a"].own.good == pytest.approx(10)
    assert world.points("a") > 9  # which makes a friend all the same
    world.days(0.5)
    before = world.clients["a"].own.good
    world.session("a", good=2)
    assert world.clients["a"].own.good > before


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 2), st.floats(0, 20)), min_size=1, max_size=60))
def test_in_whatever_order_logs_are_read_no_more_than_ten_a_day_is_earned(story: list[tuple[float, float]]) -> None:
    world = World(TIMELESS)
    for good, day in story:
        world.now = START + day * DAY
        world.session("a", good=good)
    days = [day for _good, day in story]

    assert world.clients["a"].own.good <= 10 + 10 * (max(days) - min(days)) + 1e-9


def test_bad_units_have_no_daily_limit() -> None:
    world = World(TIMELESS)
    for _session in range(20):
        world.session("a", bad=1)

    assert world.clients["a"].own.n == 20


def test_a_clock_that_steps_back_changes_nothing() -> None:
    world = World()
    world.session("a", good=2)
    before = world.recollect("a")
    world.days(-400)

    assert world.recollect("a") == before
    world.session("a", good=0)
    assert world.clients["a"].own.t == START


def test_good_that_turned_out_to_be_none_is_taken_back_as_far_as_there_is_any() -> None:
    world = World()
    world.session("other", good=1)
    world.session("a", good=1.5)
    world.session("a", bad=2, taken_back=1)

    own = world.clients["a"].own
    assert own.good == pytest.approx(1.5 / 1.04**2 - 1)
    assert own.bad == 2
    assert (world.lesson.good, world.lesson.bad) == (-1, 2)
    world.session("a", taken_back=9)
    assert world.clients["a"].own.good == 0
    assert world.lesson.good == pytest.approx(-own.good)
    assert world.clients["a"].network_share.good > 0  # its network learned less from it, and loses less
    assert world.network
    assert world.network.good > 0.9  # what the other taught stays


def test_good_that_is_taken_back_is_spent_all_the_same() -> None:
    world = World(TIMELESS)
    for _session in range(20):
        world.session("a", good=2)
        world.session("a", taken_back=2)

    assert world.clients["a"].spent == 10
    assert world.clients["a"].own.good == 0


@pytest.mark.parametrize(("good", "bad", "own"), [(2, 0, 4.77), (1, 1, 0), (0, 3, 0), (0, 0, 0)])
def test_its_own_record_alone_speaks_for_a_client(good: float, bad: float, own: float) -> None:
    """Neighbours add nothing to it, and it is never less than nothing."""
    world = World()
    for number in range(20):
        world.session(f"neighbour {number}", good=1)
    assert world.recollect("a").own == 0
    world.session("a", good=good, bad=bad)

    assert world.recollect("a").own == pytest.approx(own, abs=0.01)
    points = own_points(world.clients["a"], now=world.now, forgetting=FORGETTING)
    assert world.recollect("a").own == max(0, points)


units = st.floats(0, 4)
steps = st.floats(-10, 100)
sessions = st.lists(st.tuples(st.sampled_from("abc"), units, units, steps), max_size=30)


def lived(story: list[tuple[str, float, float, float]]) -> World:
    world = World()
    for client, good, bad, days in story:
        world.session(client, good=min(good, 2.0), bad=bad)
        world.days(days)
    return world


@settings(max_examples=40, deadline=None)
@given(sessions)
def test_reasons_add_up_to_the_points(story: list[tuple[str, float, float, float]]) -> None:
    recalled = lived(story).recollect("a")

    assert recalled.points == sum(reason.points for reason in recalled.reasons)
    assert all(reason.points and reason.text for reason in recalled.reasons)


@settings(max_examples=40, deadline=None)
@given(sessions)
def test_a_neighbourhood_alone_stays_within_its_limit(story: list[tuple[str, float, float, float]]) -> None:
    assert abs(lived(story).points("new")) <= FORGETTING.network_limit


@settings(max_examples=40, deadline=None)
@given(sessions)
def test_the_own_share_is_left_out_exactly(story: list[tuple[str, float, float, float]]) -> None:
    """What `a` is told about its network is what the others left there."""
    world = lived([(client, good, bad, abs(days)) for client, good, bad, days in story])
    level = world.network or Level(0, 0, 0, 0)
    now = level.t
    shares = [aged_share(record, level) for record in world.clients.values()]
    whole = aged(level, now, FORGETTING)

    assert sum(share.good for share in shares) == pytest.approx(whole.good, abs=1e-9)
    assert sum(share.bad for share in shares) == pytest.approx(whole.bad, abs=1e-9)


def aged_share(record: ClientRecord, level: Level) -> Level:
    return aged(record.network_share, level.t, FORGETTING, level.n - record.network_share.n)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(units, steps), min_size=1, max_size=20), st.booleans(), st.lists(st.floats(0, 1e4), max_size=9)
)
def test_time_only_weakens_what_a_lone_client_has(
    story: list[tuple[float, float]], is_good: bool, waits: list[float]
) -> None:
    world = lived([("a", unit, 0.0, days) if is_good else ("a", 0.0, unit, days) for unit, days in story])
    strengths = []
    for wait in [0.0, *waits]:
        world.days(wait)
        strengths.append(abs(world.points("a")))

    assert strengths == sorted(strengths, reverse=True)


@settings(max_examples=40, deadline=None)
@given(sessions, units)
def test_good_never_lowers_and_bad_never_raises(story: list[tuple[str, float, float, float]], unit: float) -> None:
    good, bad = lived(story), lived(story)
    before = good.points("a")
    good.session("a", good=min(unit, 2.0))
    bad.session("a", bad=unit)

    assert good.points("a") >= before - ROUNDING
    assert bad.points("a") <= before + ROUNDING


@settings(max_examples=40, deadline=None)
@given(sessions, st.floats(allow_nan=False, allow_infinity=False))
def test_no_time_can_make_it_overflow(story: list[tuple[str, float, float, float]], now: float) -> None:
    world = lived(story)
    world.now = now
    world.session("a", good=1)
    world.session("b", bad=4)

    for client in ("a", "b", "new"):
        assert math.isfinite(world.points(client))


def test_who_is_forgotten_has_been_nobodys_neighbour() -> None:
    world = World()
    world.names = dict.fromkeys("abcdef", "example.com")
    for client in "bcde":
        world.session(client, good=2.0)
    points = world.points("f")
    for _session in range(5):
        world.session("a", bad=0.1)
    world.session("a", good=2.0)

    without = forgotten(world.recall("a"), forgetting=FORGETTING)

    assert without.client is None
    assert without.provider
    assert b"a" not in [witness.key for witness in without.provider.witnesses]
    world.network, world.asn, world.providers["example.com"] = without.network, without.asn, without.provider
    assert world.points("f") == pytest.approx(points, abs=0.1)


def test_a_client_whose_network_knows_nothing_is_forgotten_too() -> None:
    unknown = Recalled(Keys(b"lone", b"net", 0))

    assert forgotten(unknown, forgetting=FORGETTING) == unknown
