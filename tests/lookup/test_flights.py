"""Questions on their way: places are counted exactly, and whoever waits is told once."""

from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from frontproxy.lookup.flights import PLACES, RESERVED, Flights, Inquiry

CLIENT = bytes([192, 0, 2, 1])
ZONES = ("a.example", "b.example", "c.example")


def test_an_inquiry_waits_for_all_its_flights() -> None:
    told: list[bool] = []
    inquiry = Inquiry(lambda: told.append(True), 2)
    inquiry.landed()
    assert not told
    inquiry.landed()

    assert told == [True]


def test_places_are_reserved_for_tests() -> None:
    flights = Flights()
    flights.begin(CLIENT, {str(number) for number in range(PLACES - RESERVED)}, "client", 0, name=False)

    assert not flights.has_room(1, "client")
    assert not flights.has_room(1, "friend")
    assert flights.has_room(RESERVED, "test")
    assert not flights.has_room(RESERVED + 1, "test")


def test_a_flight_that_has_ended_gives_its_places_back_once() -> None:
    flights = Flights()
    flight = flights.begin(CLIENT, set(ZONES), "client", 0, name=True)
    flights.end(flight)
    flights.end(flight)

    assert flights.open == 0


steps = st.one_of(
    st.tuples(st.just("begin"), st.sets(st.sampled_from(ZONES)), st.booleans()),
    st.tuples(st.just("take"), st.integers(1, 20), st.sampled_from([*ZONES, None])),
    st.tuples(st.just("end"), st.integers(1, 20), st.none()),
)


@given(st.lists(steps, max_size=60))
def test_places_are_those_of_the_questions_without_an_answer(story: list[tuple[str, object, object]]) -> None:
    flights = Flights()
    told: list[int] = []
    for what, first, second in story:
        if what == "begin":
            assert isinstance(first, set)
            flight = flights.begin(CLIENT, first, "client", 0, name=bool(second))
            flight.inquiries.append(Inquiry(partial(told.append, flight.id), 1))
        elif isinstance(first, int) and (found := flights.find(first)):
            if what == "end":
                flights.end(found)
            elif second is None or isinstance(second, str):
                flights.take(found, second)
        assert flights.open == sum(flight.open for flight in flights)
    for flight in flights:
        flights.end(flight)

    assert flights.open == 0
    assert sorted(told) == sorted(set(told))
    assert len(told) == sum(what == "begin" for what, _first, _second in story)
