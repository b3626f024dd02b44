"""The waiting room: strangers are observed; when it is full the lowest leaves, possibly the newcomer."""

from collections.abc import Iterator

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from frontproxy.observe.pregreet import Manners
from frontproxy.waiting_room import FULL, Chair, WaitingRoom
from tests.fakes import PATIENCE, Visitors


@pytest.fixture
def visitors() -> Iterator[Visitors]:
    with Visitors() as visitors:
        yield visitors


def enter(room: WaitingRoom, visitors: Visitors, score: float = 0.0) -> Chair:
    chair = room.enter(visitors.session(score=score))
    assert chair is not None
    return chair


class Watch:
    """Observes strangers, each in a task, and remembers what became of them."""

    def __init__(self, room: WaitingRoom, nursery: trio.Nursery) -> None:
        self._room = room
        self._nursery = nursery
        self.manners: dict[str, Manners | None] = {}

    def begin(self, chair: Chair, seconds: float = PATIENCE) -> None:
        """Observe one stranger for some seconds."""
        self._nursery.start_soon(self._observe, chair, trio.current_time() + seconds)

    async def _observe(self, chair: Chair, deadline: float) -> None:
        self.manners[chair.session.id] = await self._room.observe(chair, deadline=deadline, talked=chair.scope.cancel)


async def test_a_quiet_stranger_leaves_when_its_pause_is_over(visitors: Visitors) -> None:
    room = WaitingRoom(1)
    chair = enter(room, visitors)
    assert len(room) == 1

    assert await room.observe(chair, deadline=trio.current_time() + 0.01, talked=chair.scope.cancel) == "quiet"
    assert len(room) == 0


async def test_who_talks_or_hangs_up_leaves_at_once(visitors: Visitors) -> None:
    room = WaitingRoom(2)
    early, gone = enter(room, visitors), enter(room, visitors)
    async with trio.open_nursery() as nursery:
        watch = Watch(room, nursery)
        watch.begin(early)
        watch.begin(gone)
        await trio.testing.wait_all_tasks_blocked()
        visitors.far_end(early.session).send(b"HELO\r\n")
        visitors.far_end(gone.session).close()

    assert watch.manners == {early.session.id: "early", gone.session.id: "gone"}
    assert len(room) == 0
    assert early.session.socket.recv(100) == b"HELO\r\n"


async def test_in_a_full_room_the_lowest_leaves_for_a_better_newcomer(visitors: Visitors) -> None:
    room = WaitingRoom(2)
    lowest, other = enter(room, visitors, -5.0), enter(room, visitors, 0.0)
    async with trio.open_nursery() as nursery:
        watch = Watch(room, nursery)
        watch.begin(lowest)
        watch.begin(other)
        await trio.testing.wait_all_tasks_blocked()
        enter(room, visitors, 1.0)
        await trio.testing.wait_all_tasks_blocked()

        assert watch.manners == {lowest.session.id: None}
        assert (lowest.reply, other.reply) == (FULL, "")
        nursery.cancel_scope.cancel()
    assert len(room) == 1, "the newcomer, whom nobody observes yet"


def test_in_a_full_room_a_newcomer_that_is_the_lowest_is_not_let_in(visitors: Visitors) -> None:
    room = WaitingRoom(1)
    chair = enter(room, visitors, -5.0)

    assert room.enter(visitors.session(score=-6.0)) is None
    assert len(room) == 1
    assert chair.reply == ""


def test_among_equals_who_came_last_leaves(visitors: Visitors) -> None:
    room = WaitingRoom(2)
    first, second = enter(room, visitors), enter(room, visitors)

    assert room.enter(visitors.session()) is None
    enter(room, visitors, 1.0)
    assert (first.reply, second.reply) == ("", FULL)


def test_a_room_without_places_lets_nobody_in(visitors: Visitors) -> None:
    assert WaitingRoom(0).enter(visitors.session(score=4.9)) is None


def test_the_lowest_are_shed_with_a_reply_of_their_own(visitors: Visitors) -> None:
    room = WaitingRoom(9)
    chairs = [enter(room, visitors, score) for score in (3.0, -1.0, 2.0)]

    assert room.shed(2, "421 closing") == 2
    assert [chair.reply for chair in chairs] == ["", "421 closing", "421 closing"]
    assert room.shed(2) == 1
    assert room.shed(2) == 0


