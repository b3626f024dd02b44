"""The watches on DNS lists, seen from the desk: who is believed, what is tested, and which friends are asked about."""

from collections.abc import Iterable

import pytest

from frontproxy.core.address import pack
from frontproxy.core.config_values import Dns
from frontproxy.core.hearsay import NOTHING_HEARD
from frontproxy.lookup.flights import FORGOTTEN_AFTER, PLACES
from frontproxy.lookup.watches import DISPUTED_AGAIN, DISPUTED_EVERY, FRIEND_EVERY
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
    stranger,
    voting_office,
)


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
    with voting_office(lists=(LISTS[0],)) as office:
        office.desk.friend_came(stranger(1), office.now)
        office.desk.friend_came(stranger(2), office.now + 9)
        office.desk.friend_came(stranger(1), office.now + 10)
        office.desk.friend_came(stranger(3), office.now + 11)
        office.desk.friend_came(stranger(1), office.now + 3599)

        assert [(question["address"], question["zones"], question["name"]) for question in office.asked()] == [
            ("198.0.1.51", ["bl.example"], False),
            ("198.0.3.51", ["bl.example"], False),
        ]
        office.desk.friend_came(stranger(1), office.now + 3600)
        assert len(office.asked()) == 1


def friends_come(office: Office, clients: Iterable[bytes], *, listed: bool = True) -> None:
    """One after the other, and the list that blames has something against all of them, or against none."""
    for packed in clients:
        office.now += FRIEND_EVERY
        office.desk.friend_came(packed, office.now)
        for question in office.asked():
            office.answer(list_said(question, "bl.example", *(["127.0.0.2"] if listed else [])))


def test_a_list_that_lists_our_friends_has_no_vote_within_a_minute() -> None:
    with voting_office() as office:
        began = office.now
        friends_come(office, map(stranger, range(5)))

        assert office.now - began <= 60
        assert office.desk.voting == {"wl.example"}
        assert office.log.lines == ['event=dnslist zone=bl.example state=no_vote why="it lists 5 of 5 of our friends"']
        bad, good = office.desk.status()["lists"]
        assert (bad["friends"], bad["asked"], bad["listed"]) == ([5, 5], 5, 5)
        assert good["friends"] == [0, 0]


@pytest.mark.parametrize("network", ["2001:db8:666:{}::1", "192.0.2.{}"])
def test_the_clients_of_one_host_that_are_friends_cannot_silence_a_list_that_lists_them(network: str) -> None:
    with voting_office() as office:
        friends_come(office, [pack(network.format(number)) for number in range(20)])

        assert office.desk.voting == set(ZONES)
        assert office.desk.status()["lists"][0]["friends"] == [1, 1]


def test_a_network_that_is_asked_about_again_today_is_still_one_witness() -> None:
    with voting_office() as office:
        friends_come(office, [pack("192.0.2.1")])
        office.desk.configure(office.dns, (*LISTS, dns_list("new.example")), office.link)
        friends_come(office, [pack("192.0.2.2")])

        assert office.desk.status()["lists"][0]["friends"] == [1, 1]


def test_only_lists_that_blame_are_asked_about_friends() -> None:
    with voting_office() as office:
        office.desk.friend_came(CLIENT, office.now)
        assert [question["zones"] for question in office.asked()] == [["bl.example"]]
    with voting_office(lists=LISTS[1:]) as office:
        office.desk.friend_came(CLIENT, office.now)
        assert office.asked() == []


def test_friends_are_asked_about_whatever_strangers_have_spent() -> None:
    with voting_office(Dns(lookups_per_second=4)) as office:
        office.now += 10
        assert office.ask(stranger(1))
        assert not office.ask(stranger(2))
        office.desk.friend_came(CLIENT, office.now)
        office.ask(stranger(3))

        assert [question["address"] for question in office.asked()] == ["198.0.1.51", TEXT]


def test_a_friend_that_finds_no_place_comes_again() -> None:
    with voting_office(Dns(lookups_per_second=100_000, names=False)) as office:
        while office.ask(stranger(office.desk.status()["in_flight"])):
            pass
        office.asked()
        office.desk.friend_came(CLIENT, office.now)
        assert office.asked() == []
        office.later(FORGOTTEN_AFTER + 0.1)
        office.desk.friend_came(CLIENT, office.now)

        assert [question["address"] for question in office.asked()] == [TEXT]


def test_a_reload_with_other_points_forgets_what_a_list_said_of_friends() -> None:
    with voting_office() as office:
        friends_come(office, map(stranger, range(5)))
        assert office.desk.voting == {"wl.example"}
        office.desk.configure(office.dns, LISTS, office.link)
        assert office.desk.voting == {"wl.example"}
        office.desk.configure(office.dns, (dns_list("bl.example", -9.0), LISTS[1]), office.link)
        assert office.desk.voting == set(ZONES)

        friends_come(office, map(stranger, range(5)))  # though it is still the same day
        assert office.desk.voting == {"wl.example"}


def test_a_list_that_is_to_recommend_from_now_on_is_not_asked_about_friends() -> None:
    with voting_office() as office:
        office.desk.configure(office.dns, (dns_list("bl.example", 9.0), LISTS[1]), office.link)
        friends_come(office, [CLIENT])

        assert office.desk.status()["lists"][0]["friends"] == [0, 0]


def test_friends_that_are_not_listed_bear_witness_for_a_list() -> None:
    with voting_office() as office:
        friends_come(office, map(stranger, range(5)), listed=False)

        assert office.desk.voting == set(ZONES)
        assert office.desk.status()["lists"][0]["friends"] == [0, 5]


