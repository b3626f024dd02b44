"""The cache of hearsay: it says what was said, while it holds, and never takes more room than it may."""

from hypothesis import given
from hypothesis import strategies as st

from frontproxy.core.address import client_of, pack
from frontproxy.core.hearsay import NOTHING_HEARD, Hearsay, ListAnswer, NameAnswer
from frontproxy.lookup.cache import Cache

CLIENT = bytes([192, 0, 2, 1])
OTHER = bytes([192, 0, 2, 2])
LISTED = ListAnswer("bl.example", "listed", ("127.0.0.2", "127.0.0.4"), 10.0, 100.0)
FREE = ListAnswer("other.example", "not listed", (), 11.5, 50.0)
SILENT = ListAnswer("dead.example", "no answer", (), 12.0, 42.0, "timeout")
NAME = NameAnswer("confirmed", "mail.example.com", "example.com", is_access=False, at=12.5, until=90.0)


def test_nothing_is_known_of_an_address_that_nobody_spoke_of() -> None:
    cache = Cache()
    cache.add(OTHER, [LISTED], 10)

    assert cache.find(CLIENT, 10) is NOTHING_HEARD


def test_it_says_what_was_said() -> None:
    cache = Cache()
    cache.add(CLIENT, [LISTED, FREE, SILENT, NAME], 10)

    assert cache.find(CLIENT, 20) == Hearsay((LISTED, FREE, SILENT), NAME)


def test_answers_come_one_by_one() -> None:
    cache = Cache()
    for answer in (NAME, LISTED, SILENT):
        cache.add(CLIENT, [answer], 20)

    assert cache.find(CLIENT, 20) == Hearsay((LISTED, SILENT), NAME)


def test_each_answer_holds_until_its_own_time() -> None:
    cache = Cache()
    cache.add(CLIENT, [LISTED, FREE, NAME], 10)

    assert cache.find(CLIENT, 49.9) == Hearsay((LISTED, FREE), NAME)
    assert cache.find(CLIENT, 50) == Hearsay((LISTED,), NAME)
    assert cache.find(CLIENT, 90) == Hearsay((LISTED,), None)
    assert cache.find(CLIENT, 100) == NOTHING_HEARD


def test_the_newest_answer_of_a_list_counts() -> None:
    cache = Cache()
    cache.add(CLIENT, [LISTED, FREE], 10)
    newer = ListAnswer("bl.example", "not listed", (), 30.0, 90.0)
    cache.add(CLIENT, [newer], 30)

    assert cache.find(CLIENT, 30) == Hearsay((newer, FREE), None)


def test_what_lists_say_is_known_of_a_whole_64_and_a_name_of_its_address() -> None:
    cache = Cache()
    first, second, other = pack("2001:db8::1"), pack("2001:db8::2"), pack("2001:db8:0:1::1")
    cache.add(first, [LISTED, NAME], 10)
    cache.add(second, [FREE], 10)

    assert cache.find(first, 20) == Hearsay((LISTED, FREE), NAME)
    assert cache.find(second, 20) == Hearsay((LISTED, FREE), None)
    assert cache.find(other, 20) is NOTHING_HEARD
    assert len(cache) == 2


def test_a_name_is_known_of_an_address_whose_client_no_list_spoke_of() -> None:
    cache = Cache()
    cache.add(pack("2001:db8::1"), [NAME], 10)

    assert cache.find(pack("2001:db8::1"), 20) == Hearsay((), NAME)
    assert cache.find(pack("2001:db8::2"), 20) is NOTHING_HEARD


def test_the_longest_unused_address_goes_first() -> None:
    cache = Cache(addresses=2)
    cache.add(CLIENT, [LISTED], 10)
    cache.add(OTHER, [LISTED], 10)
    cache.find(CLIENT, 11)
    cache.add(bytes([192, 0, 2, 3]), [LISTED], 12)

    assert len(cache) == 2
    assert cache.find(OTHER, 13) is NOTHING_HEARD
    assert cache.find(CLIENT, 13).lists


def test_long_names_do_not_take_more_room_than_all_may() -> None:
    cache = Cache(characters=20_000)
    long = NAME._replace(name="a." * 120 + "example", domain="b" * 60 + ".example")
    for number in range(200):
        cache.add(bytes([192, 0, 2, number]), [long], 10)

    assert 10_000 < cache.size <= 20_000
    assert len(cache) < 60
    assert cache.find(bytes([192, 0, 2, 199]), 11).name == long


def test_what_holds_no_more_makes_room_with_the_next_answer() -> None:
    cache = Cache()
    cache.add(CLIENT, [LISTED], 10)
    before = cache.size
    cache.add(CLIENT, [FREE], 100)
    cache.add(CLIENT, [LISTED], 110)

    assert cache.size == before


texts = st.text("abcdefghijklmnopqrstuvwxyz0123456789-._", max_size=40)
times = st.floats(0, 1e7)
lists = st.builds(
    ListAnswer,
    st.sampled_from(["bl.example", "wl.example", "x.example"]),
    st.sampled_from(["listed", "not listed", "no answer"]),
    st.lists(texts, max_size=4).map(tuple),
    times,
    times,
    texts,
)
names = st.builds(
    NameAnswer, st.sampled_from(["confirmed", "missing", "no answer"]), texts, texts, st.booleans(), times, times, texts
)


addresses = st.sampled_from([CLIENT, OTHER, pack("2001:db8::1"), pack("2001:db8::2"), pack("2001:db8:0:1::1")])


@given(st.lists(st.tuples(addresses, st.one_of(lists, names), times), max_size=50))
def test_it_agrees_with_a_plain_table_and_keeps_its_size(
    said: list[tuple[bytes, ListAnswer | NameAnswer, float]],
) -> None:
    cache = Cache()
    table: dict[tuple[bytes, str], ListAnswer | NameAnswer] = {}
    for packed, answer, now in sorted(said, key=lambda item: item[2]):
        cache.add(packed, [answer], now)
        place = (client_of(packed), answer.zone) if isinstance(answer, ListAnswer) else (packed, "")
        table[place] = answer
        known = [kept for (key, zone), kept in table.items() if key == (client_of(packed) if zone else packed)]
        held = [kept for kept in known if now < kept.until]
        found = cache.find(packed, now)
        assert sorted([*found.lists, *([found.name] if found.name else [])], key=repr) == sorted(held, key=repr)
        assert cache.size >= len(cache)
