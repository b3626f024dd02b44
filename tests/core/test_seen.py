"""What was seen of a client stays with the verdict that is founded on it."""

import pytest

from frontproxy.core.census import Crowd
from frontproxy.core.config import Config
from frontproxy.core.evidence import Evidence
from frontproxy.core.hearsay import NOTHING_HEARD
from frontproxy.core.history import ClientRecord, Keys, Recalled
from frontproxy.core.level import Level
from frontproxy.core.scoring import Weather, judge
from frontproxy.core.seen import Seen

KEYS = Keys(b"1234", b"123", 0)


def seen(client: ClientRecord | None) -> Seen:
    crowd = Crowd(1, 1.0, returned=False)
    return Seen(b"1234", 1.7e9, 7.0, Recalled(KEYS, None, client), NOTHING_HEARD, frozenset(), crowd, early=False)


@pytest.mark.parametrize(
    ("client", "known"),
    [(None, False), (ClientRecord(), False), (ClientRecord(Level(1.7e9, 1.0, 0.0, 1.0)), True)],
)
def test_a_client_is_known_by_history_of_its_own(client: ClientRecord | None, *, known: bool) -> None:
    assert seen(client).is_known is known


def test_a_verdict_keeps_what_was_seen_and_the_stress_of_that_moment() -> None:
    facts = seen(None)
    evidence = Evidence("192.0.2.1", (), seen=facts)

    verdict = judge(evidence, Config(), pin=None, weather=Weather(("nice",), lambda _pool: 0))

    assert verdict.seen is facts
    assert verdict.stress == ("nice",)
