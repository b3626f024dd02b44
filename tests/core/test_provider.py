"""Providers: a big sender's hundred addresses are one neighbourhood, and only those with good clients count."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frontproxy.core.history import Keys, KnownName, Recalled, learn, name_in_force
from frontproxy.core.level import NOTHING, Level, aged
from frontproxy.core.provider import ProviderRecord, Witness, witnesses_after
from frontproxy.core.recollection import recollect
from tests.core.worlds import ASN, FORGETTING, START, TIMELESS, World

FRIEND = 5.0  # points
DOMAIN = "example.com"


def sender(addresses: int, sessions: int = 3) -> World:
    """A world with a sender of so many known addresses, and nothing known about its network and its ASN."""
    world = World()
    for number in range(addresses):
        for _session in range(sessions):
            befriend(world, f"mx{number}", good=1)
    world.network = world.asn = None
    return world


def befriend(world: World, client: str, *, good: float = 0.0, bad: float = 0.0) -> None:
    """A session of one of the sender's addresses."""
    world.names[client] = DOMAIN
    world.session(client, good=good, bad=bad)


def test_a_new_address_of_a_known_sender_has_its_points_as_soon_as_its_name_is_heard() -> None:
    world = sender(100)
    assert world.points("new") == 0
    world.names["new"] = DOMAIN

    newcomer = world.recollect("new")
    assert newcomer.points == pytest.approx(FORGETTING.network_limit)
    assert not newcomer.known
    assert newcomer.own == 0
    [reason] = newcomer.reasons
    assert reason.name == "provider"
    assert reason.text == f"other clients of {DOMAIN} (AS{ASN}) still count as 25.8 good sessions"


def test_it_is_a_friend_after_one_good_session() -> None:
    world = sender(100)
    assert world.points("new") < FRIEND

    befriend(world, "new", good=1)

    assert world.points("new") > FRIEND
    lone = World()
    lone.session("new", good=1)
    assert lone.points("new") < FRIEND


@pytest.mark.parametrize(("addresses", "counts"), [(2, False), (3, True)])
def test_it_takes_three_good_addresses_to_make_a_provider(addresses: int, counts: bool) -> None:
    world = sender(addresses, sessions=5)
    world.names["new"] = DOMAIN

    assert (world.points("new") > 0) is counts


def test_nobody_is_his_own_witness() -> None:
    world = sender(3)

    assert [reason.name for reason in world.recollect("mx0").reasons] == ["history"]
    befriend(world, "mx3", good=2)
    world.network = world.asn = None
    assert [reason.name for reason in world.recollect("mx0").reasons] == ["history", "provider"]


def test_many_subnets_of_one_ipv6_network_are_one_witness() -> None:
    subnets = [Keys(b"2001db" + bytes([0, number]), b"2001db", ASN) for number in range(6)]
    networks = [Keys(bytes([number]) * 8, bytes([number]) * 6, ASN) for number in range(2)]
    provider: ProviderRecord | None = None
    counted = []
    for keys in [*subnets, *networks]:
        name = KnownName(f"mx.{DOMAIN}", DOMAIN, START)
        learned, _ = learn(Recalled(keys, name, provider=provider), good=3, bad=0, now=START, forgetting=FORGETTING)
        provider = learned.provider
        assert provider
        counted.append(provider.counts_for(b"new", START, FORGETTING))

    assert counted == [False] * 7 + [True]
    assert provider
    assert not any(provider.counts_for(keys.witness, START, FORGETTING) for keys in subnets)


def test_a_hundred_addresses_without_a_good_history_of_their_own_make_no_provider() -> None:
    world = sender(100, sessions=2)  # which is not yet three to one, as they fade
    world.names["new"] = DOMAIN

    assert world.points("new") == 0


def test_a_provider_takes_the_place_of_the_network() -> None:
    world = sender(20)
    for number in range(20):
        world.session(f"neighbour {number}", bad=1)
    assert [reason.name for reason in world.recollect("new").reasons] == ["asn"]
    world.names["new"] = DOMAIN

    reasons = {reason.name: reason.points for reason in world.recollect("new").reasons}
    assert list(reasons) == ["provider", "asn"]
    assert sum(reasons.values()) == pytest.approx(FORGETTING.network_limit)


def test_one_bad_address_among_a_hundred_does_not_take_the_others_down() -> None:
    world = sender(100)
    before = world.points("mx7")
    for _session in range(20):
        befriend(world, "mx42", bad=4)
    world.network = world.asn = None

    assert world.points("mx42") < 0
    assert world.points("mx7") == pytest.approx(before, abs=0.5)
    world.names["new"] = DOMAIN
    assert world.points("new") == pytest.approx(FORGETTING.network_limit)


