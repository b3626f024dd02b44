"""The pulse: what no client waits for."""

import pytest
import trio
import trio.testing

from frontproxy import pulse
from tests.fakes import PATIENCE
from tests.houses import STRANGER, House, bug, house

__all__ = ["house"]


async def test_the_pulse_frees_what_was_taken_and_sums_up_the_log(house: House) -> None:
    given = house.given(STRANGER)
    taken = house.smtpds["hostile"].take()
    for number in range(60):
        house.log.often("refused", "route", number=number)

    with trio.move_on_after(0.06):
        await pulse.run(house.proxy, pulse.Stalls(), lambda: None)

    assert given.taken_at is not None
    assert taken.attributes["session"] == given.session.id
    assert house.log.about("untold") == ["event=untold refused_route=10"]


async def test_the_pulse_outlives_a_bug(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(house.proxy.farewell, "tick", bug)

    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pulse.run, house.proxy, pulse.Stalls(), lambda: None)
            while house.proxy.counters["bugs"] < 2:  # noqa: ASYNC110  it happens in the pulse
                await trio.sleep(pulse.TICK)
            nursery.cancel_scope.cancel()

    assert "ZeroDivisionError" in house.log.about("bug")[0]


async def test_an_idle_proxy_is_left_alone_until_somebody_comes(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulse, "IDLE", 3600)
    beats = 0

    def beat(_now: float) -> None:
        nonlocal beats
        beats += 1

    monkeypatch.setattr(house.proxy.farewell, "tick", beat)
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pulse.run, house.proxy, pulse.Stalls(), lambda: None)
            await trio.testing.wait_all_tasks_blocked(cushion=2 * pulse.TICK)
            assert beats == 1

            house.given(STRANGER)
            while beats < 4:  # noqa: ASYNC110  they come in the pulse
                await trio.sleep(pulse.TICK)
            nursery.cancel_scope.cancel()


def test_the_longest_stall_is_told_for_one_to_two_minutes() -> None:
    stalls = pulse.Stalls()
    stalls.note(0.5, 0)
    stalls.note(0.1, 30)

    assert stalls.longest() == 0.5
    stalls.note(0.2, 61)
    assert stalls.longest() == 0.5
    stalls.note(0.1, 122)
    assert stalls.longest() == 0.2
