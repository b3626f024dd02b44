"""What the DNS says about a client, all the way from the question to the verdict."""

import time
from collections.abc import AsyncIterator, Callable

import pytest
import trio
import trio.testing

from frontproxy.core.address import pack
from frontproxy.core.history import Keys
from frontproxy.knowledge import gather
from tests.fakes import PATIENCE
from tests.houses import FRIEND, STRANGER, House, house, outcome
from tests.test_control import ask, refusal
from tests.world import LISTED, World, named

__all__ = ["house"]

DNS = """
[listen]
pause = "4m"
[[dnslist]]
zone = "bl.example"
replies = { "127.0.0.2-9" = -25 }
[[dnslist]]
zone = "wl.example"
replies = { "127.0.*.3" = 6 }
[[route]]
when = '"bl.example" in listed'
reply = "450 4.7.1 Listed"
[[route]]
when = "score >= 5"
to = "nice"
[[route]]
to = "hostile"
"""
NO_ROUTES = DNS.partition("[[route]]")[0]
asking = pytest.mark.parametrize("house", [DNS], indirect=True)
sending = pytest.mark.parametrize("house", [NO_ROUTES], indirect=True)


@pytest.fixture
async def world(house: House) -> AsyncIterator[World]:
    """The world around the house; it answers."""
    built = World(house)
    async with trio.open_nursery() as nursery:
        await built.begin(nursery)
        yield built
        nursery.cancel_scope.cancel()
    built.close()


async def until(holds: Callable[[], object]) -> None:
    """Wait until something holds."""
    with trio.fail_after(PATIENCE):
        while not holds():
            await trio.testing.wait_all_tasks_blocked(0.001)


def befriend(house: House, address: str = STRANGER, sessions: int = 30) -> None:
    """A past of good sessions."""
    for _session in range(sessions):
        house.outcomes.hear(outcome(house.given(address), messages=1))
        house.wall += 86400 / 4


@asking
async def test_who_is_listed_is_a_foe_as_soon_as_that_is_heard(house: House, world: World) -> None:
    world.lists["bl.example"] = LISTED
    async with trio.open_nursery() as strangers:
        client = house.knock(STRANGER, strangers)
        assert len(house.proxy.room) == 1
        await until(lambda: not len(house.proxy.room))
    client.settimeout(PATIENCE)

    assert client.recv(100) == b"450 4.7.1 Listed\r\n"
    (line,) = house.log.about("refused")
    assert " score=-28 " in line
    assert "dnslist:bl.example:-25.0,name:missing:-3.0" in line