def test_a_sender_that_turned_bad_loses_what_it_was_worth() -> None:
    world = sender(20)
    world.names["new"] = DOMAIN
    for number in range(20):
        befriend(world, f"mx{number}", bad=4)
    assert world.points("new") <= 0

    provider = world.providers[DOMAIN]
    assert provider.witnesses == ()
    assert not provider.counts_for(b"new", world.now, FORGETTING)


def test_friends_whose_names_are_never_asked_for_again_keep_their_provider() -> None:
    world = sender(10)
    world.names.clear()
    for _fortnight in range(26):
        world.days(14)
        for number in range(10):
            world.session(f"mx{number}", good=1)
    world.network = world.asn = None

    assert [reason.name for reason in world.recollect("mx0").reasons] == ["history"]  # its name holds no more
    world.names["new"] = DOMAIN
    assert world.points("new") == pytest.approx(FORGETTING.network_limit)


def test_a_witness_that_was_not_seen_for_two_half_lives_is_none() -> None:
    world = sender(4)
    world.names["new"] = DOMAIN
    world.days(59.9)
    assert world.recollect("new").reasons
    world.days(0.2)

    assert not world.recollect("new").reasons


def test_what_was_taught_under_a_former_name_is_no_share_of_the_new_provider() -> None:
    world = sender(10)
    for client in ("other0", "other1", "other2", "mx0"):
        world.names[client] = "example.net"
    for number in range(3):
        for _session in range(3):
            world.session(f"other{number}", good=1)
    world.network = world.asn = None
    stranger = world.clients["mx0"]._replace(provider_share=NOTHING)

    recalled = world.recall("mx0")
    assert recollect(recalled, now=world.now, forgetting=FORGETTING) == recollect(
        recalled._replace(client=stranger), now=world.now, forgetting=FORGETTING
    )
    world.session("mx0", good=1)
    assert world.clients["mx0"].provider_share.good < 1
    assert world.clients["mx0"].provider_share.n == world.providers["example.net"].level.n


def test_what_was_taught_in_another_asn_is_no_share_of_the_provider_here() -> None:
    world = sender(5)
    befriend(world, "moved", bad=4)
    recalled = world.recall("moved")
    recalled = recalled._replace(keys=recalled.keys._replace(asn=ASN + 1))
    shareless = world.clients["moved"]._replace(provider_share=NOTHING, asn_share=NOTHING)

    assert recollect(recalled, now=world.now, forgetting=FORGETTING) == recollect(
        recalled._replace(client=shareless), now=world.now, forgetting=FORGETTING
    )
    nameless = recalled._replace(name=None, provider=None)
    learned = learn(nameless, good=1, bad=0, now=world.now, forgetting=FORGETTING)[0].client
    assert learned
    assert learned.provider_share == NOTHING


def test_a_clients_own_share_is_left_out_of_its_provider() -> None:
    world = sender(4)
    befriend(world, "mx9", bad=4)
    world.network = world.asn = None

    world.names["new"] = DOMAIN
    [for_others] = [reason for reason in world.recollect("new").reasons if reason.name == "provider"]
    [for_itself] = [reason for reason in world.recollect("mx9").reasons if reason.name == "provider"]
    assert for_others.text.endswith(" good and 3.0 bad sessions")
    assert "bad" not in for_itself.text
    assert for_itself.points > for_others.points


def test_what_was_taught_to_a_provider_is_not_forgotten_while_its_name_is_not_known() -> None:
    world = sender(4)
    world.names.clear()
    world.days(2)
    recalled = world.recall("mx0")
    assert recalled.name is None

    learned = learn(recalled, good=1, bad=0, now=world.now, forgetting=FORGETTING)[0].client
    assert learned
    assert recalled.client
    assert (learned.name, learned.provider_share) == (recalled.client.name, recalled.client.provider_share)


def test_a_client_whose_name_is_gone_has_no_provider() -> None:
    world = sender(10)
    world.names["mx0"] = ""

    assert "provider" not in [reason.name for reason in world.recollect("mx0").reasons]
    world.session("mx0", good=1)
    assert world.clients["mx0"].provider_share == NOTHING
    assert world.clients["mx0"].name == KnownName("", "", world.now + 86400)


def test_without_an_asn_a_provider_is_called_by_its_domain() -> None:
    world = sender(5)
    world.names["new"] = DOMAIN
    recalled = world.recall("new")
    nowhere = recalled._replace(keys=recalled.keys._replace(asn=0))

    [reason] = recollect(nowhere, now=world.now, forgetting=FORGETTING).reasons
    assert reason.text.startswith(f"other clients of {DOMAIN} still ")


