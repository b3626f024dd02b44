"""The desk: what is asked and when, what is kept of the answers, and what people are told."""

import pytest

from frontproxy.core.address import pack
from frontproxy.core.config_values import Dns
from frontproxy.core.hearsay import NOTHING_HEARD
from frontproxy.lookup.desk import SILENCE
from frontproxy.lookup.flights import FORGOTTEN_AFTER, NAMES, NAMES_OF_ONE_NETWORK, PLACES, RESERVED
from frontproxy.lookup.keeping import NO_ANSWER_HOLDS
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
    name_silent,
    stranger,
    voting_office,
)


def test_a_stranger_is_asked_about_everywhere_in_one_question() -> None:
    with voting_office() as office:
        assert office.ask()
        (question,) = office.asked()

        assert question == {"id": question["id"], "address": TEXT, "zones": ZONES, "name": True}
        assert office.desk.status()["in_flight"] == 3
        assert office.hearsay() is NOTHING_HEARD


def test_who_asks_hears_when_the_last_answer_has_come() -> None:
    with voting_office() as office:
        office.ask()
        (question,) = office.asked()
        office.answer(list_said(question, "bl.example"))
        office.answer(list_said(question, "wl.example"))
        assert office.heard == 0
        office.answer(name_said(question))

        assert office.heard == 1


def test_who_asks_hears_that_a_client_is_listed_however_long_its_name_takes() -> None:
    with voting_office() as office:
        office.ask()
        (question,) = office.asked()
        office.answer(list_said(question, "bl.example", "127.0.0.4"))
        assert office.heard == 0
        office.answer(list_said(question, "wl.example"))
        assert office.heard == 1
        office.answer(name_said(question))

        assert office.heard == 2
        assert [(said.zone, said.state, said.codes) for said in office.hearsay().lists] == [
            ("bl.example", "listed", ("127.0.0.4",)),
            ("wl.example", "not listed", ()),
        ]
        name = office.hearsay().name
        assert name is not None
        assert (name.state, name.name, name.domain) == ("confirmed", "mail.example.com", "example.com")
        assert office.desk.status()["in_flight"] == 0


def test_one_packet_is_told_once() -> None:
    with voting_office() as office:
        office.ask()
        (question,) = office.asked()
        office.answer(list_said(question, "bl.example", "127.0.0.4"), list_said(question, "wl.example", "127.0.0.4"))
        assert office.heard == 1
        office.answer(name_said(question))
        office.ask(stranger(1))
        (question,) = office.asked()
        office.answer(*[list_said(question, zone, "127.0.0.4") for zone in ZONES], name_said(question))

        assert office.heard == 3


def test_a_list_that_recommends_does_not_win_by_being_faster() -> None:
    with voting_office() as office:
        known = []
        office.ask(heard=lambda: known.append({said.zone: said.state for said in office.hearsay().lists}))
        (question,) = office.asked()
        office.answer(list_said(question, "wl.example", "127.0.0.2"))
        assert not known
        office.answer(list_silent(question, "bl.example"))

        assert known == [{"wl.example": "listed", "bl.example": "no answer"}]


def test_a_listing_is_told_though_another_question_about_the_client_is_still_open() -> None:
    with voting_office() as office:
        office.ask(name=False)
        office.ask()
        lists, _name = office.asked()
        office.answer(*[list_said(lists, zone, "127.0.0.2") for zone in ZONES])

        assert office.heard == 2  # the first has heard everything, the second waits for the name


def test_who_waits_no_longer_hears_of_no_listing() -> None:
    with voting_office() as office:
        inquiry = office.ask()
        assert inquiry
        inquiry.cancel()
        (question,) = office.asked()
        office.answer(*[list_said(question, zone, "127.0.0.4") for zone in ZONES])

        assert office.heard == 0


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