async def test_one_that_is_shed_before_it_was_looked_at_must_leave(visitors: Visitors) -> None:
    room = WaitingRoom(1)
    chair = enter(room, visitors)
    room.shed(1)

    assert await room.observe(chair, deadline=trio.current_time() + PATIENCE, talked=chair.scope.cancel) is None
    assert len(room) == 0


async def test_one_that_is_shed_while_it_begins_to_talk_leaves_once(visitors: Visitors) -> None:
    """The event and the order to leave come in the same moment, in either order."""
    room = WaitingRoom(2)
    chairs = [enter(room, visitors), enter(room, visitors)]
    async with trio.open_nursery() as nursery:
        watch = Watch(room, nursery)
        for chair in chairs:
            watch.begin(chair)
        await trio.testing.wait_all_tasks_blocked()
        visitors.far_end(chairs[0].session).send(b"x")
        room.shed(1)
        room.shed(1)
        visitors.far_end(chairs[1].session).send(b"x")

    assert watch.manners == {chair.session.id: None for chair in chairs}
    assert len(room) == 0


async def test_one_that_is_shed_after_it_was_heard_but_before_it_could_say_so_must_leave(visitors: Visitors) -> None:
    room = WaitingRoom(1)
    chair = enter(room, visitors)
    visitors.far_end(chair.session).send(b"x")
    async with trio.open_nursery() as nursery:
        watch = Watch(room, nursery)
        watch.begin(chair)

        class Shedder(trio.abc.Instrument):
            """Sheds between the wait for events and the tasks they wake."""

            def after_io_wait(self, timeout: float) -> None:
                room.shed(1)

        shedder = Shedder()
        await trio.lowlevel.checkpoint()
        trio.lowlevel.add_instrument(shedder)
        with trio.move_on_after(PATIENCE):
            while chair.session.id not in watch.manners:
                await trio.lowlevel.checkpoint()
        trio.lowlevel.remove_instrument(shedder)

    assert watch.manners == {chair.session.id: None}
    assert len(room) == 0


async def test_a_chair_is_free_when_its_observer_is_cancelled(visitors: Visitors) -> None:
    room = WaitingRoom(1)
    chair = enter(room, visitors)
    with trio.move_on_after(0.01) as scope:
        await room.observe(chair, deadline=trio.current_time() + PATIENCE, talked=chair.scope.cancel)

    assert scope.cancelled_caught
    assert len(room) == 0


async def test_fewer_places_after_a_reload_are_respected_by_the_next_newcomer(visitors: Visitors) -> None:
    room = WaitingRoom(3)
    chairs = [enter(room, visitors, score) for score in (1.0, 2.0, 3.0)]
    room.places = 1
    enter(room, visitors, 4.0)

    assert [chair.reply for chair in chairs] == [FULL, FULL, FULL]
    assert len(room) == 1


@settings(max_examples=40)
@given(scores=st.lists(st.integers(-3, 3), max_size=20), places=st.integers(0, 5))
def test_the_best_are_in_the_room_and_among_equals_the_first(scores: list[int], places: int) -> None:
    room = WaitingRoom(places)
    with Visitors() as visitors:
        chairs = [room.enter(visitors.session(score=score)) for score in scores]

    inside = {number for number, chair in enumerate(chairs) if chair is not None and not chair.reply}
    best = sorted(range(len(scores)), key=lambda number: (-scores[number], number))[:places]
    assert inside == set(best)
    assert len(room) == len(inside)


async def test_a_pause_may_be_made_shorter_and_never_longer(visitors: Visitors) -> None:
    room = WaitingRoom(1)
    chair = enter(room, visitors)
    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        Watch(room, nursery).begin(chair)
        await trio.testing.wait_all_tasks_blocked()
        chair.leave_at(began + 0.01)
        chair.leave_at(began + 60)

    assert trio.current_time() < began + PATIENCE
    assert len(room) == 0


async def test_who_is_worse_than_it_seemed_leaves_first(visitors: Visitors) -> None:
    room = WaitingRoom(2)
    async with trio.open_nursery() as nursery:
        watch = Watch(room, nursery)
        chairs = [enter(room, visitors), enter(room, visitors)]
        for chair in chairs:
            watch.begin(chair)
        await trio.testing.wait_all_tasks_blocked()
        room.rescore(chairs[0], -10.0)

        assert enter(room, visitors)
        assert [bool(chair.reply) for chair in chairs] == [True, False]
        room.rescore(chairs[0], 10.0)
        assert len(room) == 2
        nursery.cancel_scope.cancel()
