"""Names and providers in memory and on disk: a settled client is recognised without asking the DNS."""

from contextlib import closing
from pathlib import Path

import pytest

from frontproxy.core.history import Keys, KnownName, learn
from frontproxy.core.level import Forgetting
from frontproxy.core.recollection import recollect
from frontproxy.memory.sqlite import HistoryFile

DAY = 86400.0
NOW = 1.7e9
FORGETTING = Forgetting(good_half_life=30 * DAY, bad_half_life=7 * DAY, evidence_cap=25, network_limit=4)
DOMAIN = "example.com"


def opened(folder: Path, limit: int = 1000) -> HistoryFile:
    return HistoryFile.open(folder / "history.sqlite3", limit=limit, forgetting=FORGETTING, log=say_nothing)


def say_nothing(event: str, /, **values: object) -> None:
    raise AssertionError(f"{event} {values}")


def keys(number: int, asn: int = 64500) -> Keys:
    """Each client in a network of its own."""
    return Keys(bytes([10, 0, number, 1]), bytes([10, 0, number]), asn)


def named(number: int, domain: str = DOMAIN) -> KnownName:
    return KnownName(f"mx{number}.{domain}", domain, NOW + DAY)


def session(history: HistoryFile, number: int, *, good: float = 2.0, asn: int = 64500, domain: str = DOMAIN) -> None:
    recalled = history.recall(keys(number, asn), heard=named(number, domain))
    history.remember(learn(recalled, good=good, bad=0.0, now=NOW, forgetting=FORGETTING)[0])


def reasons(history: HistoryFile, of: Keys, *, heard: KnownName | None = None, now: float = NOW) -> list[str]:
    recollection = recollect(history.recall(of, heard=heard, now=now), now=now, forgetting=FORGETTING)
    return [reason.name for reason in recollection.reasons]


async def test_a_provider_outlives_a_restart(tmp_path: Path) -> None:
    with closing(opened(tmp_path)) as history:
        for number in range(4):
            session(history, number, asn=0)
        await history.flush()
    with closing(opened(tmp_path)) as history:
        assert history.status()["providers"] == 1
        assert reasons(history, keys(9, asn=0), heard=named(9)) == ["provider"]
        assert reasons(history, keys(9, asn=0)) == []


async def test_a_known_client_is_recognised_by_the_name_remembered_while_it_holds(tmp_path: Path) -> None:
    with closing(opened(tmp_path)) as history:
        for number in range(4):
            session(history, number, asn=0)
        await history.flush()
    with closing(opened(tmp_path)) as history:
        known = keys(0, asn=0)
        assert history.recall(known, now=NOW).name == named(0)
        assert reasons(history, known) == ["history", "provider"]

        late = NOW + DAY
        assert history.recall(known, now=late).name is None
        assert history.recall(known, now=late).provider is None
        assert reasons(history, known, now=late) == ["history"]
        assert history.recall(known).provider is not None  # as learning recalls it


@pytest.mark.parametrize(("asn", "domain"), [(64501, DOMAIN), (0, DOMAIN), (64500, "example.org")])
async def test_a_provider_is_an_asn_and_a_domain(tmp_path: Path, asn: int, domain: str) -> None:
    with closing(opened(tmp_path)) as history:
        session(history, 0)
        await history.flush()
        assert history.recall(keys(9), heard=named(9)).provider is not None
        assert history.recall(keys(9, asn), heard=named(9, domain)).provider is None


async def test_a_name_without_a_domain_is_kept_and_makes_no_provider(tmp_path: Path) -> None:
    access = KnownName("dsl-1.example.net", "", NOW + DAY)
    with closing(opened(tmp_path)) as history:
        recalled = history.recall(keys(1), heard=access)
        history.remember(learn(recalled, good=1, bad=0, now=NOW, forgetting=FORGETTING)[0])
        await history.flush()
    with closing(opened(tmp_path)) as history:
        assert history.recall(keys(1), now=NOW).name == access
        assert history.status()["providers"] == 0


async def test_providers_are_kept_within_the_limit_and_the_least_telling_go(tmp_path: Path) -> None:
    with closing(opened(tmp_path, limit=5)) as history:
        for number in range(4):
            session(history, number)
        for number in range(20):
            session(history, 100 + number, good=0.3, domain=f"example{number}.org")
        await history.flush()
        assert history._upkeep
        await history._upkeep.doom(5, FORGETTING)
        await history.flush()

        assert history.status()["providers"] == 5
    with closing(opened(tmp_path)) as history:
        assert history.recall(keys(200), heard=named(200)).provider is not None


async def test_a_domain_that_is_nobodys_now_makes_no_provider_any_more(tmp_path: Path) -> None:
    with closing(opened(tmp_path)) as history:
        for number in range(4):
            session(history, number, asn=0)
        assert reasons(history, keys(9, asn=0), heard=named(9)) == ["provider"]
        history.generic = {DOMAIN}

        assert reasons(history, keys(9, asn=0), heard=named(9)) == []
        assert history.recall(keys(1, asn=0), now=NOW).domain == ""
