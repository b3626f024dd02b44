"""The desk: what is asked and when, what is kept of the answers and for how long, and which lists are believed."""

import socket

import pytest
import trio
import trio.testing

from frontproxy.core.address import pack
from frontproxy.core.config_values import Dns
from frontproxy.core.hearsay import NOTHING_HEARD
from frontproxy.lookup.flights import FORGOTTEN_AFTER, PLACES, RESERVED
from frontproxy.lookup.keeping import CODES_KEPT, NO_ANSWER_HOLDS
from tests.fakes import PATIENCE
from tests.lookup.desks import (
    CLIENT,
    LISTS,
    TEXT,
    ZONES,
    Office,
    dns_list,
    everything,
    list_said,
    list_silent,
    name_said,
    voting_office,
)


def stranger(number: int) -> bytes:
    """One of many."""
    return bytes([198, 51, number // 256, number % 256])


def test_a_stranger_is_asked_about_everywhere_in_one_question() -> None:
    with voting_office() as office:
        assert office.ask()
        (question,) = office.asked()

        assert question == {"id": question["id"], "address": TEXT, "zones": ZONES, "name": True}
        assert office.desk.status()["in_flight"] == 3
        assert office.hearsay() is NOTHING_HEARD


def test_who_asks_hears_once_when_the_last_answer_has_come() -> None:
    with voting_office() as office:
        office.ask()
        (question,) = office.asked()
        office.answer(list_said(question, "bl.example", "127.0.0.4"))
        office.answer(list_said(question, "wl.example"))
        assert office.heard == 0
        office.answer(name_said(question))

        assert office.heard == 1
        assert [(said.zone, said.state, said.codes) for said in office.hearsay().lists] == [
            ("bl.example", "listed", ("127.0.0.4",)),
            ("wl.example", "not listed", ()),
        ]
        name = office.hearsay().name
        assert name is not None
        assert (name.state, name.name, name.domain) == ("confirmed", "mail.example.com", "example.com")
        assert office.desk.status()["in_flight"] == 0


def test_what_is_heard_is_known_when_it_is_told() -> None:
    with voting_office() as office:
        known = []
        office.ask(heard=lambda: known.append(office.hearsay()))
        office.answer(*everything(office.asked()[0]))

        assert len(known[0].lists) == 2
        assert known[0].name


def test_an_answer_is_known_before_the_others_have_come() -> None:
    with voting_office() as office:
        office.ask()
        office.answer(name_said(office.asked()[0]))

        assert office.hearsay().name
        assert not office.hearsay().lists


def test_what_is_known_is_not_asked_again() -> None:
    with voting_office() as office:
        office.ask()
        office.answer(*everything(office.asked()[0]))

        assert office.ask() is None
        assert office.asked() == []


def test_only_what_no_longer_holds_is_asked_again() -> None:
    with voting_office() as office:
        office.ask()
        (question,) = office.asked()
        office.answer(
            list_said(question, "bl.example", ttl=100), list_said(question, "wl.example", ttl=900), name_said(question)
        )
        office.now += 100
        office.ask()

        assert [(question["zones"], question["name"]) for question in office.asked()] == [(["bl.example"], False)]


def test_a_name_is_not_asked_for_where_it_is_not_wanted() -> None:
    with voting_office() as office:
        office.ask(name=False)
        assert [question["name"] for question in office.asked()] == [False]
    with voting_office(Dns(names=False)) as office:
        office.ask()
        assert [question["name"] for question in office.asked()] == [False]


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


def test_who_gives_no_answer_is_left_alone_for_a_moment() -> None:
    with voting_office() as office:
        office.ask()
        (question,) = office.asked()
        office.answer(
            list_silent(question, "bl.example"),
            list_said(question, "wl.example"),
            {"id": question["id"], "name": None, "error": "SERVFAIL"},
        )
        assert office.heard == 1
        silent = office.hearsay().lists[0]
        assert (silent.zone, silent.state, silent.why) == ("bl.example", "no answer", "timeout")
        assert office.ask() is None
        office.now += NO_ANSWER_HOLDS
        office.ask()

        assert [(question["zones"], question["name"]) for question in office.asked()] == [(["bl.example"], True)]


def test_an_answer_that_comes_when_nobody_waits_any_more_is_kept() -> None:
    with voting_office() as office:
        inquiry = office.ask()
        assert inquiry
        inquiry.cancel()
        office.answer(*everything(office.asked()[0]))

        assert office.heard == 0
        assert len(office.hearsay().lists) == 2


def test_a_second_session_of_a_client_waits_for_the_same_answers() -> None:
    with voting_office() as office:
        office.ask()
        office.ask()
        (question,) = office.asked()
        office.answer(*everything(question))

        assert office.heard == 2


def test_a_second_session_asks_what_the_first_has_not_asked() -> None:
    with voting_office() as office:
        office.ask(name=False)
        office.ask()
        first, second = office.asked()
        assert (second["zones"], second["name"]) == ([], True)
        office.answer(name_said(second))
        assert office.heard == 0
        office.answer(*everything(first))

        assert office.heard == 2


def test_a_flood_of_strangers_is_asked_about_within_the_budget() -> None:
    with voting_office(Dns(lookups_per_second=20)) as office:
        office.now += 10
        asked = [number for number in range(100) if office.ask(stranger(number))]
        assert len(asked) == 5  # four look-ups each, of twenty
        office.now += 1
        asked = [number for number in range(100, 200) if office.ask(stranger(number))]

        assert len(asked) == 5
        assert office.desk.status()["over_budget"] == 190
        assert len(office.asked()) == 10


def test_all_is_asked_of_one_client_or_nothing() -> None:
    with voting_office(Dns(lookups_per_second=5)) as office:
        office.now += 10
        assert office.ask(stranger(1))
        assert not office.ask(stranger(2))
        assert len(office.asked()) == 1


def test_only_so_many_questions_are_in_flight_and_tests_find_a_place() -> None:
    with voting_office(Dns(lookups_per_second=100_000)) as office:
        office.later(299)
        asked = [number for number in range(200) if office.ask(stranger(number))]
        assert len(asked) == (PLACES - RESERVED) // 3
        assert office.desk.status()["in_flight"] == len(office.asked()) * 3

        office.later(1)
        assert len(office.asked()) == 4
        assert office.ask(stranger(201)) is None


def test_when_the_program_does_not_keep_up_nothing_is_asked() -> None:
    with voting_office(Dns(lookups_per_second=100_000)) as office:
        office.link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2048)
        asked = [number for number in range(50) if office.ask(stranger(number))]

        assert 0 < len(asked) < 50
        assert office.desk.status()["in_flight"] == len(asked) * 3
        assert len(office.asked()) == len(asked)


def test_what_a_dead_program_was_asked_is_given_up() -> None:
    with voting_office() as office:
        office.ask()
        (question,) = office.asked()
        office.later(FORGOTTEN_AFTER)
        assert office.heard == 0
        office.later(0.1)

        assert office.heard == 1
        assert {said.why for said in office.hearsay().lists} == {"lost"}
        assert office.desk.status()["in_flight"] == 0
        office.answer(*everything(question))
        assert office.desk.status()["unexpected"] == 3


def test_without_a_link_nothing_is_asked() -> None:
    with voting_office() as office:
        office.desk.configure(Dns(names=False), (), None)
        office.later(1)

        assert office.ask() is None
        assert office.desk.ask_all(CLIENT, office.now, office.hear) is None
        assert office.desk.status()["lists"] == []


def test_a_link_that_is_closed_at_the_other_end_is_no_link() -> None:
    with voting_office() as office:
        office.program.close()

        assert office.ask() is None


def test_a_reload_keeps_what_is_known_and_the_votes() -> None:
    with voting_office() as office:
        office.ask()
        office.answer(*everything(office.asked()[0]))
        office.desk.configure(office.dns, (LISTS[0], dns_list("new.example")), office.link)

        assert office.desk.voting == {"bl.example"}
        assert [said.zone for said in office.hearsay().lists] == ["bl.example"]
        office.later(1)
        assert {question["zones"][0] for question in office.asked()} == {"new.example"}


def test_a_name_that_is_not_wanted_any_more_is_not_told() -> None:
    with voting_office() as office:
        office.ask()
        office.answer(*everything(office.asked()[0]))
        office.desk.configure(Dns(names=False), LISTS, office.link)

        assert office.hearsay().name is None


def test_who_waits_for_a_program_that_is_replaced_waits_no_longer() -> None:
    with voting_office() as office:
        office.ask()
        link, program = office.new_link()
        office.desk.configure(office.dns, LISTS, link)

        assert office.heard == 1
        office.later(0)
        assert office.desk.voting == set(ZONES)
        assert len(program.recv(4096)) > 0  # the lists are tested through the new one


def test_everything_can_be_asked_anew() -> None:
    with voting_office(Dns(lookups_per_second=0)) as office:
        assert office.ask() is None
        for _ in range(2):
            assert office.desk.ask_all(CLIENT, office.now, office.hear)
            (question,) = office.asked()
            assert (question["zones"], question["name"]) == (ZONES, True)
            office.answer(*everything(question))

        assert office.heard == 2


def test_everything_means_lists_without_a_vote_too() -> None:
    with Office() as office:
        office.desk.ask_all(CLIENT, office.now, office.hear)

        assert office.asked()[0]["zones"] == ZONES


def test_a_new_list_is_tested_at_once_and_strangers_are_asked_about_when_it_has_passed() -> None:
    with Office() as office:
        assert office.desk.voting == set()
        office.ask()
        assert [question["zones"] for question in office.asked()] == [[]]  # the name alone
        office.later(0)
        questions = office.asked()
        tests = {(question["address"], *question["zones"], question["name"]) for question in questions}
        assert tests == {(point, zone, False) for point in ("127.0.0.2", "127.0.0.1") for zone in ZONES}
        for question in questions:
            listed = ["127.0.0.2"] if question["address"] == "127.0.0.2" else []
            office.answer(list_said(question, question["zones"][0], *listed))

        assert office.desk.voting == set(ZONES)
        assert office.log.lines == [
            "event=dnslist zone=bl.example state=vote",
            "event=dnslist zone=wl.example state=vote",
        ]


def test_tests_say_nothing_about_clients() -> None:
    with voting_office() as office:
        assert office.hearsay(pack("127.0.0.2")) is NOTHING_HEARD
        assert office.desk.status()["cached"] == 0


def test_tests_come_every_five_minutes() -> None:
    with voting_office() as office:
        office.later(299)
        assert office.asked() == []
        office.later(1)
        assert len(office.asked()) == 4


def test_a_list_that_fails_is_asked_about_nobody_until_it_passes() -> None:
    with voting_office() as office:
        office.later(300)
        office.test_lists(pass_=["wl.example"])
        assert office.desk.voting == {"wl.example"}
        (line,) = office.log.lines
        assert line.startswith("event=dnslist zone=bl.example state=no_vote why=")
        office.ask()
        assert [question["zones"] for question in office.asked()] == [["wl.example"]]

        office.later(60)
        office.test_lists()
        assert office.desk.voting == set(ZONES)
        assert office.log.lines[1:] == ["event=dnslist zone=bl.example state=vote"]


def test_a_silent_list_loses_its_vote_and_people_are_told() -> None:
    with voting_office() as office:
        for _ in range(2):
            office.later(300)
            office.test_lists(error="timeout")

        assert office.desk.voting == set()
        assert list(office.desk.troubles()) == [
            f"DNS list {zone} has no vote: its last tests had no answer (timeout); see whether our resolver reaches it"
            for zone in ZONES
        ]


def test_a_new_list_is_no_trouble_in_its_first_seconds() -> None:
    with Office() as office:
        office.later(5)
        assert list(office.desk.troubles()) == []
        office.later(6)
        assert len(list(office.desk.troubles())) == 2


def test_when_dns_answers_nothing_that_is_one_trouble() -> None:
    with voting_office(Dns(lookups_per_second=1000)) as office:
        for number in range(20):
            office.ask(stranger(number))
        for question in office.asked():
            office.answer(*[list_silent(question, zone) for zone in question["zones"]])
            office.answer({"id": question["id"], "name": None, "error": "timeout"})

        (trouble,) = office.desk.troubles()
        assert trouble.startswith("DNS answers nothing: the last 50 questions had no answer")


def test_that_too_much_was_asked_at_once_does_not_make_dns_silent() -> None:
    with voting_office(Dns(lookups_per_second=1000)) as office:
        for number in range(30):
            office.ask(stranger(number))
        for question in office.asked():
            office.answer(*[list_silent(question, zone, "busy") for zone in question["zones"]])

        assert list(office.desk.troubles()) == []
        assert office.desk.voting == set(ZONES)


def test_a_client_at_a_test_point_is_a_client_like_any_other() -> None:
    with voting_office() as office:
        office.later(300)
        tests = office.asked()
        office.ask(pack("127.0.0.2"))
        (question,) = office.asked()
        office.answer(*everything(question))

        assert len(tests) == 4
        assert len(office.hearsay(pack("127.0.0.2")).lists) == 2
        assert office.heard == 1


def test_a_friend_is_asked_about_now_and_then() -> None:
    with voting_office() as office:
        office.desk.friend_came(stranger(1), office.now)
        office.desk.friend_came(stranger(2), office.now + 9)
        office.desk.friend_came(stranger(1), office.now + 10)
        office.desk.friend_came(stranger(3), office.now + 11)
        office.desk.friend_came(stranger(1), office.now + 86399)

        assert [(question["address"], question["zones"], question["name"]) for question in office.asked()] == [
            ("198.51.0.1", ZONES, False),
            ("198.51.0.3", ZONES, False),
        ]
        office.desk.friend_came(stranger(1), office.now + 86400)
        assert len(office.asked()) == 1


def test_a_list_that_lists_our_friends_has_no_vote() -> None:
    with voting_office() as office:
        for number in range(3):
            office.now += 10
            office.desk.friend_came(stranger(number), office.now)
            (question,) = office.asked()
            office.answer(*[list_said(question, zone, "127.0.0.2") for zone in ZONES])

        assert office.desk.voting == {"wl.example"}
        assert office.log.lines == ['event=dnslist zone=bl.example state=no_vote why="it lists 3 of 3 of our friends"']
        bad, good = office.desk.status()["lists"]
        assert (bad["friends"], bad["asked"], bad["listed"]) == ([3, 3], 3, 3)
        assert good["friends"] == [0, 0]


def test_friends_that_are_not_listed_bear_witness_for_a_list() -> None:
    with voting_office() as office:
        for number in range(5):
            office.now += 10
            office.desk.friend_came(stranger(number), office.now)
            office.answer(*everything(office.asked()[0]))

        assert office.desk.voting == set(ZONES)
        assert office.desk.status()["lists"][0]["friends"] == [0, 5]


def test_a_list_without_a_vote_goes_on_being_asked_about_friends() -> None:
    with Office() as office:
        office.desk.friend_came(CLIENT, office.now)

        assert office.asked()[0]["zones"] == ZONES


def test_no_answer_about_a_friend_is_no_witness() -> None:
    with voting_office() as office:
        office.desk.friend_came(CLIENT, office.now)
        office.answer(list_silent(office.asked()[0], "bl.example"))

        assert office.desk.status()["lists"][0]["friends"] == [0, 0]
        assert office.desk.status()["lists"][0]["no_answer"] == 1


def test_answers_that_nobody_has_asked_for_are_not_believed() -> None:
    with voting_office() as office:
        office.ask(name=False)
        (question,) = office.asked()
        office.answer(list_said({"id": 4711}, "bl.example", "127.0.0.2"))
        office.answer(list_said(question, "other.example", "127.0.0.2"))
        office.answer(name_said(question))
        office.answer(list_said(question, "bl.example"), list_said(question, "bl.example", "127.0.0.2"))

        assert [said.state for said in office.hearsay().lists] == ["not listed"]
        assert office.hearsay().name is None
        assert office.desk.status()["unexpected"] == 4


@pytest.mark.parametrize("packet", [b"{}\n", b"no JSON\n", b"\n", b'{"id": 1', b"x" * 40_000])
def test_packets_that_cannot_be_read_are_counted(packet: bytes) -> None:
    with voting_office() as office:
        office.program.send(packet)
        office.receive()

        assert office.desk.status()["malformed"] == 1
        assert not office.log.lines


def test_a_list_that_gives_a_thousand_replies_takes_no_more_room_than_others() -> None:
    with voting_office() as office:
        office.ask()
        office.answer(list_said(office.asked()[0], "bl.example", *[f"127.0.1.{n % 256}" for n in range(1000)]))

        assert len(office.hearsay().lists[0].codes) == CODES_KEPT


def test_a_bug_in_one_who_waits_harms_nobody_else() -> None:
    def fail() -> None:
        raise RuntimeError("oops")

    with voting_office() as office:
        office.ask(heard=fail)
        office.ask(stranger(1))
        first, second = office.asked()
        office.answer(*everything(first), *everything(second))

        assert office.heard == 1
        assert len(office.log.bugs) == 1


def test_status_tells_what_there_is_to_know() -> None:
    with voting_office() as office:
        office.ask()
        office.answer(*everything(office.asked()[0]))
        office.now += 5.04

        status = office.desk.status()
        assert status.pop("lists") == [
            {
                "zone": zone,
                "vote": True,
                "why": None,
                "asked": 1,
                "listed": 0,
                "no_answer": 0,
                "friends": [0, 0],
                "tested": 5.0,
            }
            for zone in ZONES
        ]
        assert status == {
            "cached": 1,
            "in_flight": 0,
            "asked": 7,
            "answers": 7,
            "no_answer": 0,
            "over_budget": 0,
            "unexpected": 0,
            "malformed": 0,
        }


async def test_it_hears_for_ever_through_whatever_link_there_is() -> None:
    with voting_office() as office, trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(office.desk.run)
            for _ in range(3):
                heard = trio.Event()
                assert office.desk.ask_all(CLIENT, office.now, heard.set)
                office.program.send(b"{}\n")
                office.send(*everything(office.asked()[0]))
                await heard.wait()
                office.program.close()
                await trio.testing.wait_all_tasks_blocked()
                office.link, office.program = office.new_link()
                office.desk.configure(Dns(), LISTS, office.link)
            nursery.cancel_scope.cancel()
