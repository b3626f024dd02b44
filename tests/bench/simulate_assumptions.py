"""What the simulation takes for granted, each with where it comes from: one value, so that the table cannot lie."""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any, Final

HOUR: Final = 3600.0
DAY: Final = 24 * HOUR
MONTH: Final = 30 * DAY

_TASK: Final = "set by the task"
_ASSUMED: Final = "assumed"


def _given(value: object, what: str, source: str = _ASSUMED) -> Any:
    return field(default=value, metadata={"what": what, "source": source})


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumptions:
    """Shares are of 1, times are seconds. `scale` multiplies whatever is a number of senders or of sessions."""

    scale: float = _given(1.0, "size of everything below that is a number of senders or of sessions", "chosen")
    ham: int = _given(40_000, "good sessions in the month")
    provider_share: float = _given(0.5, "of them from provider pools", _TASK)
    newcomer_share: float = _given(0.1, "of them from addresses that come for the first time", _TASK)
    forwarder_share: float = _given(0.02, "of them from forwarders")
    servers: int = _given(400, "corporate servers; they send the rest")
    zipf: float = _given(1.1, "exponent of Zipf's law of their volumes, and of the providers'", "law: set by the task")
    server_spam: float = _given(0.01, "bad share of what they send")
    providers: int = _given(6, "providers, each with one domain and one ASN")
    largest_pool: int = _given(300, "addresses of the largest; the n-th has a share of 1/sqrt(n)")
    provider_spam: float = _given(0.15, "bad share of what pools send", _TASK)
    newcomers_among_bots: float = _given(0.5, "newcomers in networks that have bots, too", _TASK)
    bots: int = _given(15_000, "bots' addresses in the month")
    bots_few: float = _given(0.93, "bots that send ten sessions or fewer (uniform)", _TASK)
    bots_most: int = _given(100, "sessions the others send at most (log-uniform)")
    bots_brief: float = _given(0.81, "bots that live a day or less (log-uniform from a minute)", _TASK)
    bots_listed: float = _given(0.8, "bots that a DNS list has within six hours (uniform)", _TASK)
    bot_networks: int = _given(3_000, "networks (/24) that bots live in")
    bot_asns: int = _given(60, "ASNs of these")
    early: float = _given(
        0.5, "bots that talk early, the silent ones left out", "postscreen's documentation: over half"
    )
    guessing: float = _given(0.3, "bad sessions of bots that only guess recipients")
    idle: float = _given(0.2, "bad sessions of bots that hold the place in silence")
    snowshoes: int = _given(20, "snowshoe ranges: a /24 with confirmed names in one domain, for two days")
    snowshoe_hosts: int = _given(200, "addresses in each")
    snowshoe_sessions: int = _given(3, "sessions of each address")
    snowshoe_listed: float = _given(0.5, "ranges that a DNS list has, after a day")
    forwarders: int = _given(8, "forwarders: good servers that pass on what others wrote")
    forwarder_spam: float = _given(0.7, "bad share of what they send")
    turned: int = _given(20, "corporate servers that turn bad for two days and are cleaned")
    turned_sessions: int = _given(300, "bad sessions of each meanwhile")
    builders: int = _given(20, "attackers that build trust first")
    builder_good: int = _given(40, "good sessions of each, in ten days")
    builder_bad: int = _given(500, "bad sessions of each, in four hours")
    ham_listed: float = _given(0.005, "good servers that a DNS list has by mistake")
    unnamed_server: float = _given(0.05, "good servers without a name, and as many whose name does not lead back")
    unnamed_bot: float = _given(0.3, "bots without a name; 55 % have that of an access line, 5 % a confirmed one")
    wrong: float = _given(0.05, "outcomes that say the contrary", _TASK)
    missing: float = _given(0.3, "outcomes that nobody tells", _TASK)
    late: float = _given(0.2, "outcomes that come late, an hour on average (exponential)")
    bots_returning: float = _given(0.1, "bots that come back after a 421; good servers do, after 5, 10, 20 ... minutes")
    good_length: float = _given(2.0, "seconds a good session takes (median, log-normal)")
    bad_length: float = _given(4.0, "seconds a bad one takes (likewise)")
    guess_length: float = _given(25.0, "seconds until a guesser is thrown out; 3 under stress")
    flood_seconds: float = _given(400.0, "seconds of a flood")
    flood_ham: float = _given(4.0, "good sessions a second meanwhile, so many that 160 are newcomers'", "chosen")
    eve_ham: float = _given(0.125, "the same in the hour of calm before, and as many of bots", "chosen")
    flood_sessions: int = _given(3, "sessions of each bot in a flood (mean)")
    flood_fresh: float = _given(0.3, "bots of a flood in networks that were never seen")

    def number(self, count: int) -> int:
        """So many at this scale, one at least."""
        return max(1, round(count * self.scale))


def rows(assumptions: Assumptions) -> Iterator[tuple[str, str, str]]:
    """Of each: what, how much, and where it comes from."""
    for one in fields(assumptions):
        value = getattr(assumptions, one.name)
        yield one.metadata["what"], f"{value:,}" if value >= 1000 else f"{value:g}", one.metadata["source"]
