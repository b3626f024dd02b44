"""What a rule costs, to evaluate and to compile: ours against the rule-engine library, in microseconds of CPU."""

from collections.abc import Callable, Mapping
from statistics import median
from time import process_time

import rule_engine

from frontproxy.core.rules import compile_rule

FACTS: Mapping[str, object] = {
    "score": 3.5,
    "settled": False,
    "friend": False,
    "foe": False,
    "known": True,
    "early": False,
    "stress": ("nice",),
    "lists": ("partners",),
    "listed": (),
    "asn": 64500,
    "country": "DE",
    "name": "",
    "domain": "",
    "client": "192.0.2.1",
    "pool_open": 12,
    "open_sessions": 1,
    "rate": 0.5,
}
RULES = (
    ("score >= 5", "score >= 5"),
    ("stress and score <= -10", "stress and score <= -10"),
    (
        '"nice" in stress and not known or country in ("DE", "FR")',
        '"nice" in stress and not known or country in ["DE", "FR"]',
    ),
)
"""The rules of the shipped file and a longer one: in our spelling, and in rule-engine's."""
ROUNDS = 9


def cost(step: Callable[[], object], times: int) -> float:
    """The CPU microseconds of one step: the median of several rounds."""
    return median(_round(step, times) for _ in range(ROUNDS))


def _round(step: Callable[[], object], times: int) -> float:
    start = process_time()
    for _ in range(times):
        step()
    return (process_time() - start) / times * 1e6


def main() -> None:
    """Print one line for each rule."""
    print(f"{'us of CPU':60} {'ours':>8} {'rule-engine':>12} {'ratio':>7}")
    for ours, theirs in RULES:
        _compare(ours, theirs)


def _compare(ours: str, theirs: str) -> None:
    rule, engine = compile_rule(ours), rule_engine.Rule(theirs)
    if rule.holds(FACTS) != engine.matches(FACTS):
        raise SystemExit(f"the two disagree on {ours}")
    _line(ours, cost(lambda: rule.holds(FACTS), 20_000), cost(lambda: engine.matches(FACTS), 2_000))
    _line("  to compile it", cost(lambda: compile_rule(ours), 200), cost(lambda: rule_engine.Rule(theirs), 20))


def _line(what: str, ours: float, theirs: float) -> None:
    print(f"{what:60} {ours:8.2f} {theirs:12.2f} {ours / theirs:7.3f}")


if __name__ == "__main__":
    main()