def test_a_list_without_a_vote_goes_on_being_asked_about_friends() -> None:
    with Office() as office:
        office.desk.friend_came(CLIENT, office.now)

        assert not office.desk.voting
        assert office.asked()[0]["zones"] == ["bl.example"]


def test_no_answer_about_a_friend_is_no_witness() -> None:
    with voting_office() as office:
        office.desk.friend_came(CLIENT, office.now)
        office.answer(list_silent(office.asked()[0], "bl.example"))

        assert office.desk.status()["lists"][0]["friends"] == [0, 0]
        assert office.desk.status()["lists"][0]["no_answer"] == 1


def test_what_a_list_says_that_was_removed_harms_nobody() -> None:
    with voting_office() as office:
        office.desk.friend_came(CLIENT, office.now)
        office.desk.configure(office.dns, LISTS[1:], office.link)
        office.answer(*everything(office.asked()[0]))

        assert [found["asked"] for found in office.desk.status()["lists"]] == [0]
        assert not office.log.bugs


def test_more_lists_than_there_are_places_are_tested_one_after_the_other() -> None:
    lists = tuple(dns_list(f"l{number}.example") for number in range(200))
    with Office(lists=lists) as office:
        for _ in range(2):
            office.later(1)
            assert office.desk.status()["in_flight"] <= PLACES
            office.test_lists()

        assert len(office.desk.voting) == 200


def test_what_a_list_said_before_it_got_its_vote_back_is_as_good_as_unsaid() -> None:
    with voting_office() as office:
        office.ask()
        (question,) = office.asked()
        office.answer(list_said(question, "bl.example", "127.0.0.2", ttl=3600))
        office.later(400)
        office.test_lists(pass_=["wl.example"])
        assert office.desk.voting == {"wl.example"}
        office.later(60)
        office.test_lists()

        assert office.desk.voting == set(ZONES)
        assert "bl.example" not in [answer.zone for answer in office.hearsay().lists]
        office.ask()
        assert "bl.example" in office.asked()[0]["zones"]


def test_what_a_list_said_that_contradicted_us_is_no_more_believed_when_its_points_change() -> None:
    with voting_office() as office:
        office.ask()
        (question,) = office.asked()
        office.answer(list_said(question, "bl.example", "127.0.0.2", ttl=3600), list_said(question, "wl.example"))
        for number in range(5):
            office.later(FRIEND_EVERY)
            office.desk.friend_came(stranger(number), office.now)
            office.answer(list_said(office.asked()[-1], "bl.example", "127.0.0.2"))
        assert office.desk.voting == {"wl.example"}
        office.later(1)
        office.desk.configure(office.dns, (dns_list("bl.example", -6.0), LISTS[1]), office.link)

        assert office.desk.voting == set(ZONES)
        assert [answer.zone for answer in office.hearsay().lists] == ["wl.example"]


def test_while_a_list_contradicts_us_friends_are_asked_about_again_soon() -> None:
    with voting_office() as office:
        for number in range(5):
            office.later(FRIEND_EVERY)
            office.desk.friend_came(stranger(number), office.now)
            office.answer(list_said(office.asked()[-1], "bl.example", "127.0.0.2"))
        assert "bl.example" not in office.desk.voting
        for number in range(5):
            office.later(DISPUTED_AGAIN)
            office.asked()
            office.desk.friend_came(stranger(number), office.now)
            office.answer(list_said(office.asked()[-1], "bl.example"))
        office.later(60)
        office.test_lists()

        assert "bl.example" in office.desk.voting


def test_a_list_that_lists_a_friend_is_tested_at_once_and_may_list_the_world() -> None:
    with voting_office() as office:
        office.later(FRIEND_EVERY)
        office.desk.friend_came(stranger(1), office.now)
        office.answer(list_said(office.asked()[-1], "bl.example", "127.0.0.2"))
        office.later(1)

        assert [question["zones"] for question in office.asked()] == [["bl.example"], ["bl.example"]]


def test_a_list_that_lists_two_friends_is_asked_about_one_every_second() -> None:
    """However many it has not listed in better days, it is found out within half a minute."""
    with voting_office() as office:
        friends_come(office, map(stranger, range(50)), listed=False)
        office.later(3600)
        office.asked()
        friends_come(office, map(stranger, range(50, 52)))
        seconds = 0
        while "bl.example" in office.desk.voting:
            office.now += DISPUTED_EVERY
            office.desk.friend_came(stranger(seconds), office.now)
            for question in office.asked():
                if question["address"] != "127.0.0.1":
                    office.answer(list_said(question, "bl.example", "127.0.0.2"))
            seconds += 1

        assert 10 < seconds < 30


def test_asking_about_the_same_two_friends_again_is_no_news() -> None:
    """Two friends that a list has for a reason must not keep us asking it for ever."""
    with voting_office() as office:
        friends_come(office, map(stranger, range(2)))
        office.asked()
        asked = 0
        for _second in range(3600):
            office.now += 1
            for number in range(2, 200):
                office.desk.friend_came(stranger(number), office.now)
            for number in range(2):
                office.desk.friend_came(stranger(number), office.now)
            for question in office.asked():
                if question["address"] != "127.0.0.1":
                    asked += 1
                    listed = question["address"] in {"198.0.0.51", "198.0.1.51"}
                    office.answer(list_said(question, "bl.example", *(["127.0.0.2"] if listed else [])))

        assert "bl.example" in office.desk.voting
        assert asked < 300 + 3600 / FRIEND_EVERY + 50
