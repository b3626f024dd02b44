"""Pools at work: several servers, one that dies and comes back, full ones that spill; `status` tells all of it."""

import math
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack

from prometheus_client.parser import text_string_to_metric_families

from tests.real.house import House, wait_for
from tests.real.need import need
from tests.real.receivers import FRIEND, FRIENDS, OTHER_FRIEND, STRANGER, Receiver, hang_up, relayed_to, take_mail
from tests.real.servers import Sink

TWO_POOLS = """
[listen]
addresses = ["127.0.0.1:0"]
pause = "0s"
{friends}
[pool.nice]
backends = ["{nice}"]
sessions = 2
per_client = 2
reserved = true
handover_wait = "20s"
fallback = "hostile"
[pool.hostile]
backends = ["{hostile}"]
sessions = 2
patience = "60s"
handover_wait = "20s"
"""
Samples = dict[str, float]


def greeted(house: House, client: str) -> socket.socket:
    """A session that a server has begun."""
    session = house.connect(client)
    assert session.recv(4096).startswith(b"220 ")
    return session


def metrics(house: House) -> Samples:
    """What Prometheus reads: by name, and by the values of the labels after a slash each."""
    families = text_string_to_metric_families(house.command("status", "--prometheus"))
    samples = [sample for family in families for sample in family.samples]
    return {
        "/".join([sample.name.removeprefix("frontproxy_"), *sample.labels.values()]): sample.value for sample in samples
    }


def sessions(house: House, pool: str = "all") -> list[int]:
    """How many each server of a pool has."""
    return [backend["sessions"] for backend in house.pool(pool)["backends"]]


def deliver_until(house: House, is_so: Callable[[], bool]) -> None:
    """A friend's messages, one after the other, until something is so."""

    def deliver_and_look() -> bool:
        house.deliver(FRIEND)
        return is_so()

    wait_for(deliver_and_look, "what many messages should lead to")


def test_the_least_busy_server_gets_the_next_session(build: Callable[..., House]) -> None:
    with Receiver(take_mail) as one, Receiver(take_mail) as two, ExitStack() as clients:
        house = build(relayed_to(one.backend, two.backend)).start()
        opened = [clients.enter_context(greeted(house, FRIEND)) for _ in range(6)]
        assert sessions(house) == [3, 3]

        for client in opened[0:4:2]:
            client.close()
        wait_for(lambda: sessions(house) == [1, 3], "the end of two sessions")
        for _ in range(2):
            clients.enter_context(greeted(house, FRIEND))

        assert (len(one.sessions), len(two.sessions)) == (5, 3)
        known = metrics(house)
        assert (known[f"backend_sessions/all/{one.backend}"], known[f"backend_sessions/all/{two.backend}"]) == (3, 3)


def test_where_a_server_dies_the_other_takes_over_until_it_is_back(build: Callable[..., House]) -> None:
    need("smtp-sink")
    with Sink() as mortal, Receiver(take_mail) as other:
        name = f"tcp:{mortal.address}?proxy=none"
        house = build(relayed_to(name, other.backend)).start()
        house.deliver(FRIEND)
        assert not other.sessions

        mortal.stop()
        for _ in range(5):
            house.deliver(FRIEND)
        assert len(other.sessions) == 5
        assert house.pool("all")["backends"][0]["down"] == f"{mortal.address}: Connection refused"
        assert metrics(house)[f"backend_up/all/{name}"] == 0
        wait_for(lambda: house.events("backend", state="down", backend=name), "its line in the log")

        mortal.start()
        deliver_until(house, lambda: house.pool("all")["backends"][0]["down"] is None)
        assert metrics(house)[f"backend_up/all/{name}"] == 1
        wait_for(lambda: house.events("backend", state="up", backend=name), "its line in the log")


def test_a_server_that_fails_is_asked_more_and_more_seldom(build: Callable[..., House]) -> None:
    with Receiver(hang_up) as bad, Receiver(take_mail) as good:
        house = build(relayed_to(bad.backend, good.backend)).start()
        house.deliver(OTHER_FRIEND)  # once it has greeted neither of two clients, it is to blame
        began = time.monotonic()
        deliver_until(house, lambda: len(bad.sessions) >= 5)

        took = time.monotonic() - began
        assert took > 0.2 + 0.4 + 0.8
        assert len(bad.sessions) <= 2 + math.log2(took / 0.2 + 1)
        assert len(good.sessions) >= 4


def test_a_friend_spills_down_and_a_stranger_never_up(build: Callable[..., House]) -> None:
    with Receiver(take_mail) as nice, Receiver(take_mail) as hostile, ExitStack() as clients:
        house = build(TWO_POOLS.format(friends=FRIENDS, nice=nice.backend, hostile=hostile.backend)).start()
        first, *_others = [clients.enter_context(greeted(house, FRIEND)) for _ in range(3)]
        inside = clients.enter_context(greeted(house, STRANGER))
        waiting = clients.enter_context(house.connect("127.64.0.2"))
        assert (len(nice.sessions), len(hostile.sessions)) == (2, 2)
        wait_for(lambda: house.pool("hostile")["waiting"] == 1, "the stranger in line")
        wait_for(lambda: house.pool("hostile")["longest_wait"] >= 0.2, "some waiting")
        known = metrics(house)
        assert [known[f"pool_{what}/hostile"] for what in ("taken", "places", "waiting")] == [2, 2, 1]
        assert 0.2 <= known["pool_longest_wait_seconds/hostile"] < 60
        assert [known[f"pool_{what}/nice"] for what in ("taken", "places", "waiting")] == [2, 2, 0]

        first.close()
        wait_for(lambda: house.pool("nice")["taken"] == 1, "a free place in the nice pool")
        assert house.pool("hostile")["waiting"] == 1
        inside.close()
        assert waiting.recv(4096).startswith(b"220 ")
        assert (len(nice.sessions), len(hostile.sessions)) == (2, 3)


def test_all_that_status_counts_is_readable_to_prometheus(build: Callable[..., House]) -> None:
    with Receiver(take_mail) as receiver:
        house = build(relayed_to(receiver.backend)).start()
        house.deliver(FRIEND)
        house.deliver(STRANGER)
        families = {
            family.name: family for family in text_string_to_metric_families(house.command("status", "--prometheus"))
        }

    assert {family.type for family in families.values()} == {"gauge", "counter"}
    assert all(name.startswith("frontproxy_") and family.documentation for name, family in families.items())
    events = {sample.labels["event"]: sample.value for sample in families["frontproxy_events"].samples}
    assert (events["accepted"], events["handed_over"]) == (2, 2)
