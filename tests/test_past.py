"""What old sessions teach: each at most once, and not what history has already, or never wants."""

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frontproxy.core.address import pack
from frontproxy.core.history import Keys, KnownName
from frontproxy.past import (
    BatchError,
    Fate,
    PastSession,
    PastSides,
    batch_of,
    decode_batch,
    encode,
    keep_way_back,
    learn_batch,
    learn_past,
)
from frontproxy.wire.outcome_line import OutcomeLine
from tests.houses import FORWARDER, MONITOR, STRANGER, WALL, House, house, outcome

__all__ = ["house"]

DAY = 86400.0
YESTERDAY = WALL - DAY
NAME = KnownName("mail.example.com", "example.com", YESTERDAY)


def sides_of(house: House) -> PastSides:
    proxy = house.proxy
    return PastSides(proxy.setup, proxy.memory, proxy.desk, proxy.census)


def old(client: str = STRANGER, ended: float = YESTERDAY, messages: int = 1) -> OutcomeLine:
    return outcome(client=client, ended=ended, messages=messages)


def learn(house: House, line: OutcomeLine, key: int = 1 << 50, name: KnownName | None = None) -> Fate:
    return learn_past(sides_of(house), line, key, name, now=WALL)


def known_name(house: House) -> KnownName | None:
    packed = pack(STRANGER)
    client = house.proxy.memory.recall(Keys(packed, packed[:3], 0)).client
    return client.name if client else None


def test_an_old_session_counts_once(house: House) -> None:
    assert learn(house, old()) == "learned"
    once = house.knowledge(STRANGER)
    assert learn(house, old()) == "told"

    assert house.knowledge(STRANGER) == once
    assert once[0] == 1.0


@pytest.mark.parametrize(
    ("line", "fate"),
    [
        (old(ended=WALL + 3 * 3600), "future"),
        (old(ended=WALL - 301 * DAY), "old"),
        (old(client=MONITOR), "excused"),
        (old(messages=0), "nothing"),
    ],
)
def test_what_teaches_nothing_leaves_no_trace(house: House, line: OutcomeLine, fate: Fate) -> None:
    assert learn(house, line) == fate
    assert house.knowledge(line.client) == (0.0, 0.0)
    assert not house.proxy.memory.is_told(1 << 50)


def test_what_was_learned_as_it_happened_is_left_out(house: House) -> None:
    house.proxy.memory.note_live(YESTERDAY)

    assert learn(house, old(ended=YESTERDAY + 1.0)) == "live"
    assert learn(house, old(ended=YESTERDAY + 200.0)) == "learned"


def test_from_a_forwarder_refused_content_counts_little(house: House) -> None:
    line = replace(old(messages=0), content_refused=1)
    learn(house, line, 1 << 50)
    learn(house, replace(line, client=FORWARDER), 1 << 51)

    assert 0 < house.knowledge(FORWARDER)[1] * 9 < house.knowledge(STRANGER)[1]


def test_a_name_teaches_but_no_verdict_relies_on_it(house: House) -> None:
    learn(house, old(), name=NAME)
    packed = pack(STRANGER)

    assert known_name(house) == NAME
    assert house.proxy.memory.recall(Keys(packed, packed[:3], 0), now=WALL).name is None
    assert house.proxy.memory.recall(Keys(packed, packed[:3], 0)).provider is not None


def test_an_old_name_does_not_replace_a_newer_one(house: House) -> None:
    learn(house, old(), 1 << 50, NAME)
    learn(house, old(ended=YESTERDAY - DAY), 1 << 51, NAME._replace(name="old.example.org", until=YESTERDAY - DAY))

    assert known_name(house) == NAME


def test_a_batch_tells_what_became_of_its_sessions_and_clients(house: House) -> None:
    lines = [old(ended=YESTERDAY + number * 10) for number in range(9)]
    lines += [replace(line, client="198.51.100.1", messages=0, refused=6) for line in lines]
    batch = [PastSession(line, (1 << 50) + number, None) for number, line in enumerate(lines)]

    learned = learn_batch(sides_of(house), [*batch, batch[0]], now=WALL)

    assert learned.fates == ["learned"] * 18 + ["told"]
    assert learned.standings == {STRANGER: "friend", "198.51.100.1": "bad name"}


