"""The verb `learn`: a batch of old sessions for a proxy that runs."""

import json
from typing import Any

import pytest

from frontproxy import control
from frontproxy.control import Refused
from frontproxy.past import PastSession, batch_of, encode
from tests.houses import STRANGER, WALL, House, bug, controls_of, house, outcome

__all__ = ["house"]


async def ask(house: House, request: str) -> dict[str, Any]:
    return await control.answer(controls_of(house), request.split())


def batch(count: int) -> str:
    lines = [outcome(ended=WALL - 1000.0 - number * 10, messages=1) for number in range(count)]
    return batch_of([encode(PastSession(line, 1000 + number, None)) for number, line in enumerate(lines)]).decode()


async def test_a_batch_is_learned_once(house: House) -> None:
    first = await ask(house, f"learn {batch(20)}")
    again = await ask(house, f"learn {batch(20)}")

    assert first == {"fates": ["learned"] * 20, "standings": {STRANGER: "friend"}}
    assert again["fates"] == ["told"] * 20


async def test_the_journal_of_what_happens_now_keeps_nothing_of_the_past(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(house.proxy, "journal", bug)

    assert (await ask(house, f"learn {batch(1)}"))["fates"] == ["learned"]


@pytest.mark.parametrize("text", ["now", "[1]", "[[1,2]]", json.dumps([[1, "", "", {}]])])
async def test_what_is_no_batch_is_refused(house: House, text: str) -> None:
    with pytest.raises(Refused, match="usage: learn") as caught:
        await ask(house, f"learn {text}")

    assert caught.value.code == "usage"


async def test_when_the_disk_takes_nothing_more_nothing_more_is_learned(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = {**house.proxy.memory.status(), "unwritten": 30_001}
    monkeypatch.setattr(house.proxy.memory, "status", lambda: status)

    with pytest.raises(Refused, match="cannot be written"):
        await ask(house, f"learn {batch(1)}")
