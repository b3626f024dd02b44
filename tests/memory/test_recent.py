"""What is in memory: nothing unwritten is forgotten, and nothing grows without bound."""

from frontproxy.core.level import Level
from frontproxy.memory.recent import ABSENT, Recent


def worth(good: float) -> Level:
    return Level(1.7e9, good, good, 0.0)


def key(number: int) -> bytes:
    return b"n" + number.to_bytes(3, "big")


def test_what_was_never_seen_must_be_asked_of_the_disk() -> None:
    assert Recent(read_limit=1, unwritten_limit=1).find(b"n1") is ABSENT


def test_that_the_disk_has_nothing_is_known_too() -> None:
    recent = Recent(read_limit=1, unwritten_limit=1)
    recent.keep_read(b"n1", None)

    assert recent.find(b"n1") is None


def test_what_can_never_be_written_is_given_up_and_the_disk_asked_again() -> None:
    recent = Recent(read_limit=9, unwritten_limit=9)
    recent.put(b"n1", worth(1))
    recent.take()
    recent.put(b"n2", worth(2))
    recent.drop_taken()
    recent.give_back()

    assert recent.find(b"n1") is ABSENT
    assert recent.unwritten() == {b"n2": worth(2)}
    assert recent.dropped == 1


def test_the_longest_unread_goes_first() -> None:
    recent = Recent(read_limit=2, unwritten_limit=1)
    recent.keep_read(b"n1", worth(1))
    recent.keep_read(b"n2", worth(2))
    recent.find(b"n1")
    recent.keep_read(b"n3", worth(3))

    assert recent.find(b"n1") == worth(1)
    assert recent.find(b"n2") is ABSENT


def test_the_newest_state_is_found_before_while_and_after_it_is_written() -> None:
    recent = Recent(read_limit=9, unwritten_limit=9)
    recent.put(b"n1", worth(1))
    taken = recent.take()
    assert recent.find(b"n1") == worth(1)
    assert len(recent) == 1
    recent.put(b"n1", worth(2))
    assert recent.find(b"n1") == worth(2)
    recent.written()

    assert taken == {b"n1": worth(1)}
    assert recent.find(b"n1") == worth(2)
    assert recent.unwritten() == {b"n1": worth(2)}


def test_what_could_not_be_written_waits_again_but_newer_states_win() -> None:
    recent = Recent(read_limit=9, unwritten_limit=9)
    recent.put(b"n1", worth(1))
    recent.put(b"n2", worth(1))
    recent.take()
    recent.put(b"n1", worth(2))
    recent.give_back()

    assert recent.take() == {b"n1": worth(2), b"n2": worth(1)}


def test_without_a_disk_a_flood_never_washes_friends_away() -> None:
    recent = Recent(read_limit=0, unwritten_limit=500)
    for number in range(200):
        recent.put(key(number), worth(2.2))
    for number in range(1000, 10_000):
        recent.put(key(number), worth(2))

    assert all(recent.find(key(number)) == worth(2.2) for number in range(200))
    assert 480 <= len(recent) <= 500


def test_without_a_disk_foes_are_worth_less_than_friends() -> None:
    recent = Recent(read_limit=0, unwritten_limit=500)
    for number in range(200):
        recent.put(key(number), worth(1))
    for number in range(1000, 10_000):
        recent.put(key(number), Level(1.7e9, 30, 0.0, 30.0))

    assert all(recent.find(key(number)) == worth(1) for number in range(200))


def test_after_a_clearing_the_disk_is_asked_again() -> None:
    recent = Recent(read_limit=9, unwritten_limit=9)
    recent.keep_read(b"n1", worth(1))
    recent.put(b"n2", worth(2))
    recent.take()
    recent.put(b"n3", worth(3))
    recent.clear()
    recent.give_back()

    assert [recent.find(name) for name in (b"n1", b"n2", b"n3")] == [ABSENT] * 3
    assert recent.dropped == 2


def test_of_equals_the_latest_stay() -> None:
    recent = Recent(read_limit=0, unwritten_limit=500)
    for number in range(1000):
        recent.put(key(number), worth(1))

    assert all(recent.find(key(number)) for number in range(600, 1000))


def test_without_a_disk_the_least_telling_go() -> None:
    recent = Recent(read_limit=0, unwritten_limit=100)
    recent.put(key(0), worth(9))
    recent.put(key(1), None)
    for number in range(2, 1000):
        recent.put(key(number), worth(0.3))

    assert 80 <= len(recent) <= 100
    assert recent.dropped == 1000 - len(recent)
    assert recent.find(key(0)) == worth(9)
    assert recent.find(key(1)) is None
