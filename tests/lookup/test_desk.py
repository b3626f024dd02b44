"""The desk: what is asked and when, what is kept of the answers, and what people are told."""

from frontproxy.core.config_values import Dns
from frontproxy.core.hearsay import NOTHING_HEARD
from frontproxy.lookup.flights import FORGOTTEN_AFTER, PLACES, RESERVED
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


def test_everything_means_lists_without_a_vote_too() -> None:
    with Office() as office:
        office.desk.ask_all(CLIENT, office.now, office.hear)

        assert office.asked()[0]["zones"] == ZONES


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
            "unexpected": 0,
            "malformed": 0,
        }