@pytest.mark.parametrize("trusted", [False, True])
def test_a_batch_comes_out_as_it_went_in(trusted: bool) -> None:
    sessions = [PastSession(old(), 1, None), PastSession(old(client="2001:db8::1"), 2**63 - 1, NAME)]
    text = batch_of([encode(session) for session in sessions])

    assert b" " not in text
    assert decode_batch(text, trusted=trusted) == sessions


GOOD = json.loads(encode(PastSession(old(), 1, NAME)))


@pytest.mark.parametrize(
    ("batch", "told"),
    [
        ("", "not JSON"),
        ("{}", "not a JSON array"),
        ("[" * 100_000, "not JSON"),
        ([[]], "a session is"),
        ([[2**63, *GOOD[1:]]], "a session is"),
        ([[-1, *GOOD[1:]]], "a session is"),
        ([[1, "mail.example.com", "example.org", GOOD[3]]], "not the name of a host in the domain"),
        ([[1, "mail.example.com", "xample.com", GOOD[3]]], "not the name of a host in the domain"),
        ([[1, "a b.example.com", "", GOOD[3]]], "not the name of a host"),
        ([[1, "", "", {}]], "client is missing"),
        ([[1, "", "", {**GOOD[3], "client": "mail.example.com"}]], "is not an IPv4"),
        ([[1, "", "", {**GOOD[3], "ended": "now"}]], "ended is"),
    ],
)
def test_what_is_no_batch_is_told(batch: object, told: str) -> None:
    with pytest.raises(BatchError, match=told):
        decode_batch(batch if isinstance(batch, str) else json.dumps(batch))


ODD = st.one_of(st.none(), st.integers(), st.floats(), st.text(max_size=9), st.just({}), st.just(GOOD[3]))


@settings(max_examples=60)
@given(st.one_of(st.binary(), st.builds(json.dumps, st.lists(st.lists(ODD, max_size=5), max_size=3))))
def test_nothing_else_comes_of_a_batch_than_sessions_or_its_error(text: str | bytes) -> None:
    with suppress(BatchError):
        assert isinstance(decode_batch(text), list)


async def test_the_way_back_is_the_history_as_it_was_that_day(house: House, tmp_path: Path) -> None:
    learn(house, old())
    await house.proxy.memory.flush()
    file = tmp_path / "history.sqlite3"

    copy = keep_way_back(file, WALL)
    first = copy.read_bytes()
    made = copy.stat().st_mtime
    learn(house, old(ended=YESTERDAY - 99), 1 << 51)
    await house.proxy.memory.flush()

    assert keep_way_back(file, made + 3600.0).read_bytes() == first
    assert keep_way_back(file, made + 2 * DAY).read_bytes() != first


def test_days_of_old_logs_each_have_their_own_allowance(house: House) -> None:
    """Whoever has sent mail today is not cheated of the year before, in which the log saw it every day."""
    sides = sides_of(house)
    learn_past(sides, old(ended=WALL - 60), 1 << 49, None, now=WALL)
    for session in range(40):
        ended = WALL - (1 + session // 20) * DAY + session
        assert learn_past(sides, old(ended=ended), (1 << 50) + session, None, now=WALL) == "learned"

    good, _bad = house.knowledge(STRANGER)
    assert 14 < good < 19  # ten of each of two days, some of them displaced


def test_a_day_in_two_logs_counts_as_one_day(house: House) -> None:
    sides = sides_of(house)
    for log in range(2):
        for session in range(40):
            ended = YESTERDAY + session
            learn_past(sides, old(ended=ended), (1 << 50) + 100 * log + session, None, now=WALL)

    assert house.knowledge(STRANGER)[0] < 11
