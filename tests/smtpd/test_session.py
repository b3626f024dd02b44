"""A session on a stream in memory, with a clock that jumps."""

import math
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock, memory_stream_pair

from backends.smtpd.arrival import Client
from backends.smtpd.events import Closed
from backends.smtpd.log import Log
from backends.smtpd.maildir import Maildir
from backends.smtpd.personality import Personality
from backends.smtpd.recipients import Recipients
from backends.smtpd.session import Session, Site
from tests.smtpd.scripts import personality

_Stapled = trio.StapledStream[trio.testing.MemorySendStream, trio.testing.MemoryReceiveStream]
_ENVELOPE = b"EHLO c\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<ned@example.com>\r\nDATA\r\n"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    maildir = Maildir(tmp_path / "mail")
    maildir.prepare()
    recipients = Recipients(frozenset({"example.com"}))
    return Site("mx.example.com", recipients, maildir, Log(-1), trio.CapacityLimiter(1))


def _session(site: Site, manners: Personality | None = None) -> tuple[Session, _Stapled]:
    ours, theirs = memory_stream_pair()
    return Session(site, Client("192.0.2.1", 4711), ours, manners or personality()), theirs


async def _everything(stream: _Stapled) -> bytes:
    data = b""
    async for piece in stream:
        data += piece
    return data


async def _talk(session: Session, client: _Stapled, *packets: bytes | float) -> bytes:
    """What the server says to a client that sends packets, and sleeps for numbers."""
    said = b""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(session.run)
        for packet in packets:
            if isinstance(packet, bytes):
                try:
                    await client.send_all(packet)
                except trio.BrokenResourceError:
                    break
                await trio.testing.wait_all_tasks_blocked()
            else:
                await trio.sleep(packet)
        said = await _everything(client)
        await client.aclose()
    return said


async def test_a_message_is_stored(site: Site) -> None:
    session, client = _session(site)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(session.run)
        assert (await client.receive_some()).startswith(b"220 mx.example.com ESMTP")
        await client.send_all(_ENVELOPE)
        assert (await client.receive_some()).endswith(b"354 End data with <CR><LF>.<CR><LF>\r\n")
        await client.send_all(b"Subject: x\r\n\r\nhello\r\n.\r\nQUIT\r\n")
        said = await _everything(client)
    assert said.startswith(b"250 2.0.0 Ok: queued as ")
    assert session.end == Closed("quit", linger=False)
    (file,) = (site.maildir.path / "new").iterdir()
    assert file.name.split(".mx")[0].encode() in said
    assert file.read_bytes().endswith(b"Subject: x\r\n\r\nhello\r\n")


async def test_a_silent_client_is_told_after_the_time_out(site: Site, autojump_clock: MockClock) -> None:
    session, client = _session(site)
    said = await _talk(session, client)
    assert said.endswith(b"421 4.4.2 Timeout exceeded\r\n")
    assert session.end == Closed("timeout", linger=True)
    assert 300 <= trio.current_time() <= 303


async def test_a_dripping_client_gains_no_time(site: Site, autojump_clock: MockClock) -> None:
    session, client = _session(site)
    drips: list[bytes | float] = [b"N", 100, b"O", 100, b"O", 99, b"P"]
    said = await _talk(session, client, *drips)
    assert said.endswith(b"421 4.4.2 Timeout exceeded\r\n")
    assert trio.current_time() <= 303


async def test_a_dripping_message_under_stress_has_one_time_out_in_all(site: Site, autojump_clock: MockClock) -> None:
    session, client = _session(site, personality("hostile", stress=True))
    said = await _talk(session, client, _ENVELOPE, 4, b"x", 4, b"x", 4, b"x")
    assert said.endswith(b"421 4.4.2 Timeout exceeded\r\n")
    assert session.protocol.stage == "data"
    assert not list((site.maildir.path / "tmp").iterdir())


async def test_errors_are_slowed_down(site: Site, autojump_clock: MockClock) -> None:
    session, client = _session(site, personality(soft_error_limit=1, error_sleep_time="7s"))
    await _talk(session, client, b"FOO\r\nFOO\r\nQUIT\r\n")
    assert trio.current_time() == 14


async def test_a_client_that_never_reads_is_let_go(site: Site, autojump_clock: MockClock) -> None:
    _ours, theirs = memory_stream_pair()
    session = Session(site, Client("192.0.2.1", 4711), _NeverWrites(theirs), personality(timeout="20s"))
    await session.run()
    assert session.end == Closed("timeout", linger=False)
    assert trio.current_time() == 20


class _NeverWrites(trio.abc.HalfCloseableStream):
    """The server's end of a connection whose client does not read."""

    def __init__(self, stream: _Stapled) -> None:
        self._stream = stream

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await trio.sleep(math.inf)

    async def wait_send_all_might_not_block(self) -> None:
        await trio.sleep(math.inf)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        raise AssertionError("a client that does not read must not be read")

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def aclose(self) -> None:
        await self._stream.aclose()


async def test_draining_ends_a_waiting_session_at_once(site: Site) -> None:
    session, client = _session(site)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(session.run)
        await trio.testing.wait_all_tasks_blocked()
        session.drain()
        said = await _everything(client)
        await client.aclose()
    assert said.endswith(b"421 4.3.2 Server is going down\r\n")
    assert session.end == Closed("refused", linger=True)


async def test_draining_lets_a_message_finish(site: Site) -> None:
    session, client = _session(site)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(session.run)
        await client.send_all(_ENVELOPE)
        await trio.testing.wait_all_tasks_blocked()
        session.drain()
        await client.send_all(b"half")
        await trio.testing.wait_all_tasks_blocked()
        await client.send_all(b"\r\n.\r\n")
        said = await _everything(client)
        await client.aclose()
    assert b"250 2.0.0 Ok: queued as " in said
    assert said.endswith(b"421 4.3.2 Server is going down\r\n")
    assert len(list((site.maildir.path / "new").iterdir())) == 1


async def test_draining_does_not_wait_out_a_pause(site: Site, autojump_clock: MockClock) -> None:
    session, client = _session(site, personality(soft_error_limit=0, error_sleep_time="1h"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(session.run)
        await client.send_all(b"FOO\r\n")
        await trio.testing.wait_all_tasks_blocked()
        session.drain()
        await _everything(client)
        await client.aclose()
    assert trio.current_time() < 20


async def test_a_client_that_leaves_within_a_message_leaves_nothing(site: Site) -> None:
    session, client = _session(site)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(session.run)
        await client.send_all(_ENVELOPE)
        await trio.testing.wait_all_tasks_blocked()
        await client.send_all(b"x" * 400_000)
        await client.aclose()
    assert session.end == Closed("lost", linger=False)
    assert not list((site.maildir.path / "tmp").iterdir())


async def test_a_full_disk_is_a_452_and_no_fault_of_the_client(site: Site, full_disk: None) -> None:
    session, client = _session(site)
    said = await _talk(session, client, _ENVELOPE, b"x\r\n.\r\n", b"QUIT\r\n")
    assert b"452 4.3.1 Insufficient system storage\r\n" in said
    assert session.end == Closed("quit", linger=False)
    assert session.protocol.tally.messages == 0
    assert session.protocol.tally.bad_commands == 0


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("backends.smtpd.maildir.MessageFile.write", fail)
