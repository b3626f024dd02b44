"""The report socket: feeds may say anything in any pieces; only whole outcome lines are heard."""

import contextlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import trio
import trio.testing

from frontproxy.learn import report
from frontproxy.learn.report import FEEDS_LIMIT, ReportSocket
from frontproxy.local import bind_local
from frontproxy.wire.outcome_line import OutcomeLine, encode
from tests.fakes import PATIENCE, open_descriptors


def outcome(number: int) -> OutcomeLine:
    return OutcomeLine(client="192.0.2.1", port=number, ended=1.7e9, end="quit", session=f"s{number}")


class Desk:
    """A report socket that serves, and what it has heard and logged."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.told: list[int] = []
        self.logged: list[dict[str, object]] = []
        self._news = trio.Event()
        self.report = ReportSocket(self._hear, lambda: True, self._log, "")

    def _hear(self, line: OutcomeLine) -> None:
        self.told.append(line.port)
        self._tell()

    def _log(self, event: str, /, **values: object) -> None:
        assert event == "report"
        self.logged.append(values)
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = trio.Event()

    async def until(self, reached: Callable[[], bool]) -> None:
        """Wait until something that is told or logged makes it true."""
        with trio.fail_after(PATIENCE):
            while not reached():
                await self._news.wait()

    async def feed(self) -> trio.SocketStream:
        """A new feed."""
        return await trio.open_unix_socket(self.path)


def recording(pauses: list[float]) -> Callable[[float], Awaitable[None]]:
    """A sleep that is over at once and remembered."""

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        await trio.lowlevel.checkpoint()

    return pause


@contextlib.asynccontextmanager
async def serving(path: Path) -> AsyncIterator[Desk]:
    desk = Desk(path)
    with bind_local(path, mode=0o660) as door:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(desk.report.serve, door)
            yield desk
            nursery.cancel_scope.cancel()


async def test_an_outcome_is_told(tmp_path: Path) -> None:
    async with serving(tmp_path / "report") as desk, await desk.feed() as feed:
        await feed.send_all(encode(outcome(7)))
        await desk.until(lambda: desk.told == [7])

        assert desk.report.heard.lines == 1
        assert desk.report.heard.connected == 1
        assert desk.report.heard.last_line > 0.0
        assert desk.logged == []


async def test_a_line_in_pieces_is_told_when_it_is_whole(tmp_path: Path) -> None:
    line = encode(outcome(7))
    async with serving(tmp_path / "report") as desk, await desk.feed() as feed:
        for byte in line[:-1]:
            await feed.send_all(bytes([byte]))
            await trio.lowlevel.checkpoint()
        assert desk.told == []
        await feed.send_all(b"\n")
        await desk.until(lambda: desk.told == [7])


async def test_many_lines_at_once_are_told_in_their_order(tmp_path: Path) -> None:
    async with serving(tmp_path / "report") as desk, await desk.feed() as feed:
        await feed.send_all(b"".join(encode(outcome(number)) for number in range(2000)))
        await desk.until(lambda: len(desk.told) == 2000)

        assert desk.told == list(range(2000))


async def test_what_a_feed_said_before_it_went_away_counts_and_half_a_line_does_not(tmp_path: Path) -> None:
    async with serving(tmp_path / "report") as desk:
        async with await desk.feed() as feed:
            await feed.send_all(encode(outcome(1)) + encode(outcome(2))[:-1])
        async with await desk.feed() as other:
            await other.send_all(encode(outcome(3)))
            await desk.until(lambda: sorted(desk.told) == [1, 3])

        assert desk.report.heard.bad_lines == 0


@pytest.mark.parametrize(
    ("garbage", "why"),
    [
        (b"hello", "not a line of JSON"),
        (b"\xff\xfe\0\x01", "not a line of JSON"),
        (b"{}", "client is missing"),
        (b'{"v":2}', "v is 2, and this version knows 1"),
        (json.dumps({"client": "a", "port": -1, "ended": 1, "end": "quit"}).encode(), "port is -1"),
        (b"x" * 4097, "longer than 4096 bytes"),
        (b"[" * 4000, "not a line of JSON"),
        (b"x" * 1_000_000, "longer than 4096 bytes"),
    ],
)
async def test_garbage_is_counted_and_logged_and_the_feed_goes_on(tmp_path: Path, garbage: bytes, why: str) -> None:
    async with serving(tmp_path / "report") as desk, await desk.feed() as feed:
        await feed.send_all(garbage + b"\n" + encode(outcome(7)))
        await desk.until(lambda: desk.told == [7])

        assert desk.report.heard.bad_lines == 1
        assert [(line["state"], line["so_far"]) for line in desk.logged] == [("bad_line", 1)]
        assert why in str(desk.logged[0]["why"])


async def test_empty_lines_are_nothing(tmp_path: Path) -> None:
    async with serving(tmp_path / "report") as desk, await desk.feed() as feed:
        await feed.send_all(b"\n\r\n\n" + encode(outcome(7)))
        await desk.until(lambda: desk.told == [7])

        assert desk.report.heard.bad_lines == 0


async def test_a_feed_of_nothing_but_garbage_does_not_flood_the_log(tmp_path: Path) -> None:
    async with serving(tmp_path / "report") as desk, await desk.feed() as feed:
        await feed.send_all(b"x\n" * 2500 + encode(outcome(7)))
        await desk.until(lambda: desk.told == [7])

        assert desk.report.heard.bad_lines == 2500
        assert [line["so_far"] for line in desk.logged] == [*range(1, 11), 1000, 2000]


async def test_many_feeds_are_heard_side_by_side(tmp_path: Path) -> None:
    async with serving(tmp_path / "report") as desk, contextlib.AsyncExitStack() as stack:
        feeds = [await stack.enter_async_context(await desk.feed()) for _ in range(FEEDS_LIMIT)]
        for number, feed in enumerate(feeds):
            await feed.send_all(encode(outcome(number))[:20])
        for number, feed in enumerate(feeds):
            await feed.send_all(encode(outcome(number))[20:])
        await desk.until(lambda: len(desk.told) == FEEDS_LIMIT)

        assert sorted(desk.told) == list(range(FEEDS_LIMIT))
        assert desk.report.heard.connected == FEEDS_LIMIT


async def test_one_feed_too_many_takes_the_place_of_the_one_silent_longest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "FEEDS_LIMIT", 2)
    async with serving(tmp_path / "report") as desk, await desk.feed() as first, await desk.feed() as second:
        await second.send_all(encode(outcome(2)))
        await desk.until(lambda: desk.told == [2])
        await first.send_all(encode(outcome(1)))
        await desk.until(lambda: desk.told == [2, 1])
        async with await desk.feed() as third:
            with trio.fail_after(PATIENCE):
                assert await second.receive_some() == b""
            await third.send_all(encode(outcome(3)))
            await first.send_all(encode(outcome(4)))
            await desk.until(lambda: sorted(desk.told) == [1, 2, 3, 4])

    assert [line["state"] for line in desk.logged] == ["dropped"]


async def test_a_stranger_is_not_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("frontproxy.local.is_welcome", lambda _sock, _group: False)
    async with serving(tmp_path / "report") as desk, await desk.feed() as feed:
        with contextlib.suppress(trio.BrokenResourceError):
            await feed.send_all(encode(outcome(7)))
        with contextlib.suppress(trio.BrokenResourceError):
            assert await feed.receive_some() == b""

        assert desk.told == []
        assert [line["state"] for line in desk.logged] == ["refused"]


async def test_a_busy_feed_is_read_at_intervals_when_nobody_waits_for_a_place(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    hurry = [False, True]
    monkeypatch.setattr(trio, "sleep", recording(pauses))
    reader = ReportSocket(lambda _line: None, lambda: hurry.pop(0), lambda *_event, **_values: None, "")
    ours, theirs = trio.socket.socketpair()
    with ours, theirs:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(reader._read, ours)
            for number in range(2):
                await theirs.send(encode(outcome(number)))
                await trio.testing.wait_all_tasks_blocked()
            theirs.close()

    assert pauses == [report.GATHER, 0]
    assert reader.heard.lines == 2


async def test_a_door_that_fails_is_told_and_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(tmp_path / "report")
    pauses: list[float] = []
    monkeypatch.setattr(trio, "sleep", recording(pauses))
    with socket.socket(socket.AF_UNIX) as door:  # it does not listen, so accept fails
        door.setblocking(False)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(desk.report.serve, door)
            await desk.until(lambda: len(desk.logged) == 2)
            nursery.cancel_scope.cancel()

    assert desk.logged[0] == {"state": "accept_failed", "error": "Invalid argument"}
    assert pauses[0] == 1


async def test_no_descriptor_is_leaked(tmp_path: Path) -> None:
    async with serving(tmp_path / "report") as desk:
        await trio.testing.wait_all_tasks_blocked()
        before = open_descriptors()
        for number in range(20):
            async with await desk.feed() as feed:
                await feed.send_all(b"garbage\n" if number % 2 else encode(outcome(number)))
        await desk.until(lambda: len(desk.told) == 10 and desk.report.heard.bad_lines == 10)
        await trio.testing.wait_all_tasks_blocked()

        assert open_descriptors() <= before
        assert desk.report.heard.connected == 0