@pytest.mark.parametrize(
    ("heard", "now", "name"),
    [
        (None, START, "known"),
        (None, START + 10, None),
        (None, None, "known"),
        (KnownName("heard", "", START - 1), START, "heard"),
        (KnownName("heard", "", START), None, "heard"),
    ],
)
def test_a_name_just_heard_counts_else_the_one_remembered_while_it_holds(
    heard: KnownName | None, now: float | None, name: str | None
) -> None:
    world = World()
    world.names["a"] = DOMAIN
    world.session("a", good=1)
    record = world.clients["a"]._replace(name=KnownName("known", "", START + 10))

    found = name_in_force(record, heard, now)
    assert (found.name if found else None) == name
    assert name_in_force(None, heard, now) == heard


GOOD, BAD = Level(START, 2, 2, 0), Level(START, 3, 2, 1)


@pytest.mark.parametrize(
    ("own", "is_witness"),
    [(GOOD, True), (Level(START, 2, 1.9, 0), False), (BAD, False), (Level(START, 6, 5, 1), True), (NOTHING, False)],
)
def test_a_witness_has_odds_of_three_to_one(own: Level, is_witness: bool) -> None:
    assert bool(witnesses_after((), b"a", own, START, FORGETTING)) is is_witness
    assert bool(witnesses_after((Witness(b"a", START),), b"a", own, START, FORGETTING)) is is_witness


def test_the_witnesses_seen_last_are_kept() -> None:
    witnesses: tuple[Witness, ...] = ()
    for number in range(9):
        witnesses = witnesses_after(witnesses, bytes([number % 6]), GOOD, START + number, FORGETTING)

    assert witnesses == tuple(Witness(bytes([number % 6]), START + number) for number in (5, 6, 7, 8))


stories = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.floats(0, 2), st.floats(0, 4), st.floats(0, 40), st.booleans()), max_size=40
)


def lived(story: list[tuple[str, float, float, float, bool]]) -> World:
    """Clients that are sometimes heard to be of a provider, and sometimes are not asked."""
    world = World()
    for client, good, bad, days, named in story:
        if named:
            world.names[client] = DOMAIN
        else:
            world.names.pop(client, None)
        world.session(client, good=good, bad=bad)
        world.days(days)
    world.names = dict.fromkeys("abcdefg", DOMAIN)
    return world


@settings(max_examples=40, deadline=None)
@given(stories)
def test_reasons_add_up_whatever_the_neighbourhood_is(story: list[tuple[str, float, float, float, bool]]) -> None:
    world = lived(story)
    for client in "ag":
        recalled = world.recollect(client)
        assert recalled.points == sum(reason.points for reason in recalled.reasons)
        assert len({"network", "provider"} & {reason.name for reason in recalled.reasons}) <= 1
    assert abs(world.points("g")) <= FORGETTING.network_limit


@settings(max_examples=40, deadline=None)
@given(stories)
def test_the_shares_of_all_clients_are_all_that_a_provider_knows(
    story: list[tuple[str, float, float, float, bool]],
) -> None:
    world = lived(story)
    level = world.providers.get(DOMAIN, ProviderRecord()).level
    shares = [
        aged(record.provider_share, level.t, FORGETTING, level.n - record.provider_share.n)
        for record in world.clients.values()
    ]

    assert sum(share.good for share in shares) == pytest.approx(level.good, abs=1e-9)
    assert sum(share.bad for share in shares) == pytest.approx(level.bad, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(stories, st.floats(0, 2), st.floats(0, 4))
def test_what_a_client_does_never_decides_whether_its_own_provider_counts(
    story: list[tuple[str, float, float, float, bool]], good: float, bad: float
) -> None:
    world = lived(story)
    before = neighbourhood_counts(world, "a")
    world.session("a", good=good, bad=bad)

    assert neighbourhood_counts(world, "a") == before


def neighbourhood_counts(world: World, client: str) -> bool:
    provider = world.providers.get(DOMAIN)
    return provider is not None and provider.counts_for(client.encode(), world.now, FORGETTING)


@settings(max_examples=40, deadline=None)
@given(stories, st.floats(0, 2))
def test_good_never_lowers_and_bad_never_raises_with_a_provider(
    story: list[tuple[str, float, float, float, bool]], unit: float
) -> None:
    good, bad = lived(story), lived(story)
    before = good.points("a")
    good.session("a", good=unit)
    bad.session("a", bad=unit)

    assert good.points("a") >= before - 0.02
    assert bad.points("a") <= before + 0.02


def test_a_provider_learns_less_from_a_well_known_client() -> None:
    world = World(TIMELESS)
    befriend(world, "mx0", good=1)
    assert world.providers[DOMAIN].level.n == 1
    befriend(world, "mx0", good=1)

    assert world.providers[DOMAIN].level.n == pytest.approx(1.5)
