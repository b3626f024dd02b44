"""The live state: what befalls a session until it is given away or refused."""

import time
from contextlib import closing
from pathlib import Path

import pytest

from frontproxy.core.address import AddressError, unpack
from frontproxy.core.verdict import Route
from frontproxy.memory.journal import HOLD, Journal
from frontproxy.memory.journal_rows import entry_from
from frontproxy.memory.journal_table import read_sessions
from tests.fakes import Visitors, tcp_pair
from tests.houses import BANNED, FOE, FRIEND, STRANGER, WALL, House, all_from, bug, house, outcome

__all__ = ["house"]

CLIENT = bytes([192, 0, 2, 7])
foreign = pytest.mark.parametrize("house", ["[learn]\nforeign = true\n"], indirect=True)


def test_what_we_refused_counts_neither_as_open_nor_as_rate(house: House) -> None:
    ours, client = tcp_pair()
    with ours, client:
        session = house.proxy.open_session(ours, (STRANGER, 4711), ("198.51.100.25", 25))
        assert house.proxy.census.of(CLIENT, 0).open_sessions == 1

        house.proxy.session_refused(session, "421 4.3.2 Later", "route")

        assert all_from(client) == b"421 4.3.2 Later\r\n"
        assert house.proxy.census.of(CLIENT, 0).open_sessions == 0
        assert house.proxy.census.of(CLIENT, time.monotonic()).rate == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize(
    ("peer", "address"),
    [("192.0.2.7", "192.0.2.7"), ("::ffff:192.0.2.7", "192.0.2.7"), ("fe80::1%eth0", "fe80::1")],
)
def test_a_session_has_a_plain_address(house: House, peer: str, address: str) -> None:
    with Visitors() as visitors:
        sock = visitors.session().socket

        assert house.proxy.open_session(sock, (peer, 25), ("::ffff:198.51.100.25", 25)).address == address


def test_where_nobody_tells_it_a_client_has_come_to_the_address_of_the_socket(house: House) -> None:
    ours, client = tcp_pair()
    with ours, client:
        plain = house.proxy.open_session(ours, ("192.0.2.7", 25))
        told = house.proxy.open_session(ours, ("192.0.2.7", 25), ("198.51.100.25", 25))

        assert (plain.server, plain.is_direct) == (ours.getsockname(), True)
        assert (told.server, told.is_direct) == (("198.51.100.25", 25), False)


def test_a_peer_without_an_address_is_no_session_and_is_not_counted(house: House) -> None:
    with Visitors() as visitors, pytest.raises(AddressError):
        house.proxy.open_session(visitors.session().socket, ("", 0), ("198.51.100.25", 25))

    assert house.proxy.counters["accepted"] == 0


def test_judging_changes_nothing(house: House) -> None:
    first, second = (house.proxy.judge(CLIENT, STRANGER)._replace(seen=None) for _time in range(2))

    assert first == second
    assert house.proxy.census.of(CLIENT, 0).open_sessions == 0


def test_a_stranger_whose_judging_failed_has_a_reason_for_it(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(house.proxy.census, "of", bug)

    verdict = house.proxy.judge_guarded(CLIENT, STRANGER)

    assert [reason.name for reason in verdict.reasons] == ["unjudged"]
    assert verdict.route == Route(pool="hostile")
    assert (verdict.score, verdict.settled) == (0.0, False)


async def test_who_was_given_away_and_who_was_refused_stands_in_the_journal(house: House, tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with closing(Journal.open(path, log=house.log, clock=house.proxy.clock.now)) as journal:
        house.proxy.journal = journal
        house.outcomes.hear(outcome(house.given(FRIEND), messages=1))
        house.given(STRANGER)
        house.given(FOE)
        ours, client = tcp_pair()
        with ours, client:
            banned = house.proxy.open_session(ours, (BANNED, 4711), ("198.51.100.25", 25))
            house.proxy.place(banned)
        house.wall += 2 * HOLD
        await journal.flush()

    entries = [entry_from(row) for rows in read_sessions(path) for row in rows]
    assert sorted((unpack(entry.seen.packed), entry.pool, entry.end.kind) for entry in entries) == [
        (FRIEND, "nice", "quit"),
        (FOE, "hostile", "unknown"),
        (BANNED, "", "refused"),
        (STRANGER, "hostile", "unknown"),
    ]
    assert [entry.route for entry in entries if not entry.pool] == [banned.verdict.route.reply]


@pytest.mark.parametrize(("messages", "lessons"), [(0, 0), (1, 1)])
async def test_early_talk_is_not_kept_to_be_taken_back_unless_the_client_had_done_good(
    house: House, tmp_path: Path, messages: int, lessons: int
) -> None:
    """A flood of early talkers must not crowd out what an operator may want to take back."""
    house.outcomes.hear(outcome(house.given(STRANGER), messages=messages))
    with closing(Journal.open(tmp_path / "journal", log=house.log, clock=house.proxy.clock.now)) as journal:
        house.proxy.journal = journal
        for _time in range(1 + (not messages)):
            ours, client = tcp_pair()
            with ours, client:
                talker = house.proxy.open_session(ours, (STRANGER, 4711), ("198.51.100.25", 25))
                talker.early = True
                house.proxy.session_refused(talker, "421 4.3.2 Later", "route")
        await journal.flush()

        assert len(await journal.last_lessons(0, WALL + 1, 9)) == lessons
    assert house.knowledge(STRANGER)[1] >= 1.0