def test_who_gives_no_answer_is_left_alone_for_a_moment() -> None:
    with voting_office() as office:
        office.ask()
        (question,) = office.asked()
        office.answer(
            list_silent(question, "bl.example"),
            list_said(question, "wl.example"),
            name_silent(question),
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


def test_a_list_that_has_just_got_its_vote_is_asked_beside_those_that_are_being_asked() -> None:
    with voting_office(lists=LISTS[:1]) as office:
        office.ask()
        (first,) = office.asked()
        office.desk.configure(office.dns, LISTS, office.link)
        office.later(1)
        office.test_lists()
        office.ask()

        assert (first["zones"], first["name"]) == (["bl.example"], True)
        assert [(question["zones"], question["name"]) for question in office.asked()] == [(["wl.example"], False)]


def test_a_flood_of_strangers_is_asked_about_within_the_budget() -> None:
    with voting_office(Dns(lookups_per_second=20)) as office:
        office.now += 10
        asked = [number for number in range(100) if office.ask(stranger(number))]
        assert len(asked) == 5  # four look-ups each, of twenty
        office.now += 1
        asked = [number for number in range(100, 200) if office.ask(stranger(number))]

        assert len(asked) == 5
        assert office.desk.status()["over_budget"] == 190
        assert office.desk.status()["no_room"] == 0
        assert len(office.asked()) == 10


@pytest.mark.parametrize("addresses", ["192.0.2.{}", "2001:db8:1:{}::1"])
def test_a_flood_from_one_network_leaves_the_budget_to_the_others(addresses: str) -> None:
    with voting_office() as office:
        flood = [office.ask(pack(addresses.format(number))) for number in range(200)]
        others = [office.ask(stranger(number)) for number in range(25)]

        assert (
            len(list(filter(None, flood))) < 40
        )  # half of two hundred, some without a name for which there is no place
        assert all(others)


def test_of_a_64_the_lists_are_asked_once_and_a_name_for_each_address() -> None:
    with voting_office() as office:
        first, second = pack("2001:db8::1"), pack("2001:db8::2")
        office.ask(first)
        office.ask(second)
        one, other = office.asked()
        assert (one["zones"], one["name"]) == (ZONES, True)
        assert (other["zones"], other["name"]) == ([], True)
        office.answer(*[list_said(one, zone, "127.0.0.2") for zone in ZONES])
        assert office.heard == 2
        office.answer(name_said(one, "first.example.com"))
        assert office.heard == 3
        office.answer(name_said(other, "second.example.com"))

        assert office.heard == 4
        heard = [office.hearsay(packed) for packed in (first, second, pack("2001:db8:0:0:ffff::"))]
        assert [len(hearsay.lists) for hearsay in heard] == [2, 2, 2]
        assert [hearsay.name and hearsay.name.name for hearsay in heard] == [
            "first.example.com",
            "second.example.com",
            None,
        ]
        assert office.hearsay(pack("2001:db8:0:1::1")) is NOTHING_HEARD


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
        assert (office.desk.status()["no_room"], office.desk.status()["over_budget"]) == (200 - len(asked), 0)

        office.later(1)
        assert len(office.asked()) == 4
        assert office.ask(stranger(201)) is None


def test_names_that_are_silent_leave_half_of_the_places_to_lists() -> None:
    with voting_office(Dns(lookups_per_second=100_000)) as office:
        named = 0
        for number in range(500):
            assert office.ask(stranger(number))
            (question,) = office.asked()
            assert question["zones"] == ZONES
            named += question["name"]
            office.answer(*[list_said(question, zone) for zone in ZONES])

        assert named == NAMES == office.desk.status()["in_flight"]
        assert office.desk.status()["no_room"] == 500 - NAMES


def test_the_silent_names_of_one_network_leave_places_to_other_names() -> None:
    with voting_office(Dns(lookups_per_second=100_000)) as office:
        for number in range(100):
            office.ask(pack(f"2001:db8:1:{number:x}::1"))
        assert sum(question["name"] for question in office.asked()) == NAMES_OF_ONE_NETWORK
        office.ask()

        assert [question["name"] for question in office.asked()] == [True]


def test_who_asks_for_everything_gets_the_name_whatever_others_hold() -> None:
    with voting_office(Dns(lookups_per_second=100_000)) as office:
        for number in range(NAMES_OF_ONE_NETWORK):
            office.ask(bytes([192, 0, 2, 100 + number]))
        office.asked()
        office.desk.ask_all(CLIENT, office.now)

        assert [question["name"] for question in office.asked()] == [True]


def test_while_the_program_is_dead_places_are_bounded_and_come_back() -> None:
    with voting_office() as office:
        for _ in range(200):
            office.later(0.5)
            for number in range(20):
                office.ask(stranger(int(office.now) * 20 + number))
            assert office.desk.status()["in_flight"] <= PLACES
        assert office.desk.status()["no_room"] > 0
        assert office.desk.voting == set(ZONES)
        office.asked()  # its successor finds them, and they are nobody's any more
        office.later(FORGOTTEN_AFTER + 0.1)
        office.later(0)
        office.test_lists()

        assert office.desk.status()["in_flight"] == 0
        assert office.ask()


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


def test_who_asks_for_everything_hears_when_all_of_it_has_come() -> None:
    with voting_office() as office:
        office.desk.ask_all(CLIENT, office.now, office.hear)
        (question,) = office.asked()
        office.answer(list_said(question, "bl.example", "127.0.0.4"), list_said(question, "wl.example"))
        assert office.heard == 0
        office.answer(name_said(question))

        assert office.heard == 1


def test_everything_means_lists_without_a_vote_too() -> None:
    with Office() as office:
        office.desk.ask_all(CLIENT, office.now, office.hear)

        assert office.asked()[0]["zones"] == ZONES


def test_when_dns_answers_nothing_that_is_a_trouble() -> None:
    with voting_office(Dns(lookups_per_second=1000)) as office:
        for number in range(25):
            office.ask(stranger(number))
        for question in office.asked():
            office.answer(*[list_silent(question, zone) for zone in question["zones"]], name_silent(question))

        (trouble,) = office.desk.troubles()
        assert trouble.startswith("DNS answers nothing: the last 50 questions had no answer")


def test_without_a_resolver_dns_answers_nothing_and_no_list_is_to_blame() -> None:
    with voting_office(Dns(lookups_per_second=1000)) as office:
        for number in range(25):
            office.ask(stranger(number))
        for question in office.asked():
            office.answer(*[list_silent(question, zone, "no resolver") for zone in question["zones"]])

        (trouble,) = office.desk.troubles()
        assert trouble.startswith("DNS answers nothing")
        assert office.desk.voting == set(ZONES)


def test_strangers_whose_names_are_silent_do_not_make_dns_silent() -> None:
    with voting_office(Dns(lookups_per_second=1000)) as office:
        for number in range(SILENCE):
            office.ask(stranger(number))
            (question,) = office.asked()
            office.answer(name_silent(question), *[list_silent(question, zone, "busy") for zone in ZONES])

        assert list(office.desk.troubles()) == []


def test_a_name_that_is_answered_shows_that_dns_answers() -> None:
    with voting_office(Dns(lookups_per_second=1000)) as office:
        for number in range(25):
            office.ask(stranger(number))
        for question in office.asked():
            office.answer(name_said(question), *[list_silent(question, zone) for zone in question["zones"]])

        assert not any("DNS answers nothing" in trouble for trouble in office.desk.troubles())


def test_where_only_names_are_asked_for_they_tell_that_dns_is_silent() -> None:
    with voting_office(Dns(lookups_per_second=1000), lists=()) as office:
        for number in range(SILENCE):
            office.ask(stranger(number))
            office.answer(name_silent(office.asked()[0]))

        assert len(list(office.desk.troubles())) == 1


def test_that_too_much_was_asked_at_once_does_not_make_dns_silent() -> None:
    with voting_office(Dns(lookups_per_second=1000)) as office:
        for number in range(30):
            office.ask(stranger(number))
        for question in office.asked():
            office.answer(*[list_silent(question, zone, "busy") for zone in question["zones"]])

        assert list(office.desk.troubles()) == []
        assert office.desk.voting == set(ZONES)


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
            "no_room": 0,
            "unexpected": 0,
            "malformed": 0,
        }
