"""The operator's door: lines in, lines of JSON out, whatever the peer does."""

import contextlib
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from frontproxy import admin
from frontproxy.admin import LINE_LIMIT, PEERS_LIMIT, AdminSocket
from frontproxy.local import bind_local
from tests.fakes import PATIENCE
from tests.houses import STRANGER, House, bug, controls_of, house

__all__ = ["house"]


@contextlib.asynccontextmanager
async def serving(house: House, *, group: str = "") -> AsyncIterator[str]:
    """The admin socket of the house is open; yields its path."""
    path = house.folder / "admin.sock"
    with bind_local(path, mode=0o660) as door, trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(AdminSocket(controls_of(house), house.log, group).serve, door)
            yield str(path)
            nursery.cancel_scope.cancel()


async def answers(stream: trio.SocketStream, count: int = 1) -> list[dict[str, Any]]:
    data = b""
    while data.count(b"\n") < count:
        chunk = await stream.receive_some()
        assert chunk, data
        data += chunk
    return [json.loads(line) for line in data.splitlines()]


async def test_a_request_is_a_line_and_so_is_its_answer(house: House) -> None:
    async with serving(house) as path, await trio.open_unix_socket(path) as peer:
        await peer.send_all(b"score 192.0.2.7\n")

        (answer,) = await answers(peer)

    assert answer["ok"] is True
    assert answer["client"] == STRANGER


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b" \n"])
async def test_half_a_line_waits_for_its_other_half(house: House, end: bytes) -> None:
    async with serving(house) as path, await trio.open_unix_socket(path) as peer:
        await peer.send_all(b"pi")
        with trio.move_on_after(0.01) as waited:
            await peer.receive_some()
        assert waited.cancelled_caught
        await peer.send_all(b"ns" + end)

        assert await answers(peer) == [{"ok": True, "pins": []}]


async def test_pipelined_requests_are_answered_in_order(house: House) -> None:
    async with serving(house) as path, await trio.open_unix_socket(path) as peer:
        await peer.send_all(b"score 192.0.2.1\nnonsense\nscore 192.0.2.2\nclients\n\nscore 192.0.2.3\n")

        found = await answers(peer, 6)

    assert [answer.get("client", answer.get("code")) for answer in found] == [
        "192.0.2.1",
        "unknown_command",
        "192.0.2.2",
        None,
        "usage",
        "192.0.2.3",
    ]


async def test_a_refusal_has_a_code_and_words(house: House) -> None:
    async with serving(house) as path, await trio.open_unix_socket(path) as peer:
        await peer.send_all(b"score nobody\n")

        (answer,) = await answers(peer)

    assert set(answer) == {"ok", "code", "error"}
    assert (answer["ok"], answer["code"]) == (False, "bad_address")


@pytest.mark.parametrize("size", [LINE_LIMIT + 1, 1_000_000])
async def test_a_line_that_is_too_long_is_refused_once_and_the_next_is_served(house: House, size: int) -> None:
    async with serving(house) as path, await trio.open_unix_socket(path) as peer:
        await peer.send_all(b"x" * size + b"\npins\n")

        found = await answers(peer, 2)

    assert found[0] == {"ok": False, "code": "usage", "error": "a request has at most 4096 bytes"}
    assert found[1] == {"ok": True, "pins": []}


@pytest.mark.parametrize("garbage", [b"\0\0\0\n", b"\xff\xfe\n", b"\x1b[2J\n", "pîn\u202e\n".encode()])
async def test_garbage_is_refused_in_plain_ascii(house: House, garbage: bytes) -> None:
    async with serving(house) as path, await trio.open_unix_socket(path) as peer:
        await peer.send_all(garbage)

        (answer,) = await answers(peer)

    assert answer["code"] == "unknown_command"
    assert answer["error"].isascii()
    assert answer["error"].isprintable()


async def test_a_bug_in_a_verb_ends_neither_the_proxy_nor_the_conversation(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(house.proxy.memory, "recall", bug)
    async with serving(house) as path, await trio.open_unix_socket(path) as peer:
        await peer.send_all(b"score 192.0.2.1\nscore 192.0.2.1\npins\n")

        found = await answers(peer, 3)

    assert [answer.get("code") for answer in found] == ["failed", "failed", None]
    assert [" traceback=" in line for line in house.log.about("bug")] == [True, False]


async def test_a_peer_that_never_reads_is_closed(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin, "READ_WITHIN", 0.02)
    async with (
        serving(house) as path,
        await trio.open_unix_socket(path) as deaf,
        await trio.open_unix_socket(path) as other,
    ):
        with contextlib.suppress(trio.BrokenResourceError):
            while True:  # until we are closed
                await deaf.send_all(b"status\n" * 1000)
        await other.send_all(b"pins\n")

        assert await answers(other) == [{"ok": True, "pins": []}]


async def test_a_peer_that_leaves_before_its_answer_harms_nobody(house: House) -> None:
    async with serving(house) as path:
        for request in (b"", b"score", b"clients\n", b"clients\n" * 100):
            async with await trio.open_unix_socket(path) as peer:
                await peer.send_all(request)
        async with await trio.open_unix_socket(path) as peer:
            await peer.send_all(b"pins\n")

            assert await answers(peer) == [{"ok": True, "pins": []}]


async def test_one_peer_too_many_is_told_so_even_if_it_has_gone(house: House) -> None:
    async with serving(house) as path:
        peers = [await trio.open_unix_socket(path) for _ in range(PEERS_LIMIT)]
        for peer in peers:
            await peer.send_all(b"pins\n")
            await answers(peer)
        for _ in range(20):  # each may have gone before, while or after it is told
            await (await trio.open_unix_socket(path)).aclose()
        late = await trio.open_unix_socket(path)
        assert await answers(late) == [
            {"ok": False, "code": "failed", "error": f"{PEERS_LIMIT} peers are connected already"}
        ]
        await late.aclose()
        await peers.pop().aclose()
        peers += [again := await trio.open_unix_socket(path)]
        await again.send_all(b"pins\n")

        assert await answers(again) == [{"ok": True, "pins": []}]
        for peer in peers:
            await peer.aclose()


async def test_who_is_not_welcome_is_not_heard(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("frontproxy.local.is_welcome", lambda _peer, group: group == "operators")
    async with serving(house) as path, await trio.open_unix_socket(path) as peer:
        assert await peer.receive_some() == b""
    (line,) = house.log.about("admin")
    assert "state=refused" in line

    async with serving(house, group="operators") as path, await trio.open_unix_socket(path) as peer:
        await peer.send_all(b"pins\n")
        assert await answers(peer) == [{"ok": True, "pins": []}]


async def test_accept_may_fail_for_a_while(house: House, autojump_clock: MockClock) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as deaf:  # it does not listen, so every accept fails at once
        with trio.move_on_after(2.5):
            await AdminSocket(controls_of(house), house.log, "").serve(deaf)

    assert len(house.log.about("admin")) == 3