@asking
async def test_a_silent_reverse_zone_protects_no_chair_of_who_is_listed(
    house: House, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = world._answers
    monkeypatch.setattr(world, "_answers", lambda question: answers({**question, "name": False}))
    world.lists["bl.example"] = LISTED
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as strangers:
            house.knock(STRANGER, strangers)

    assert house.proxy.desk.status()["in_flight"] == 1  # its name
    (line,) = house.log.about("refused")
    assert " score=-25 " in line


@sending
async def test_who_is_recommended_goes_to_the_nice_pool_without_the_rest_of_its_pause(
    house: House, world: World
) -> None:
    world.lists["wl.example"] = ["127.0.9.3"]
    world.names[STRANGER] = named("mx.example.org", "example.org")
    async with trio.open_nursery() as strangers:
        house.knock(STRANGER, strangers)
        await until(lambda: not len(house.proxy.room))

    assert house.smtpds["nice"].take().attributes["client_address"] == STRANGER


@asking
async def test_an_answer_that_changes_little_leaves_the_stranger_waiting(house: House, world: World) -> None:
    async with trio.open_nursery() as strangers:
        house.knock(STRANGER, strangers)
        await until(lambda: house.proxy.desk.status()["in_flight"] == 0 and world.asked)
        await trio.testing.wait_all_tasks_blocked()
        assert len(house.proxy.room) == 1
        strangers.cancel_scope.cancel()


@pytest.mark.parametrize("house", [DNS.replace("4m", "50ms")], indirect=True)
async def test_no_answer_keeps_nobody_waiting(house: House, world: World) -> None:
    world.is_silent = True
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as strangers:
            house.knock(STRANGER, strangers)

    assert world.asked
    assert house.smtpds["hostile"].take().attributes["client_address"] == STRANGER
    assert not any("dnslist:" in line or "name:" in line for line in house.log.lines)


@asking
async def test_a_friend_is_asked_nothing_about_and_no_list_takes_its_place(house: House, world: World) -> None:
    befriend(house)
    world.lists["bl.example"] = LISTED
    answer = await ask(house, f"score {STRANGER} --ask")

    assert (answer["pool"], answer["settled"]) == ("nice", True)
    (told,) = [told for told in answer["dnslists"] if told["zone"] == "bl.example"]
    assert (told["said"], told["codes"], told["points"]) == ("listed", LISTED, 0.0)
    world.asked.clear()
    async with trio.open_nursery() as strangers:
        house.knock("192.0.2.77", strangers)
        house.knock(STRANGER, strangers)
        await until(lambda: world.asked)
        strangers.cancel_scope.cancel()
    assert house.smtpds["nice"].take().attributes["client_address"] == STRANGER


@asking
async def test_now_and_then_lists_are_asked_about_a_friend(house: House, world: World) -> None:
    """Those that speak against clients are held to account; one that only recommends is not."""
    befriend(house)
    async with trio.open_nursery() as strangers:
        house.knock(STRANGER, strangers)
        house.knock(STRANGER, strangers)
        await until(lambda: house.proxy.desk.status()["in_flight"] == 0 and world.asked)

    assert [(question["address"], question["name"]) for question in world.asked] == [(STRANGER, False)]
    assert [told["friends"] for told in house.proxy.desk.status()["lists"]] == [[0, 1], [0, 0]]


@asking
async def test_under_stress_strangers_are_asked_about_as_ever(house: House, world: World) -> None:
    await ask(house, "stress on")
    async with trio.open_nursery() as strangers:
        house.knock(STRANGER, strangers)
        await until(lambda: world.asked)
        strangers.cancel_scope.cancel()

    assert world.asked[0]["address"] == STRANGER


@pytest.mark.parametrize("house", [f"{DNS}\n[dns]\nunder_stress = false\n"], indirect=True)
async def test_under_stress_only_what_is_known_counts_if_the_operator_says_so(house: House, world: World) -> None:
    world.lists["bl.example"] = LISTED
    await ask(house, f"score {STRANGER} --ask")
    world.asked.clear()
    await ask(house, "stress on")
    async with trio.open_nursery() as strangers:
        house.knock("192.0.2.77", strangers)
        house.knock(STRANGER, strangers)
        await until(lambda: house.log.about("refused"))
        strangers.cancel_scope.cancel()

    assert not world.asked
    assert f"client={STRANGER} " in house.log.about("refused")[0]


@pytest.mark.parametrize("house", [f'mode = "observe"\n{DNS}'], indirect=True)
async def test_in_observe_mode_nobody_waits_and_the_next_verdict_knows(house: House, world: World) -> None:
    world.lists["bl.example"] = LISTED
    async with trio.open_nursery() as strangers:
        house.knock(STRANGER, strangers)
        assert not strangers.child_tasks
    await until(lambda: house.proxy.desk.hearsay(pack(STRANGER), time.monotonic()).lists)

    assert (await ask(house, f"score {STRANGER}"))["would"] == "450 4.7.1 Listed"


@asking
async def test_a_confirmed_name_is_learned_and_known_when_the_dns_is_not_asked(house: House, world: World) -> None:
    world.names[STRANGER] = named("mx7.example.org", "example.org")
    await ask(house, f"score {STRANGER} --ask")
    house.outcomes.hear(outcome(house.given(STRANGER), messages=1))

    packed = pack(STRANGER)
    name = house.proxy.memory.recall(Keys(packed, packed[:3], 0)).name
    assert name is not None
    assert (name.name, name.domain) == ("mx7.example.org", "example.org")


@asking
async def test_score_tells_what_was_asked_and_what_not(house: House, world: World) -> None:
    answer = await ask(house, f"score {STRANGER}")
    assert [told["said"] for told in answer["dnslists"]] == ["not asked", "not asked"]
    assert answer["name"] is None

    world.names[STRANGER] = named("dyn-7.isp.example", access=True)
    answer = await ask(house, f"score --ask {STRANGER}")
    assert [told["said"] for told in answer["dnslists"]] == ["not listed", "not listed"]
    assert (answer["name"]["said"], answer["name"]["access"], answer["name"]["points"]) == ("confirmed", True, -4.0)
    assert answer["score"] == -4.0


@pytest.mark.parametrize("house", ["[dns]\nnames = false\n"], indirect=True)
async def test_where_nothing_is_to_be_asked_score_says_so(house: House) -> None:
    refused = await refusal(house, f"score {STRANGER} --ask")

    assert refused.code == "failed"
    assert "the DNS is asked nothing" in str(refused)


@asking
async def test_while_nobody_asks_score_says_so(house: House) -> None:
    assert "cannot be asked now" in str(await refusal(house, f"score {STRANGER} --ask"))


@pytest.mark.parametrize("house", ['[listen]\npause = "30ms"\nteaser = "mx.example.com ESMTP"\n'], indirect=True)
async def test_a_stranger_is_teased_and_a_friend_is_not(house: House) -> None:
    befriend(house, "198.51.100.9")
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as strangers:
            friend, stranger = house.knock("198.51.100.9", strangers), house.knock(STRANGER, strangers)
            stranger.settimeout(PATIENCE)
            assert await trio.to_thread.run_sync(stranger.recv, 100) == b"220-mx.example.com ESMTP\r\n"
    friend.setblocking(False)
    with pytest.raises(BlockingIOError):
        friend.recv(100)


@pytest.mark.parametrize("house", ['[listen]\npause = "4m"\nteaser = "mx.example.com ESMTP"\n'], indirect=True)
async def test_who_takes_the_teaser_for_the_greeting_has_talked_early(house: House) -> None:
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as strangers:
            client = house.knock(STRANGER, strangers)
            await trio.lowlevel.wait_readable(client)
            client.sendall(b"EHLO spam.example\r\n")

    assert "pregreet:-30.0" in house.log.about("handover")[0]


UNBOTHERED = DNS.replace("[listen]", "[points]\npregreet = -1\n[listen]")


@pytest.mark.parametrize("house", [UNBOTHERED], indirect=True)
async def test_who_talks_early_and_is_no_foe_for_it_stays_until_the_lists_have_spoken(
    house: House, world: World
) -> None:
    world.lists["bl.example"] = LISTED
    async with trio.open_nursery() as strangers:
        client = house.knock(STRANGER, strangers)
        client.sendall(b"EHLO early.example\r\n")
        await until(lambda: not len(house.proxy.room))
    client.settimeout(PATIENCE)

    assert client.recv(100) == b"450 4.7.1 Listed\r\n"


@pytest.mark.parametrize("house", [UNBOTHERED.replace("4m", "40ms").replace("true", "false")], indirect=True)
async def test_who_talks_early_sits_out_its_pause(house: House) -> None:
    began = trio.current_time()
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as strangers:
            house.knock(STRANGER, strangers).sendall(b"EHLO early.example\r\n")

    assert trio.current_time() - began >= 0.04
    assert "pregreet:-1.0" in house.log.about("handover")[0]


@pytest.mark.parametrize("house", [DNS.replace('"bl.example" in listed', "early")], indirect=True)
async def test_early_talk_is_learned_even_if_the_client_is_refused_for_it(house: House) -> None:
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as strangers:
            house.knock(STRANGER, strangers).sendall(b"EHLO early.example\r\n")

    assert not house.log.about("handover")
    assert house.log.about("refused")
    assert house.knowledge(STRANGER) == (0.0, 1.0)


@asking
async def test_the_dns_is_asked_about_a_friend_that_only_others_vouch_for(house: House, world: World) -> None:
    """Its next verdict knows what it says; this one does not wait for it."""
    befriend(house, "192.0.2.44")
    house.outcomes.hear(outcome(house.given(STRANGER), messages=1))
    assert (await ask(house, f"score {STRANGER}"))["settled"]
    async with trio.open_nursery() as strangers:
        house.knock(STRANGER, strangers)
        assert not strangers.child_tasks
    await until(lambda: world.asked)

    assert [(question["address"], question["name"]) for question in world.asked] == [(STRANGER, True)]


@asking
async def test_the_name_of_one_host_is_not_that_of_its_neighbour(house: House, world: World) -> None:
    """Both are one client, an IPv6 /64, and have one history; a rule that asks for a name means the host."""
    host, neighbour = "2001:db8:1:2::a", "2001:db8:1:2::bad"
    world.names[host] = named("mx.example.org", "example.org")
    await ask(house, f"score {host} --ask")
    house.outcomes.hear(outcome(house.given(host), messages=1))

    wall = house.proxy.clock.now()
    names = [
        gather(house.proxy, pack(text), text, wall, now=time.monotonic(), early=False).domain
        for text in (host, neighbour)
    ]
    assert names == ["example.org", ""]


@pytest.mark.parametrize("house", ['[listen]\npause = "20ms"\n'], indirect=True)
async def test_who_has_talked_early_once_and_behaves_since_is_forgiven(house: House) -> None:
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as strangers:
            client = house.knock(STRANGER, strangers)
            client.sendall(b"EHLO early.example\r\n")
    (line,) = house.log.about("handover")
    session = line.partition("session=")[2].partition(" ")[0]
    house.outcomes.hear(outcome(session=session))
    after = (await ask(house, f"score {STRANGER}"))["score"]
    befriend(house, sessions=10)

    assert house.knowledge(STRANGER)[1] < 1.0
    assert after < 0
    assert (await ask(house, f"score {STRANGER}"))["score"] >= 5


@asking
async def test_whom_the_operator_recommends_no_list_takes_its_place(house: House, world: World) -> None:
    world.lists["bl.example"] = LISTED
    answer = await ask(house, f"score {FRIEND} --ask")

    assert (answer["score"], answer["pool"]) == (20.0, "nice")
    world.asked.clear()
    async with trio.open_nursery() as strangers:
        house.knock(FRIEND, strangers)
    assert house.smtpds["nice"].take().attributes["client_address"] == FRIEND
    await until(lambda: house.proxy.desk.status()["in_flight"] == 0)
    assert [question["name"] for question in world.asked] in ([], [False])  # at most whether lists list our friends
