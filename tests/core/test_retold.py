"""Foreign sessions that two feeds tell of are one."""

import pytest

from frontproxy.core import retold
from frontproxy.core.retold import TOLERANCE, Retold

CLIENT, OTHER = b"\xc0\x00\x02\x01", b"\xc0\x00\x02\x02"
ENDED = 1.7e9


@pytest.mark.parametrize("later", [-TOLERANCE, -0.3, 0, 0.3, TOLERANCE])
def test_a_session_told_by_two_feeds_is_told_again(later: float) -> None:
    told = Retold()

    assert not told.note(CLIENT, 4711, ENDED)
    assert told.note(CLIENT, 4711, ENDED + later)


@pytest.mark.parametrize(
    ("packed", "port", "ended"),
    [(OTHER, 4711, ENDED), (CLIENT, 4712, ENDED), (CLIENT, 4711, ENDED + TOLERANCE + 1)],
)
def test_another_session_is_not(packed: bytes, port: int, ended: float) -> None:
    told = Retold()
    told.note(CLIENT, 4711, ENDED)

    assert not told.note(packed, port, ended)


def test_a_feed_that_knows_no_port_is_believed_each_time() -> None:
    told = Retold()

    assert not told.note(CLIENT, 0, ENDED)
    assert not told.note(CLIENT, 0, ENDED)


def test_what_is_remembered_is_bounded_and_the_oldest_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retold, "REMEMBERED", 3)
    told = Retold()
    for port, later in ((1, 0), (2, 0), (3, 0), (1, 60), (4, 0)):
        assert not told.note(CLIENT, port, ENDED + later)

    assert [told.note(CLIENT, port, ENDED) for port in (4, 3)] == [True, True]
    assert told.note(CLIENT, 1, ENDED + 60)
    assert not told.note(CLIENT, 2, ENDED)
